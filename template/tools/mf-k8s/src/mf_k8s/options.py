"""The arguments and options that several commands have."""

from typing import Annotated

import typer

from .environments import use_environment
from .kind.environment import use_cluster
from .progress import print_error
from .project import Project
from .tables import Format

Flows = Annotated[
    list[str] | None,
    typer.Argument(help="Files, or flows by their names; all flows by default."),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Env = Annotated[
    str, typer.Option("--env", help="environments/NAME.json, over your own configuration.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def apply_environment(project: Project, name: str) -> None:
    """Do what --env NAME says, and print what of the user's own configuration it overrides."""
    if name == "kind":
        use_cluster(project)
    elif name:
        if keys := use_environment(project, name):
            print_error(f"k8s: environments/{name}.json overrides your own {', '.join(keys)}")
