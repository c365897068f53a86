"""tests/kind.toml: how each flow is run, here and on a cluster."""

import difflib
from pathlib import Path
from typing import Any, TypedDict

from .config import read_toml, validate
from .errors import CommandError
from .progress import print_error
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

    Raise CommandError if it is not valid, or if a table looks like a misspelt name of a flow.
    """
    file = project.root / "tests" / "kind.toml"
    settings: dict[str, Any] = read_toml(file) if file.exists() else {}
    for flow, table in settings.items():
        validate(table, SCHEMA, f"tests/kind.toml: {flow}")
    flows = flow_names(project) if settings else set()
    for name in settings.keys() - flows:
        if near := difflib.get_close_matches(name, flows - settings.keys(), 1):
            raise CommandError(
                f"tests/kind.toml: no flow is called {name}; did you mean {near[0]}?"
            )
    return settings


def flow_names(project: Project) -> set[str]:
    return {file.stem for file in project.flow_files()}


def print_tables_without_flow(project: Project) -> None:
    """Print a note on each table of tests/kind.toml whose flow is gone."""
    for name in sorted(read_flow_settings(project).keys() - flow_names(project)):
        print_error(f"k8s: tests/kind.toml: [{name}] names no flow: delete it")


def how_to_run(error: str) -> str:
    """Return the remedy for a run on a cluster that ended with an error."""
    if "FileNotFoundError" in error:
        return "pods get a flow's Python files and no data: README.md says how to send some"
    return "to run it with other options or parameters, or to skip it, edit tests/kind.toml"


def flow_options(settings: dict[str, FlowSettings], file: Path) -> list[str]:
    """Return Metaflow's options that every run of a flow needs."""
    return settings.get(file.stem, {}).get("options", [])
