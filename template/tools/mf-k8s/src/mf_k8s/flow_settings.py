"""tests/kind.toml: how each flow of flows/ is run, here and on a cluster."""

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


def must_name_flows(settings: Iterable[str], project: Project) -> None:
    """Raise CommandError for a table of tests/kind.toml that names no flow of flows/."""
    flows = {flow.stem for flow in project.flow_files()}
    for flow in settings:
        if flow not in flows:
            known = ", ".join(sorted(flows))
            raise CommandError(f"tests/kind.toml: no flow is called {flow}; flows/ has {known}")


def flow_options(settings: dict[str, FlowSettings], file: Path) -> list[str]:
    """Return Metaflow's options that every run of a flow needs."""
    return settings.get(file.stem, {}).get("options", [])
