"""What git could bring back, and writing all files or none of them."""

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import CommandError
from ..programs import git
from ..project import shown_path


def must_be_committed(files: Sequence[Path]) -> None:
    """Raise CommandError for a file that `git checkout` could not bring back."""
    for file in files:
        name = shown_path(file)
        try:
            git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
            changed = git(file.parent, "status", "--porcelain", "--", file.name)
        except CommandError:
            changed = "unknown to git"
        if changed:
            raise CommandError(
                f"{name} is not committed, so `git checkout` could not bring it back: commit it"
                f" first (`git add {name} && git commit`); nothing is written"
            )


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files, all of them or none; raise CommandError for one that cannot be written."""
    written: dict[Path, bytes] = {}
    new: dict[Path, Path] = {}
    try:
        for file, content in contents.items():
            new[file] = beside(file, content)
        for file in contents:
            before = file.read_bytes()
            os.replace(new[file], file)
            written[file] = before
    except BaseException as error:
        for file, content in written.items():
            file.write_bytes(content)
        if isinstance(error, OSError):
            name = shown_path(error.filename or "a file")
            raise CommandError(
                f"{name} cannot be written ({error.strerror}); no file is changed"
            ) from error
        raise
    finally:
        for file in new.values():
            with contextlib.suppress(OSError):
                file.unlink()


def beside(file: Path, content: bytes) -> Path:
    """Write content to a new file beside another, with its rights, and return the new one."""
    if not os.access(file, os.W_OK):
        raise PermissionError(13, "Permission denied", str(file))
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
    os.chmod(name, file.stat().st_mode)
    return Path(name)
