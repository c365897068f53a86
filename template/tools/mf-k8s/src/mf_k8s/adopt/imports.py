"""The imports of an adopted file: one more, and those that nothing needs any more."""

import ast
from collections.abc import Mapping, Sequence

from ..project.project import Project
from .bound_names import imports
from .python_file import Source, read_source
from .text_edits import TextEdits


def with_new_imports(
    project: Project, source: Source, content: bytes, names: Mapping[str, str]
) -> bytes:
    """Return the content of an adopted file with the imports that it needs.

    `names` are those under which it uses BaseFlow and k8s.
    """
    edits, tree = TextEdits(content), ast.parse(content)
    lines = rows(tree.body)
    if names:
        add_imports(edits, lines, import_lines(project, source, names), project)
    before = used_names(source.tree) | used_names(source.original)
    unused = before - used_names(tree)
    for row in lines:
        drop_imports(edits, row, unused)
    return edits.result()[0]


def rows(body: Sequence[ast.stmt]) -> list[list[ast.stmt]]:
    """Return the statements of a module; those that share a line are together."""
    found: list[list[ast.stmt]] = []
    for statement in body:
        if found and statement.lineno == found[-1][-1].end_lineno:
            found[-1].append(statement)
        else:
            found.append([statement])
    return found


def import_lines(project: Project, source: Source, names: Mapping[str, str]) -> list[str]:
    """Return the imports of BaseFlow and k8s, from the package or, where need be, its base.py."""
    package = project.source / project.package
    inside = source.file.is_relative_to(package.resolve())
    exported: set[str] = set()
    if not inside and (package / "__init__.py").is_file():
        exported |= read_source(package / "__init__.py").imported.keys()
    module = project.package if exported >= {"BaseFlow", "k8s"} else f"{project.package}.base"
    items = [name if name == used else f"{name} as {used}" for name, used in names.items()]
    if items == [*names]:
        items = [", ".join(items)]
    return [f"from {module} import {item}" for item in items]


def add_imports(
    edits: TextEdits, rows: Sequence[Sequence[ast.stmt]], lines: Sequence[str], project: Project
) -> None:
    """Add imports where a person would write them.

    That is before the first import of the project's package or of a neighbour, or after all others.
    """
    text = "".join(f"{line}{edits.line_end}" for line in lines)
    place, blank_above = 1, ""
    for row in rows:
        is_docstring = place == 1 and isinstance(row[0], ast.Expr)
        if not is_docstring and not all(
            isinstance(each, ast.Import | ast.ImportFrom) for each in row
        ):
            break
        found = [origin for _, origin, _ in imports(ast.Module([*row], []))]
        packages = {"" if each.level else each.module.split(".")[0] for each in found}
        if packages & {project.package, ""}:
            blank = "" if project.package in packages else edits.line_end
            edits.insert(edits.line_start(row[0].lineno), text + blank)
            return
        place, blank_above = (row[-1].end_lineno or 0) + 1, edits.line_end
    edits.insert(edits.line_start(place), blank_above + text)


def drop_imports(edits: TextEdits, row: Sequence[ast.stmt], unused: set[str]) -> None:
    """Take unused names out of the imports of a line, or the line out of the file."""
    gone = []
    for statement in row:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            names = [alias for alias in statement.names if bound_name(alias) in unused]
            if len(names) == len(statement.names):
                gone.append(statement)
            else:
                edits.remove_items(statement.names, names)
    if len(gone) < len(row):
        edits.remove_items(row, gone)
        return
    first = row[0].lineno
    while first > 1 and not edits.line_text(first - 1).strip():
        first -= 1
    edits.remove_lines(first, row[-1].end_lineno or first)


def bound_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def used_names(tree: ast.Module) -> set[str]:
    """Return the names that a module reads, and the texts that may name one, as in `__all__`."""
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used.add(node.value)
    return used
