"""tests/kind.toml: how each flow is run, here and on a cluster."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from .config import read_toml, validate
from .errors import CommandError
from .project import Project

TEXT = {"type": "string", "description": "Text."}
TEXTS = {"type": "array", "items": TEXT, "description": 'A list of text, like ["--alpha=2"].'}
SCHEMA = {
    "type": "object",
    "description": "A table with options, parameters or skip.",
    "additionalProperties": False,
    "properties": {"options": TEXTS, "parameters": TEXTS, "skip": TEXT},
}


class FlowSettings(TypedDict, total=False):
    """How a flow is run."""

    options: list[str]  # before Metaflow's command, like --environment=pypi: every run needs them
    parameters: list[str]  # of a test run
    skip: str  # why no test runs it


def read_flow_settings(project: Project) -> dict[str, FlowSettings]:
    """Return what tests/kind.toml says of each flow, by the name of the flow's file.

    Raise CommandError if it is not valid.
    """
    file = project.root / "tests" / "kind.toml"
    settings: dict[str, Any] = read_toml(file) if file.exists() else {}
    for flow, table in settings.items():
        validate(table, SCHEMA, f"tests/kind.toml: {flow}")
    return settings


def tables_without_flow(settings: Iterable[str], project: Project) -> list[str]:
    """Return the tables of tests/kind.toml whose flow is gone.

    Raise CommandError for one that looks like a misspelt name.
    """
    flows = {flow.stem for flow in project.flow_files()}
    unknown = [name for name in settings if name not in flows]
    for name in unknown:
        if near := difflib.get_close_matches(name, flows - {*settings}, 1):
            raise CommandError(
                f"tests/kind.toml: no flow is called {name}; did you mean {near[0]}?"
            )
    return unknown


def how_to_run(error: str) -> str:
    """Return the remedy for a run on a cluster that ended with an error."""
    if "FileNotFoundError" in error:
        return "pods get a flow's Python files and no data: README.md says how to send some"
    return "to run it with other options or parameters, or to skip it, edit tests/kind.toml"


def flow_options(settings: dict[str, FlowSettings], file: Path) -> list[str]:
    """Return Metaflow's options that every run of a flow needs."""
    return settings.get(file.stem, {}).get("options", [])
