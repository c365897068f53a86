"""What git could bring back, and writing all files or none of them."""

import contextlib
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import CommandError, Finding
from ..programs.run import git, git_or_nothing
from ..project.project import shown_path


def uncommitted(root: Path, files: Sequence[Path]) -> Iterator[Finding]:
    """Yield the files that `git checkout` at `root` could not bring back."""
    repository = git(root, "rev-parse", "--show-toplevel")
    for file in files:
        reason, remedy = reason_against(repository, file)
        if reason:
            where = shown_path(file)
            remedy += ", so that `git checkout` can bring it back; nothing is written"
            yield Finding("flow-not-committed", f"{where} {reason}", where, remedy)


def reason_against(repository: str, file: Path) -> tuple[str, str]:
    """Return why git could not bring a file back, and what to do; empty texts if it could.

    It could where the file is as in git's index: committed, or added by `git add`.
    """
    name, folder = shown_path(file), file.parent
    if git_or_nothing(folder, "rev-parse", "--show-toplevel") != repository:
        return f"is not in the repository {repository}", "put the file itself there, and commit it"
    options = ("--porcelain", "--ignored", "--untracked-files")  # whatever git is set to show
    state = git(folder, "status", *options, "--", file.name)[:2]
    if state not in ("!!", "??") and not git(folder, "diff", "--name-only", "--", file.name):
        return "", ""
    return {
        "!!": ("is ignored by git", "take it out of .gitignore, and commit it"),
        "??": ("is unknown to git", f"commit it first (`git add {name} && git commit`)"),
    }.get(state, ("has changes", f"commit them first (`git commit {name}`)"))


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files, all of them or none; raise CommandError for one that cannot be written.

    What needs room on the disk is written beside them first. The rest are renames.
    """
    new: dict[Path, Path] = {}
    old: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for file, content in contents.items():
            old[file] = beside(file, file.read_bytes())
            new[file] = beside(file, content)
        for file in contents:
            replaced.append(file)
            os.replace(new[file], file)
    except BaseException as error:
        stuck = [file for file in replaced if not put_back(old[file], file)]
        names = shlex.join(map(shown_path, stuck))
        state = "no file is changed"
        if stuck:
            state = f"part is written: `git checkout -- {names}` undoes it"
        if isinstance(error, OSError):
            name = shown_path(error.filename or "a file")
            what = f"{name} cannot be written ({error.strerror}); {state}"
            raise CommandError(Finding("flow-not-writable", what, name)) from error
        if stuck:
            raise CommandError(Finding("adoption-interrupted", f"interrupted; {state}")) from error
        raise
    finally:
        for file in [*new.values(), *old.values()]:
            with contextlib.suppress(OSError):
                file.unlink()


def put_back(old: Path, file: Path) -> bool:
    """Return whether a file is as it was, after an attempt to rename its old content to it."""
    with contextlib.suppress(OSError):
        os.replace(old, file)
    return not old.exists() or file.read_bytes() == old.read_bytes()


def beside(file: Path, content: bytes) -> Path:
    """Write content to a new file beside another, with its rights, and return the new one."""
    if not os.access(file, os.W_OK):
        raise PermissionError(13, "Permission denied", str(file))
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        os.chmod(name, file.stat().st_mode)
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(file)) from error
        raise
    return Path(name)
