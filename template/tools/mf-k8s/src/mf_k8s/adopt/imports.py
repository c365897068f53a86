"""The imports of an adopted file: one more, and those that nothing needs any more."""

import ast
from collections.abc import Callable
from typing import TypeGuard

import libcst as cst

from ..project.project import Project
from .source import Source


def add_imports(module: cst.Module, lines: str, project: Project) -> cst.Module:
    """Return a module with more imports, where a person would write them.

    That is before its first import of the project's package or of a neighbour, or after all others.
    """
    first, *others = cst.parse_module(lines).body
    body = list(module.body)
    last = 0
    for index, item in enumerate(body):
        if not is_import(item):
            if last or not is_docstring(item):
                break
            continue
        last = index + 1
        origin = imported_module(item).split(".")[0]
        if origin in (project.package, ""):
            above = item.leading_lines
            below = [] if origin else above or [cst.EmptyLine(indent=False)]
            item = item.with_changes(leading_lines=below)
            body[index : index + 1] = [first.with_changes(leading_lines=above), *others, item]
            return module.with_changes(body=body)
    blank = [cst.EmptyLine(indent=False)] if last else []
    body[last:last] = [first.with_changes(leading_lines=blank), *others]
    return module.with_changes(body=body)


def is_import(statement: cst.CSTNode) -> TypeGuard[cst.SimpleStatementLine]:
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(small, cst.Import | cst.ImportFrom) for small in statement.body
    )


def is_docstring(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and all(
        isinstance(small, cst.Expr) for small in statement.body
    )


def imported_module(statement: cst.SimpleStatementLine) -> str:
    """Return the module of `from module import …`, which begins with `.` if it is a neighbour."""
    tree = ast.parse(cst.Module([statement]).code)
    (node, *_) = tree.body
    if isinstance(node, ast.ImportFrom):
        return "." * node.level + (node.module or "")
    return node.names[0].name if isinstance(node, ast.Import) else ""


def drop_unused_imports(module: cst.Module, source: Source) -> cst.Module:
    """Return a module without the imports at its top that were used before and now are not."""
    before = used_names(source.tree) | used_names(source.original or source.tree)
    unused = before - used_names(ast.parse(module.bytes))
    if not unused:
        return module
    body: list[cst.BaseStatement] = []
    lines: list[cst.EmptyLine] = []  # those above a statement that is gone
    for item in module.body:
        if isinstance(item, cst.SimpleStatementLine):
            kept = [small for small in map(without(unused), item.body) if small]
            if not kept and item.body:
                lines += [line for line in item.leading_lines if line.comment or not body]
                continue
            if len(kept) != len(item.body):
                kept[-1] = kept[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            item = item.with_changes(body=kept)
        if lines:
            item = item.with_changes(leading_lines=[*lines, *item.leading_lines])
            lines = []
        body.append(item)
    return module.with_changes(body=body)


def without(
    unused: set[str],
) -> Callable[[cst.BaseSmallStatement], cst.BaseSmallStatement | None]:
    """Return a function that takes unused names out of an import; None if none is left."""

    def shorten(small: cst.BaseSmallStatement) -> cst.BaseSmallStatement | None:
        if not isinstance(small, cst.Import | cst.ImportFrom):
            return small
        if isinstance(small.names, cst.ImportStar):
            return small
        names = [alias for alias in small.names if bound_name(alias) not in unused]
        if len(names) == len(small.names):
            return small
        if not names:
            return None
        names[-1] = names[-1].with_changes(comma=small.names[-1].comma)
        return small.with_changes(names=names)

    return shorten


def bound_name(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name.split(".")[0]


def used_names(tree: ast.Module) -> set[str]:
    """Return the names that a module reads, and the texts that may name one, as in `__all__`."""
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used.add(node.value)
    return used
