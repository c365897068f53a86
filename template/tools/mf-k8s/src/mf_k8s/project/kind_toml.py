"""tests/kind.toml: how each flow is run, here and on a cluster."""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from ..errors import Finding, raise_if
from ..show.progress import print_error
from .k8s_toml import read_toml, schema_findings
from .project import Project

FILE = "tests/kind.toml"
TEXT = {"type": "string", "description": "Text."}
TEXTS = {"type": "array", "items": TEXT, "description": 'A list of text, like ["--alpha=2"].'}
SCHEMA = {
    "type": "object",
    "description": "A table with options, parameters or skip.",
    "additionalProperties": False,
    "properties": {
        "options": TEXTS | {"title": "of Metaflow, before its command, like --environment=pypi"},
        "parameters": TEXTS | {"title": "of test runs"},
        "skip": TEXT | {"title": "why no test runs the flow"},
    },
}
VALUE = {
    "description": 'Text, or { from = "NAME" }: the variable of whoever runs the tests.',
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "required": ["from"],
            "additionalProperties": False,
            "properties": {"from": TEXT},
        },
    ],
}
VALUES = {"type": "object", "description": "A table of values.", "additionalProperties": VALUE}
NOT_OF_FLOWS = {  # tables that are no flow's, unless a flow has this name
    "variables": VALUES
    | {
        "title": "variables of whoever runs or deploys a flow on kind",
        "propertyNames": {
            "not": {"pattern": "^(METAFLOW|AWS)_"},
            "description": "such a variable belongs to environments/kind.json",
        },
    },
    "secrets": {
        "title": "values of Secrets on kind",
        "type": "object",
        "description": 'Tables like [secrets.db-password], with lines like password = "test-only".',
        "additionalProperties": VALUES,
    },
}
HOW_TO_RUN = "to run it with other options or parameters, or to skip it, edit tests/kind.toml"

Value = str | dict[str, str]


class FlowSettings(TypedDict, total=False):
    """How a flow is run."""

    options: list[str]
    parameters: list[str]
    skip: str


def read_flow_settings(project: Project) -> dict[str, FlowSettings]:
    """Return what tests/kind.toml says of each flow, by the name of the flow's file.

    Raise CommandError if it is not valid, or if a table looks like a misspelt name of a flow.
    """
    tables = read_tables(project)
    flows = flow_names(project) if tables else set()
    settings = {name: tables[name] for name in tables if name in flows or name not in NOT_OF_FLOWS}
    raise_if(flow_settings_findings(settings, flows))
    return settings


def flow_settings_findings(settings: Mapping[str, Any], flows: set[str]) -> Iterator[Finding]:
    """Yield what is not valid in tables of flows, and tables with misspelt names of flows."""
    for flow, table in settings.items():
        yield from schema_findings(table, SCHEMA, f"{FILE}: {flow}")
    for name in sorted(settings.keys() - flows):
        if near := difflib.get_close_matches(name, flows - settings.keys(), 1):
            yield Finding(
                "kind-toml-no-flow", f"no flow is called {name}; did you mean {near[0]}?", FILE
            )


def read_tables(project: Project) -> dict[str, Any]:
    """Return what is in tests/kind.toml; raise CommandError if that is not TOML."""
    file = project.root / "tests" / "kind.toml"
    return read_toml(file) if file.exists() else {}


def read_values(project: Project, name: str) -> dict[str, Any]:
    """Return [variables] or [secrets] of tests/kind.toml; raise CommandError if it is not valid."""
    values: dict[str, Any] = read_tables(project).get(name, {})
    if not values or name in flow_names(project):
        return {}
    raise_if(schema_findings(values, NOT_OF_FLOWS[name], f"{FILE}: {name}"))
    return values


def variables_of_tests(project: Project) -> dict[str, str]:
    """Return the variables that tests/kind.toml sets for whoever runs or deploys a flow."""
    return resolved(read_values(project, "variables"))


def secrets_of_tests(project: Project) -> dict[str, dict[str, str]]:
    """Return the values of Secrets that tests/kind.toml gives, by the Secret and its key."""
    tables = read_values(project, "secrets")
    return {secret: resolved(values) for secret, values in tables.items()}


def resolved(values: Mapping[str, Value]) -> dict[str, str]:
    """Return values as text; one that comes from a variable is left out where that is not set."""
    found = {
        name: value if isinstance(value, str) else os.environ.get(value["from"])
        for name, value in values.items()
    }
    return {name: text for name, text in found.items() if text is not None}


def print_missing_values(project: Project) -> None:
    """Print which values of Secrets are missing, because their variable is not set."""
    given = secrets_of_tests(project)
    for secret, values in read_values(project, "secrets").items():
        for key, value in values.items():
            if key not in given[secret]:
                print_error(
                    f"k8s: tests/kind.toml: the variable {value['from']} is not set, so the Secret"
                    f" {secret} gets no {key}"
                )


def flow_names(project: Project) -> set[str]:
    return {file.stem for file in project.flow_files()}


def print_tables_without_flow(project: Project) -> None:
    """Print a note on each table of tests/kind.toml whose flow is gone."""
    for name in sorted(read_flow_settings(project).keys() - flow_names(project)):
        print_error(f"k8s: tests/kind.toml: no flow has the name of [{name}]: delete this table")


def flow_options(settings: dict[str, FlowSettings], file: Path) -> list[str]:
    """Return Metaflow's options that every run of a flow needs."""
    return settings.get(file.stem, {}).get("options", [])
