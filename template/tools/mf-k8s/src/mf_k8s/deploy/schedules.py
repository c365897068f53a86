"""Says that flows start by themselves in a place, where its environment does not say so."""

from collections.abc import Iterable

from ..metaflow.compile_flows import CompiledFile
from ..pods.starters import starters
from ..project.environments import Environment, is_production
from ..show.progress import print_line


def say_what_starts(compiled: Iterable[CompiledFile], environment: Environment) -> None:
    """Print which flows start by themselves in a place that is neither production nor says it.

    That is what a copy of production's file gets, and what an update of a project leaves.
    """
    says = environment.schedules is not None or is_production(dict(environment.variables))
    if says or environment.name in ("", "kind"):
        return
    names = [
        flow.flow["name"]
        for flow in compiled
        if flow.flow and flow.template and starters(flow.template)
    ]
    if names:
        print_line(
            f"{environment.file} does not say whether flows start there by themselves, so they do:"
            f' {", ".join(sorted(names))}. Write "schedules": false or true into it'
        )
