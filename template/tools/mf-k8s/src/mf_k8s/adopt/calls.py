"""The calls @kubernetes(…) and @k8s(…) as source: what stays of one, and new ones."""

import ast
import json
from typing import Any

from .propose import Leaves, Rewrite, leaves_of, normal_values, settings_of
from .read_decorators import Argument
from .text_edits import TextEdits

WIDTH = 100


def argument_texts(
    edits: TextEdits, keyword: ast.keyword, argument: Argument, own: Leaves
) -> list[str]:
    """Return what takes an argument's place: itself if all of it stays, or new arguments."""
    leaves = leaves_of(normal_values(argument.values))
    # with what takes a shared value away from the table that it gives
    staying = {
        leaf: item
        for leaf, item in own.items()
        if leaf in leaves or (len(leaf) > 1 and leaf[0] in argument.values)
    }
    if not argument.readable or (leaves and staying.keys() == leaves.keys()):
        return [edits.source(keyword)]
    return arguments_of(staying)


def arguments_of(own: Leaves) -> list[str]:
    return [f"{key}={literal(value)}" for key, value in settings_of(own).items()]


def new_call(name: str, rewrite: Rewrite, indent: str, line_end: str) -> str:
    """Return `k8s("pool", key=value)`, on several lines if it is long."""
    pool = [literal(rewrite.pool)] if rewrite.pool else []
    parts = [*pool, *arguments_of(rewrite.own)]
    line = f"{name}({', '.join(parts)})"
    if len(f"{indent}@{line}") <= WIDTH:
        return line
    lines = (f"{indent}    {part},{line_end}" for part in parts)
    return f"{name}({line_end}{''.join(lines)}{indent})"


def literal(value: Any) -> str:
    """Return a value as Python's source, with double quotes."""
    if isinstance(value, dict):
        items = (f"{literal(name)}: {literal(item)}" for name, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
