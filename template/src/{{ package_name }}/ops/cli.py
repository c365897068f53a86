"""The command `k8s`."""

import enum
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

from . import Problem

app = typer.Typer(help="Proves that no pod lost its configuration.", no_args_is_help=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(enum.StrEnum):
    table = "table"
    json = "json"
    markdown = "markdown"


Flows = Annotated[list[str] | None, typer.Argument(help="Files or their names; all if none.")]
Formatted = Annotated[Format, typer.Option("--format", help="How to show it.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback()
def commands() -> None:
    """The commands: without this, typer makes a single one the whole program."""


@app.command()
def check(
    flows: Flows = None,
    format: Formatted = Format.table,
    live: Annotated[bool, typer.Option(help="Compare what is on the cluster.")] = False,
    namespace: Annotated[str, typer.Option(help="With --live; Metaflow's if not given.")] = "",
    run: Annotated[str, typer.Option(help="With --live: its ID; the newest if not given.")] = "",
    debug: Debug = False,
) -> None:
    """Compare every pod of flows with what k8s.toml and their overrides say.

    Ends with 0 if all is equal, 1 if something differs, 2 if something could not be checked.
    """
    from . import check as checks
    from . import report

    files = checks.find_flows(flows or [])
    reports: list[Any] = []
    if live:
        from .live import check_live

        reports = list(progress(check_live(files, namespace, run), "Comparing", None))
    elif namespace or run:
        raise Problem("--namespace and --run belong to --live")
    else:
        reports = list(progress(checks.check_flows(files), "Compiling", len(files)))
    reports.sort(key=lambda one: (one["file"], one["of"]))
    if not any(one["flow"] for one in reports) and not any(one["error"] for one in reports):
        raise Problem(f"no flow is started in {', '.join(file.name for file in files)}")
    if format is Format.json:
        print(report.as_json(reports))
    elif format is Format.markdown:
        print(report.as_markdown(reports))
    else:
        report.print_table(reports, Console())
    for one in reports:
        if one["error"]:
            errors.print(f"k8s: {one['file']}: {one['error']}", markup=False)
            if debug:
                errors.print(one["log"], markup=False)
    if any(one["error"] for one in reports):
        raise typer.Exit(2)
    raise typer.Exit(0 if all(map(report.is_equal, reports)) else 1)


def progress(work: Iterable[Any], title: str, total: int | None) -> Iterator[Any]:
    """Show on a terminal's stderr how far `work` is, and at the end how long it took."""
    start, quiet = time.monotonic(), not errors.is_terminal
    yield from track(work, title, total, console=errors, transient=True, disable=quiet)
    if not quiet:
        errors.print(f"{title} took {time.monotonic() - start:.1f} s", style="dim")


def main() -> None:
    """Run the command; every error is one line on stderr and ends with 2."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` is honoured
    try:
        sys.exit(app(standalone_mode=False))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        kind = "" if isinstance(error, Problem) or said != str(error) else ""
        errors.print(f"k8s: {kind}{' '.join(said.split())}", markup=False)
        sys.exit(2)
