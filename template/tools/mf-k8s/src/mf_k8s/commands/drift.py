"""The options of `k8s drift`."""

import shlex
from typing import Annotated

import typer

from .options import Debug, OutputFormat, errors_in_json


def drift(
    tidy: Annotated[
        bool, typer.Option("--tidy", help="Take out what is repeated; no pod changes.")
    ] = False,
    format: OutputFormat = "table",
    debug: Debug = False,
) -> None:
    """Show what the project repeats or overrides of its organisation."""
    from ..adopt.write_files import uncommitted, write_all
    from ..drift.print_drift import print_drift, print_json
    from ..drift.tidy import tidied
    from ..drift.values import committed
    from ..drift.values import drift as find_values
    from ..errors import raise_if
    from ..project.project import find_project, shown_path
    from ..show.progress import print_error

    with errors_in_json(format, values=[], removed=[]):
        project = committed(find_project())
        before = find_values(project)
        contents = tidied(project) if tidy else {}
        contents = {file.resolve(): content for file, content in contents.items()}
        raise_if(uncommitted(project.root, [*contents]))
        write_all(contents)
        after = find_values(project) if contents else before
    removed = [value for value in before if value not in after]
    if format == "json":
        print_json(project, after, removed)
    else:
        print_drift(after, removed, format == "markdown")
    if contents:
        names = shlex.join(map(shown_path, contents))
        print_error(f"k8s: written; `git diff` shows it, `git checkout -- {names}` undoes it")
