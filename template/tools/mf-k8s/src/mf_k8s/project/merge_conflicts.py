"""Conflicts that an update of the template, or git, has left in files."""

import re
from pathlib import Path

from ..programs.run import git_or_nothing

MARKER = "^(<{7}|>{7}) "  # and a name behind it, like `before updating` and `after updating`
REMEDY = "choose what stays of the lines between <<<<<<< and >>>>>>>"


def conflict_in(text: str) -> str:
    """Return the line of a text's first conflict and what to do, or an empty text."""
    marker = re.search(MARKER, text, re.MULTILINE)
    if not marker:
        return ""
    number = text.count("\n", 0, marker.start()) + 1
    return f"has a conflict in line {number}: {REMEDY}"


def conflicts_in_files(root: Path) -> list[str]:
    """Return `file:line` of each marker in a project's text files that git does not ignore."""
    options = ("--untracked", "--line-number", "-I", "--extended-regexp")
    found = git_or_nothing(root, "-c", "core.quotePath=false", "grep", *options, MARKER)
    return [":".join(line.split(":", 2)[:2]) for line in found.splitlines()]
