"""Checks flows as they are in each environment that lays values over k8s.toml."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import CommandError
from ..metaflow.compile_flows import compile_flows
from ..metaflow.read_place import read_place
from ..project.environment_layer import environments_with_layer
from ..project.project import Project
from .compare import check_flows
from .report import Report


def places_to_check(project: Project, environment: str) -> list[str]:
    """Return the environment that was named, or else all that differ from k8s.toml.

    k8s.toml alone, without an environment, is the empty name.
    """
    if environment:
        return [environment]
    return ["", *([] if project.environment_file else environments_with_layer(project))]


def check_places(
    project: Project, files: Sequence[Path], places: Sequence[str]
) -> Iterator[Report]:
    """Yield the report on each flow in each place, as it is done.

    An environment that is wrong has a report of its own for each reason, if it is one of several.
    Raise CommandError if it is the only one.
    """
    for place in places:
        try:
            if place:
                read_place(project, place)
        except CommandError as error:
            if len(places) == 1:
                raise
            file = project.root / "environments" / f"{place}.json"
            yield from (Report(file, error=finding) for finding in error.findings)
            continue
        at = project.at(place)
        yield from check_flows(at, compile_flows(at, files))
