"""The commands of `k8s`: what each does, its options, and its exit codes.

From the functions and their annotations: what typer makes of them differs between its releases.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any

from mf_k8s.cli import app, kind_app
from mf_k8s.commands.exit_codes import EXIT_CODES

from .markdown import code, table

COMMANDS: dict[str, Callable[..., None]] = {
    f"{group}{command.callback.__name__}": command.callback
    for group, typer_app in (("", app), ("kind ", kind_app))
    for command in typer_app.registered_commands
    if command.callback
}
# Others have none, or only --debug.
WITH_OPTIONS = [
    name
    for name, function in COMMANDS.items()
    if {*inspect.signature(function).parameters} - {"context", "debug"}
]


def all_commands() -> str:
    """Return what each command does, with a link to the section on it."""
    rows = [
        [f"[`{name}`](#{name.replace(' ', '-')})", first_line(function)]
        for name, function in COMMANDS.items()
    ]
    return table(["command", "what it does"], rows)


def first_line(function: Callable[..., None]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


def options(name: str) -> str:
    """Return a table of a command's arguments and options."""
    hints = typing.get_type_hints(COMMANDS[name], include_extras=True)
    parameters = inspect.signature(COMMANDS[name]).parameters
    rows = [
        [code(as_typed(key, hint)), meaning(parameters[key].default, hint)]
        for key, hint in hints.items()
        if hasattr(hint, "__metadata__") and key != "debug"
    ]
    return table(["option", "what it is"], rows)


def as_typed(name: str, hint: Any) -> str:
    """Return an option as one types it, with what it takes, or an argument's name."""
    (info,), kind = hint.__metadata__, hint.__origin__
    if type(info).__name__ == "ArgumentInfo":
        is_list = any(typing.get_origin(each) is list for each in (kind, *typing.get_args(kind)))
        return f"{name.upper()}{'…' * is_list}"
    named = [info.default, *info.param_decls] if isinstance(info.default, str) else []
    names = ", ".join(named or [f"--{name.replace('_', '-')}"])
    if kind is bool:
        return names
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    return f"{names} {info.metavar or '|'.join(choices) or name.upper()}"


def meaning(default: Any, hint: Any) -> str:
    """Return an option's help, and its default if --help shows it."""
    needed = "Needed: " if default is inspect.Parameter.empty else ""
    shown = f" By default `{default}`." if default and isinstance(default, str) else ""
    return f"{needed}{hint.__metadata__[0].help}{shown}"


def exit_codes() -> str:
    """Return what 0, 1 and 2 mean, by command."""
    rows = [
        [code(name), codes.success, codes.answer or "never", codes.error]
        for name, codes in EXIT_CODES.items()
    ]
    return table(["command", "0", "1", "2"], rows)
