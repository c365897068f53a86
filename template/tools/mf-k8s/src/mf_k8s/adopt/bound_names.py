"""The names in a syntax tree: which are bound, and which are only mentioned."""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = FUNCTIONS | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Imported(NamedTuple):
    """Where an imported name comes from."""

    module: str
    name: str | None  # None for the module itself
    level: int  # of a relative import: the number of its dots


def imports(tree: ast.Module) -> Iterator[tuple[str, Imported, int]]:
    """Yield each imported name, or `*`, with its origin and line."""
    for node, alias in aliases(tree):
        if isinstance(node, ast.ImportFrom):
            name = None if alias.name == "*" else alias.name
            origin = Imported(node.module or "", name, node.level)
            yield alias.asname or alias.name, origin, node.lineno
        else:
            module = alias.name if alias.asname else alias.name.split(".")[0]
            yield alias.asname or module, Imported(module, None, 0), node.lineno


def modules(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each module that is imported, or may be, with the number of dots before it."""
    for node, alias in aliases(tree):
        package, level = getattr(node, "module", None) or "", getattr(node, "level", 0)
        parts = f"{package}.{alias.name}".strip(".").split(".")
        for end in range(len(parts) + 1):
            yield ".".join(parts[:end]), level


def aliases(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, ast.alias]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node, alias) for alias in node.names)


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a module or class, those below conditions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, FUNCTIONS | ast.ClassDef):
            yield from statements(node)


def bindings(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield each name that statements bind, as often as they do; not what functions bind inside."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        waiting.extend(ast.iter_child_nodes(node))


def bound_in(function: ast.AST) -> set[str]:
    """Return the names that a function binds anywhere inside, its parameters among them."""
    nodes = [*ast.walk(function)]
    bound = {node.arg for node in nodes if isinstance(node, ast.arg)}
    names = (node for node in nodes if isinstance(node, ast.Name))
    return bound | {name.id for name in names if not isinstance(name.ctx, ast.Load)}


def named_in(node: ast.AST) -> set[str]:
    """Return the names that stand in an expression or statement, without those that it binds."""
    parts = [each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]
    bound = {last_part(each) for each in parts if not isinstance(each.ctx, ast.Load)}
    return {last_part(each) for each in parts} - bound - bound_in(node)


def last_part(expression: ast.expr) -> str:
    """Return `kubernetes` for `kubernetes` and `metaflow.kubernetes`."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def dotted(expression: ast.AST) -> list[str]:
    """Return `["metaflow", "step"]` for `metaflow.step`; an empty list for another expression."""
    if isinstance(expression, ast.Name):
        return [expression.id]
    if isinstance(expression, ast.Attribute):
        parts = dotted(expression.value)
        return [*parts, expression.attr] if parts else []
    return []


def called(expression: ast.expr) -> ast.expr:
    """Return what an expression calls, or the expression itself."""
    return expression.func if isinstance(expression, ast.Call) else expression
