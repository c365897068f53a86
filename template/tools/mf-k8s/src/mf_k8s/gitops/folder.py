"""The folder of a rendering: writes it, and compares it."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import CommandError, Finding
from ..project.project import shown_path
from .manifests import is_edited, is_rendered


def own_files(folder: Path) -> dict[str, str]:
    """Return the text of each file of a folder; raise CommandError if one is somebody else's."""
    present = read_folder(folder)
    foreign = sorted(name for name, text in present.items() if not is_rendered(text))
    if foreign:
        where = shown_path(folder)
        what = f"{where} has files that `k8s render` did not write: {', '.join(foreign)}"
        remedy = "move them, or choose another folder"
        raise CommandError(Finding("folder-has-other-files", what, where, remedy))
    return present


def write_folder(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Make a folder hold these files, and return the names of the older ones that were removed.

    Raise CommandError before anything is written if it holds what this command has not written.
    """
    present = own_files(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            if present.get(name) != text:
                (folder / name).write_text(text, encoding="utf-8")
        removed = sorted(present.keys() - files.keys())
        for name in removed:
            (folder / name).unlink()
    except OSError as error:
        where = shown_path(folder)
        finding = Finding("folder-not-writable", f"cannot write {where}: {error}", where)
        raise CommandError(finding) from None
    return removed


def read_folder(folder: Path) -> dict[str, str]:
    """Return the text of each file of a folder; of what is no file, an empty one.

    Hidden files do not count, as git's, nor the line ends, which git may change in a checkout: YAML
    has those of values as `\\r`. Raise CommandError if it cannot be read.
    """
    found = {}
    try:
        for file in sorted(folder.iterdir()) if folder.exists() else ():
            if not file.name.startswith("."):
                content = file.read_bytes() if file.is_file() else b""
                text = content.decode(errors="replace")
                found[file.name] = text.replace("\r\n", "\n")
    except OSError as error:
        where = shown_path(folder)
        finding = Finding("folder-unreadable", f"{where} cannot be read: {error}", where)
        raise CommandError(finding) from None
    return found


def faults(present: Mapping[str, str], rendered: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with a folder's files, by their names; `rendered` would be right."""
    found = {}
    for name in sorted({*present, *rendered}):
        if name not in present:
            found[name] = "is missing"
        elif present[name] == rendered.get(name):
            continue
        elif not is_rendered(present[name]):
            found[name] = "was not written by `k8s render`"
        elif is_edited(present[name]):
            found[name] = f"was edited: {first_difference(present, rendered, name)}"
        elif name not in rendered:
            found[name] = "is left over: this rendering has no such file any more"
        else:
            found[name] = f"is of other code: {first_difference(present, rendered, name)}"
    return found


def first_difference(present: Mapping[str, str], rendered: Mapping[str, str], name: str) -> str:
    """Return the first line of a file that differs, cut to where it does."""
    texts = (text.split("\n")[1:] for text in (present[name], rendered.get(name, "")))
    for number, (old, new) in enumerate(zip(*texts, strict=False), start=2):
        if old != new:
            if "value:" in old + new:  # of a variable: it may be secret
                return f"line {number} has another value"
            same = len(os.path.commonprefix([old, new]))
            start, end = max(0, same - 30), same + 40
            return f"line {number} has `{old[start:end].strip()}`, not `{new[start:end].strip()}`"
    return "it has more or fewer lines"
