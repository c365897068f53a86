"""The table [tool.mf-k8s] of a project's pyproject.toml."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from .merge_conflicts import conflict_in

TABLE = "mf-k8s"
KEYS = {  # what each is, and its default
    "package": ("the project's package, in src/", ""),
    "required-version": ("versions of this tool that the project works with, like >=0.3.0", ""),
    "flows": ("list of patterns of the flows' files, in the project", '["flows/**/*.py"]'),
    "platform": (
        "platform of the nodes, for which the image is built, or a list of several",
        '"linux/amd64"',
    ),
    "test": ("list of the commands that `k8s test` runs, here and in CI", ""),
    "argo": ('Argo Workflows on kind: "4" or "3.7"', '"4"'),
    "not-secret": (
        "list of variables and parameters whose values `k8s render` may write, though they look"
        " like secrets",
        "[]",
    ),
}


def read_table(file: Path) -> dict[str, Any] | None:
    """Return the table of a pyproject.toml, or None if it has none."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8-sig")
        tool = tomllib.loads(text).get("tool", {})
    except ValueError as error:  # of the encoding, or of TOML
        shown = os.path.relpath(file)
        reason = conflict_in(text) or f"is not TOML: {error}"
        finding = Finding("pyproject-unreadable", f"{shown} {reason}", shown)
        raise CommandError(finding) from error
    return tool.get(TABLE) if isinstance(tool, dict) else None


def table_finding(file: Path, key: str, fault: str, example: str) -> Finding:
    """Return what is wrong with a key of [tool.mf-k8s], or with the table as a whole."""
    where = place_of(file)
    what = f"{key} {fault}, like {example}".lstrip()
    return Finding("tool-table-not-valid", f"{where} {what}", where)


def unknown_keys(table: Iterable[str], file: Path) -> Iterator[Finding]:
    """Yield the keys of the table that no command reads."""
    for key in table:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
            where = place_of(file)
            yield Finding("tool-key-unknown", f"{where} has no key {key}; {hint}", where)


def place_of(file: Path) -> str:
    """Return the table as messages name it."""
    return f"{os.path.relpath(file)}: [tool.{TABLE}]"
