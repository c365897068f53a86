"""The calls @kubernetes(…) and @k8s(…) as source: what stays of one, and new ones."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import libcst as cst

from .propose import Leaf, Leaves, Rewrite, leaves_of, normal_values, settings_of
from .read_decorators import Argument

WIDTH = 100


def kept_arguments(
    arguments: Sequence[cst.Arg], read: Sequence[Argument], own: Leaves
) -> list[cst.Arg]:
    """Return the arguments that stay with a step, as they are written where all of one stays."""
    kept: list[cst.Arg] = []
    for argument, values in zip(arguments, read, strict=True):
        leaves = leaves_of(normal_values(values.values))
        taken = {leaf: item for leaf, item in own.items() if is_taken_away(leaf, values, leaves)}
        staying = {leaf: own[leaf] for leaf in leaves if leaf in own} | taken
        if not values.readable or (leaves and staying.keys() == leaves.keys()):
            kept.append(argument)
        else:
            kept += new_arguments(argument, settings_of(staying))
    if kept and kept[-1] is not arguments[-1]:
        kept[-1] = as_last(kept[-1], arguments[-1])
    return kept


def as_last(argument: cst.Arg, last: cst.Arg) -> cst.Arg:
    """Return an argument that ends as the last one did; a comment in its line stays there."""
    comma, after = argument.comma, last.whitespace_after_arg
    own_end = comma.whitespace_after if isinstance(comma, cst.Comma) else None
    if isinstance(last.comma, cst.Comma):
        end = with_first_line(last.comma.whitespace_after, own_end)
        new_comma: cst.Comma | cst.MaybeSentinel = last.comma.with_changes(whitespace_after=end)
    else:
        new_comma, after = last.comma, with_first_line(after, own_end)
    return argument.with_changes(comma=new_comma, whitespace_after_arg=after)


def with_first_line(
    space: cst.BaseParenthesizableWhitespace, other: cst.BaseParenthesizableWhitespace | None
) -> cst.BaseParenthesizableWhitespace:
    lines = cst.ParenthesizedWhitespace
    if isinstance(space, lines) and isinstance(other, lines):
        return space.with_changes(first_line=other.first_line)
    return space


def new_arguments(old: cst.Arg, settings: Mapping[str, Any]) -> list[cst.Arg]:
    """Return `key=value` for each setting, in the place of one argument."""
    nothing = cst.SimpleWhitespace("")
    new = [
        cst.Arg(
            keyword=cst.Name(key),
            value=cst.parse_expression(literal(value)),
            equal=cst.AssignEqual(whitespace_before=nothing, whitespace_after=nothing),
            comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")),
        )
        for key, value in settings.items()
    ]
    return [*new[:-1], *(each.with_changes(comma=old.comma) for each in new[-1:])]


def is_taken_away(leaf: Leaf, argument: Argument, leaves: Leaves) -> bool:
    """Return whether a leaf removes a shared value from the table that an argument gives."""
    return len(leaf) > 1 and leaf not in leaves and leaf[0] in argument.values


def new_call(name: str, rewrite: Rewrite) -> cst.BaseExpression:
    """Return `k8s("pool", key=value)`, on several lines if it is long."""
    pool = [literal(rewrite.pool)] if rewrite.pool else []
    own = settings_of(rewrite.own).items()
    parts = [*pool, *(f"{key}={literal(value)}" for key, value in own)]
    line = f"{name}({', '.join(parts)})"
    if len(line) > WIDTH - 5:  # with the indentation and the @
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")"
    return cst.parse_expression(line)


def literal(value: Any) -> str:
    """Return a value as Python's source, with double quotes."""
    if isinstance(value, dict):
        items = (f"{literal(name)}: {literal(item)}" for name, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def comments(node: cst.CSTNode) -> list[str]:
    """Return the comments inside a node, and at the end of its lines."""
    found: list[str] = []
    waiting: list[cst.CSTNode] = [node]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, cst.Comment):
            found.append(node.value)
        waiting = [*node.children, *waiting]
    return found
