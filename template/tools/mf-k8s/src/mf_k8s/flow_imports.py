"""Finds what flows import that the image lacks: packages that pyproject.toml does not list.

An image is built of `dependencies` in pyproject.toml and what those need. This Python has more: the
groups dev and ops, and what was installed by hand.
"""

import ast
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .config import read_toml
from .project import Project, shown_path

OWN_PACKAGES = re.compile(r"\b(pypi|conda)(_base)?\b")  # decorators that bring a step's packages
OPTIONAL = {"ImportError", "ModuleNotFoundError", "Exception"}  # of a `try` around an import


def unlisted_imports(project: Project, flow: Path) -> list[str]:
    """Return a line for each package that a flow imports and pyproject.toml does not bring.

    The project's modules that the flow imports count too. Left out are flows with @pypi or @conda,
    which bring packages themselves, and packages that are not installed here: those fail anyway.
    """
    dependencies = read_toml(project.root / "pyproject.toml").get("project", {}).get("dependencies")
    if dependencies is None:
        return []
    listed = with_dependencies(tuple(dependencies))
    lines: dict[str, str] = {}
    for file in own_files(project, flow):
        text = file.read_text(encoding="utf-8", errors="replace")
        if OWN_PACKAGES.search(text):
            return []
        for name in sorted({name.partition(".")[0] for name in imported_names(text)}):
            found = [] if is_own_module(name, project, flow) else distributions().get(name, [])
            if found and not listed.intersection(map(canonicalize_name, found)):
                lines[found[0]] = (
                    f"{shown_path(file)} imports {name}, which the image lacks, because"
                    f" pyproject.toml does not list it: uv add {found[0]}"
                )
    return list(lines.values())


@functools.cache
def distributions() -> dict[str, list[str]]:
    """Return the installed distributions that have a module, by its name."""
    found = importlib.metadata.packages_distributions()
    return {name: names for name, names in found.items() if name not in sys.stdlib_module_names}


@functools.cache
def with_dependencies(requirements: tuple[str, ...]) -> set[str]:
    """Return the names of the required distributions and of their dependencies, if installed."""
    names: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names and not requirement.extras:
            continue
        names.add(name)
        try:
            dependencies = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        extras = requirement.extras or {""}
        for dependency in map(Requirement, dependencies):
            marker = dependency.marker
            if not marker or any(marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(dependency)
    return names


def own_files(project: Project, flow: Path) -> Iterator[Path]:
    """Yield a flow's file and the project's modules that it imports, and those that they import."""
    waiting, seen = [flow], {flow}
    while waiting:
        file = waiting.pop()
        yield file
        for name in imported_names(file.read_text(encoding="utf-8", errors="replace")):
            for folder in (flow.parent, project.source):
                path = folder.joinpath(*name.split("."))
                for module in (path.with_suffix(".py"), path / "__init__.py"):
                    if module.is_file() and module not in seen:
                        seen.add(module)
                        waiting.append(module)


def is_own_module(name: str, project: Project, flow: Path) -> bool:
    paths = [folder / name for folder in (flow.parent, project.source)]
    return any(path.is_dir() or path.with_suffix(".py").is_file() for path in paths)


def imported_names(text: str) -> set[str]:
    """Return the modules that a file imports, `a.b` of `from a import b` too.

    Left out are relative ones, those for type checkers and those that may be missing.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    skipped = {
        id(inner) for node in ast.walk(tree) if is_optional(node) for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def is_optional(node: ast.AST) -> bool:
    """Return whether imports in a statement are for type checkers, or may fail."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.Try):
        handled = [ast.unparse(handler.type) if handler.type else "" for handler in node.handlers]
        return any(OPTIONAL & {*re.findall(r"\w+", text)} or not text for text in handled)
    return False
