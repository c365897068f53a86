"""Prints what a project repeats and overrides of its organisation's values."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..project.organisation_layer import FILE
from ..project.project import Project
from ..show.tables import Printer
from .values import IMAGE, Value


def print_json(project: Project, values: Sequence[Value], removed: Sequence[Value]) -> None:
    """Print the values that the files have, and those taken out of them, as JSON."""
    found: dict[str, Any] = {"version": 1, "project": project.name, "errors": []}
    found |= {"values": [asdict(value) for value in values]}
    found |= {"removed": [asdict(value) for value in removed]}
    print(json.dumps(found, indent=2, ensure_ascii=False))


def print_drift(values: Sequence[Value], removed: Sequence[Value], markdown: bool) -> None:
    """Print the values taken out of the files, then those that they have, for people."""
    printer = Printer(markdown)
    repeated = [value for value in values if value.equal]
    overridden = [value for value in values if not value.equal]
    list_paths(printer, f"Taken out, as {FILE} says it", removed)
    list_paths(printer, f"Repeated from {FILE}", repeated)
    if overridden:
        printer.heading(f"Other than in {FILE}")
        show(printer, overridden)
    if repeated:
        printer.lines("`uv run k8s drift --tidy` takes out what is repeated.")
    if not values:
        printer.lines(f"No file repeats or overrides a value of {FILE}.")


def list_paths(printer: Printer, title: str, values: Sequence[Value]) -> None:
    """Print the paths of values below a title, a line for each file."""
    paths: dict[str, list[str]] = {}
    for value in values:
        is_image = value.path.rpartition(".")[2] == IMAGE and value.value != value.organisation
        path = f"the registry of {value.path}" if is_image else value.path
        paths.setdefault(value.file, []).append(path)
    if paths:
        printer.heading(title)
        printer.lines(*(f"- {file}: {', '.join(of_file)}" for file, of_file in paths.items()))
        printer.lines("")


def show(printer: Printer, values: Sequence[Value]) -> None:
    """Print a row for each value; on a narrow terminal, a block."""
    rows = [(f"{value.file}: {value.path}", *cells(printer, value)) for value in values]
    if not printer.table(("", "here", FILE), rows):
        for title, here, shared in rows:
            printer.block(title, {"here": here, FILE: shared})


def cells(printer: Printer, value: Value) -> tuple[str, str]:
    """Return what the project says, and what the organisation says."""
    shared = printer.cell(value.organisation)
    if value.path.rpartition(".")[2] == IMAGE and value.value != value.organisation:
        shared = f"in {shared}"
    if value.environment and value.file.endswith(".toml"):
        shared = f"{shared} for {value.environment}"
    return printer.cell(value.value), f"{shared}, locked" if value.locked else shared
