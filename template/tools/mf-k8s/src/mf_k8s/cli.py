"""The command `k8s`: registers its commands, and turns errors into exit codes."""

import signal
import sys

import typer

from .commands import kind as kind
from .commands.adopt import adopt
from .commands.check import check
from .commands.deploy import deploy
from .commands.doctor import doctor
from .commands.drift import drift
from .commands.exit_codes import EXIT_CODES
from .commands.image import image
from .commands.plan import plan
from .commands.render import render
from .commands.test import test
from .errors import INTERRUPTIONS, findings_of
from .programs.arguments import split_arguments
from .show.progress import print_error, print_in_any_encoding

# Help in plain text: typer's boxes are drawn by rich, whose import takes longer than all else.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # with --debug, older typers show them: some are logins
    epilog="Run it anywhere inside a project.",
)
for function in (test, check, plan, image, deploy, render, doctor, adopt, drift):
    app.command(epilog=EXIT_CODES[function.__name__].line)(function)

kind_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for of_kind in (kind.up, kind.test, kind.env, kind.logs, kind.down):
    kind_app.command(epilog=EXIT_CODES[f"kind {of_kind.__name__}"].line)(of_kind)
app.add_typer(
    kind_app, name="kind", help="Run flows on a cluster on this machine, with the same k8s.toml."
)


def main() -> None:
    """Run the command. An error is a line on stderr for each finding, and ends it with code 2."""
    for number in INTERRUPTIONS:  # so that nothing is left behind
        if number != signal.SIGINT and signal.getsignal(number) != signal.SIG_IGN:  # by nohup
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    print_in_any_encoding()
    arguments = sys.argv[1:]
    flow_arguments: list[str] = []
    if arguments[:2] == ["kind", "test"] or arguments[:1] in (["deploy"], ["render"]):
        arguments, flow_arguments = split_arguments(arguments)
    if arguments in ([], ["kind"]):  # a group of commands
        arguments.append("--help")
    try:
        sys.exit(app(arguments, obj=flow_arguments, standalone_mode=False))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if "--debug" in arguments:
            raise
        for finding in findings_of(error):
            print_error(f"k8s: {' '.join(str(finding).split())}")
        sys.exit(2)
