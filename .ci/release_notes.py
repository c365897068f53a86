"""Prints what CHANGELOG.md says of a release: `.ci/release_notes.py v0.3.0`.

A fork's own release of it, like v0.3.0.post1, has the same, unless it has a section of its own.
"""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def release_notes(changelog: str, tag: str) -> str:
    """Return the section of a tag's version, without its heading; empty if there is none.

    A paragraph is one line, because GitHub breaks lines in a release where the text does.
    """
    _, *parts = re.split(r"^## (\S+)$", changelog, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    version = tag.removeprefix("v")
    released = version.partition(".post")[0]
    section = sections.get(version, sections.get(released, ""))
    return re.sub(r"\n +(?![ -])", " ", section).strip()


if __name__ == "__main__":
    notes = release_notes(CHANGELOG.read_text(encoding="utf-8"), sys.argv[1])
    if not notes:
        sys.exit(
            f"CHANGELOG.md has no section `## {sys.argv[1].removeprefix('v')}`: write it on main"
        )
    print(notes)
