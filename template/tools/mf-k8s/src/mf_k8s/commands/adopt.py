"""The options of `k8s adopt`, what it asks, and its exit codes."""

import shlex
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from ..errors import CommandError, Finding, raise_if
from .options import Debug

Preference = Literal["ask", "flows", "config"]


def adopt(
    flows: Annotated[
        list[str], typer.Argument(help="Files, or their names in flows/.", show_default=False)
    ],
    apply: Annotated[bool, typer.Option("--apply", help="Write the files.")] = False,
    prefer: Annotated[
        Preference,
        typer.Option(help="Whose value counts where k8s.toml and most of the steps differ."),
    ] = "ask",
    from_batch: Annotated[
        bool, typer.Option("--from-batch", help="Turn @batch of AWS into @k8s, too.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept what changes in configured pods.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Turn flows into BaseFlow flows, and show how the pods change."""
    from ..adopt.adoption import adopt_flows
    from ..adopt.print_adoption import show_adoption
    from ..adopt.write_files import uncommitted, write_all
    from ..project.project import find_project, shown_path
    from ..show.progress import print_error, working

    project = find_project()
    files = [file.resolve() for file in project.flow_files(flows)]
    config_file = project.config_file.resolve()

    ask = answers(prefer, config_file.name)
    asks = prefer == "ask" and sys.stdin.isatty()  # the display would write over a question
    with working("Compiling", shown=not asks):
        adoption = adopt_flows(project, files, config_file, ask, from_batch)
    if apply:
        raise_if(uncommitted(project.root, [*adoption.contents]))
    show_adoption(adoption)
    if adoption.proof.changed and not yes:
        if not apply:
            print_error("k8s: nothing is written; --apply asks whether to accept what changes")
            raise typer.Exit(1)
        if not (sys.stdin.isatty() and typer.confirm("Accept what changes?")):
            print_error("k8s: nothing is written; --yes accepts what changes")
            raise typer.Exit(1)
    if adoption.contents and apply:
        write_all(adoption.contents)
        names = shlex.join(map(shown_path, adoption.contents))
        print_error(f"k8s: written; `git diff` shows it, `git checkout -- {names}` undoes it")
    elif adoption.contents:
        print_error("k8s: nothing is written; --apply writes it")


def answers(prefer: Preference, config_name: str) -> Callable[[str, Any, Any], bool]:
    """Return a function that says whether a value of the flows takes the place of k8s.toml's.

    It raises CommandError where it would have to ask, and nobody can answer.
    """

    def prefers_flows(key: str, old: Any, new: Any) -> bool:
        if prefer != "ask":
            return prefer == "flows"
        question = f"{config_name} has {key} = {old}, most of the steps {new}. Take {new}?"
        if not sys.stdin.isatty():
            what = f"{question} Answer with --prefer=flows or --prefer=config"
            raise CommandError(Finding("answer-needed", what, config_name))
        return typer.confirm(question)

    return prefers_flows
