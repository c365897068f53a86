"""The options of `k8s plan`, and its exit codes."""

import json
from typing import Annotated

import typer

from .options import Debug, Env, OutputFormat, errors_in_json


def plan(
    against: Annotated[
        str,
        typer.Option(
            metavar="REVISION",
            help="Git revision; by default the merge base with origin/main, or HEAD.",
        ),
    ] = "",
    env: Env = "",
    format: OutputFormat = "table",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 1 if something changes.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Show what changes in the pods since another revision."""
    from ..metaflow.read_place import read_place
    from ..plan.differences import has_changes, show_plan
    from ..plan.revision import plan_against
    from ..project.project import find_project
    from ..show.progress import working

    with errors_in_json(format), working("Comparing"):
        project = find_project().at(env)
        if env:
            read_place(project, env)
        found, graphs = plan_against(project, against)
    if format == "json":
        print(json.dumps({**found, "errors": []}, indent=2))
    else:
        show_plan(found, format == "markdown", graphs=graphs)
    raise typer.Exit(1 if exit_code and has_changes(found) else 0)
