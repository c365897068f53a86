"""The arguments and options that several commands have."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import findings_of

if TYPE_CHECKING:
    from ..project.environments import Environment
    from ..project.project import Project

Flows = Annotated[
    list[str] | None,
    typer.Argument(help="Files, or flows by their names; all flows by default."),
]
Format = Literal["table", "json", "markdown"]
OutputFormat = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Env = Annotated[
    str, typer.Option("--env", help="environments/NAME.json, over your own configuration.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def apply_environment(project: "Project", name: str) -> "Environment":
    """Do what --env NAME says, print what of the user's own configuration it overrides, return it.

    Raise CommandError if it is not valid, or if kubectl's current context is not the environment's.
    """
    from ..cluster.target import must_be_context
    from ..kind.environment import use_cluster
    from ..metaflow.configuration import use_environment
    from ..project.environments import NO_ENVIRONMENT, read_environment
    from ..show.progress import print_error

    if not name:
        return NO_ENVIRONMENT
    environment = read_environment(project, name)
    if name == "kind":
        use_cluster(project)
        return environment
    must_be_context(environment)
    if keys := use_environment(environment):
        print_error(f"k8s: {environment.file} overrides your own {', '.join(keys)}")
    return environment


@contextlib.contextmanager
def errors_in_json(format: Format, **nothing_found: Any) -> Iterator[None]:
    """Print an error of the body on stdout, too, where the result would be JSON.

    `nothing_found` are the other keys of that result.
    """
    try:
        yield
    except Exception as error:
        if format == "json":
            errors = [asdict(finding) for finding in findings_of(error)]
            print(json.dumps({"version": 1, **nothing_found, "errors": errors}, indent=2))
        raise
