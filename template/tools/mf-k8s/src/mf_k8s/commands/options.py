"""The arguments and options that several commands have."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from ..errors import CommandError, Finding, findings_of

Flows = Annotated[
    list[str] | None,
    typer.Argument(help="Files, or flows by their names; all flows by default."),
]
Format = Literal["table", "json", "markdown"]
OutputFormat = Annotated[Format, typer.Option("--format", help="How to print the result.")]
Env = Annotated[
    str,
    typer.Option(
        "--env", metavar="NAME", help="environments/NAME.json, over your own configuration."
    ),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@contextlib.contextmanager
def errors_in_json(format: str, **nothing_found: Any) -> Iterator[None]:
    """Print an error of the body on stdout, too, where the result would be JSON.

    `nothing_found` are the other keys of that result.
    """
    try:
        yield
    except typer.Exit:  # the result is printed
        raise
    except Exception as error:
        if format == "json":
            errors = [asdict(finding) for finding in findings_of(error)]
            print(json.dumps({"version": 1, **nothing_found, "errors": errors}, indent=2))
        raise


def wrong_options(what: str) -> CommandError:
    """Return the error of options that cannot be used together."""
    return CommandError(Finding("wrong-options", what))
