"""Finds what a flow imports and its pods lack.

A pod has the modules that Metaflow sends along, and its image, which has `dependencies` of
pyproject.toml, the extras and groups that the Dockerfile names, and what those need. This Python
has more: the groups dev and ops, folders of this machine, and what was installed by hand. With
`--environment=pypi` a step has the packages of its @pypi instead of the image's.
"""

import ast
import functools
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ..pods.flow_facts import FlowFacts
from ..project.image_packages import chosen, local_sources
from ..project.project import Project, shown_path
from ..project.uv_lock import lock_path

OPTIONAL = re.compile(r"\b(ImportError|ModuleNotFoundError|Exception)\b")  # around an import
CONDITION = re.compile(r"TYPE_CHECKING|\b(version_info|platform|os\.name|find_spec)\b")
# Packages that --environment=pypi gives to every step (get_pinned_conda_libs in metaflow_config.py)
PINNED = (
    *("boto3", "requests", "packaging"),
    *("azure-identity", "azure-storage-blob", "azure-keyvault-secrets"),
    *("google-cloud-storage", "google-auth", "google-cloud-secret-manager"),
)


def unlisted_imports(project: Project, file: Path, flow: FlowFacts) -> list[str]:
    """Return a line for each module that a flow imports and its pods lack.

    Imports of the project's modules that it imports count too. Left out are steps with packages of
    their own, and projects that list their packages elsewhere than in pyproject.toml.
    """
    dependencies = chosen(project.root).requirements(project.root)
    if dependencies is None:
        return []
    lines: dict[str, str] = {}
    present = {*sys.stdlib_module_names, *flow["sent_modules"]}
    for packages, requirements in ([], PINNED), (None, tuple(dependencies)):
        steps = {step for step, own in flow["packages"].items() if own == packages}
        others = flow["packages"].keys() - steps
        for importer, name in imports(project, file, others) if steps else ():
            module = name.partition(".")[0]
            if module in present or module in lines:
                continue
            if reason := reason_missing(project, module, requirements):
                lines[module] = f"{shown_path(importer)} imports {module}, {reason}"
    return [*lines.values()]


def reason_missing(project: Project, module: str, requirements: tuple[str, ...]) -> str:
    """Return why pods lack a module and what to do; nothing if a requirement brings it."""
    folders = {name: folder_of(name) for name in distributions().get(module, ())}
    if any(folders.values()):
        built = packages_built_here(project.root)
        folders |= {name: None for name in folders if canonicalize_name(name) in built}
    found = [name for name, folder in folders.items() if not folder]
    if with_dependencies(requirements).intersection(map(canonicalize_name, found)):
        return ""
    folder = next(filter(None, folders.values()), None) or folder_on_path(project, module)
    if folder and is_built_here(project.root, folder):
        return ""
    if folder:
        return (
            f"which pods do not get, because it is in {shown_path(folder)} on this machine: move it"
            f" into {shown_path(project.source / project.package)}, publish it as a package, or"
            " send it along by Metaflow's @package_sources"
        )
    if requirements == PINNED:
        return (
            "which a step without packages of its own lacks with --environment=pypi: write it into"
            " the step's @pypi, or into @pypi_base of the flow"
        )
    if found:
        return f"which pyproject.toml does not list, so the image may lack it: uv add {found[0]}"
    if find_spec(module):  # in no package with a name
        return ""
    return "which is not installed: add the package that has it, by uv add"


@functools.cache
def packages_built_here(root: Path) -> dict[str, Path]:
    """Return the packages that the image gets from folders of this machine, by uv.lock."""
    files = (root / "Dockerfile", root / lock_path(root))
    return local_sources(root) if all(file.exists() for file in files) else {}


def is_built_here(root: Path, folder: Path) -> bool:
    """Return whether the image gets what is in a folder of this machine."""
    return any(folder.is_relative_to(path) for path in packages_built_here(root).values())


def folder_of(distribution: str) -> Path | None:
    """Return the folder of this machine that a distribution was installed from, if any."""
    text = importlib.metadata.distribution(distribution).read_text("direct_url.json")
    origin = json.loads(text or "{}")
    return Path(unquote(urlsplit(origin["url"]).path)) if "dir_info" in origin else None


def folder_on_path(project: Project, module: str) -> Path | None:
    """Return where a module is that is not installed, but on Python's path.

    An editable package, such as another member of a uv workspace, or another one in src/.
    """
    for path in (project.source / module, project.source / f"{module}.py"):
        if path.exists():
            return path
    spec = find_spec(module)
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
    for place in map(Path, filter(None, places)):
        installed = {"site-packages", "dist-packages"} & {*place.parts}
        if place.is_absolute() and not (installed or place.is_relative_to(sys.base_prefix)):
            return place
    return None


def find_spec(module: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except ValueError:  # loaded here without one
        return None


@functools.cache
def distributions() -> dict[str, list[str]]:
    """Return the installed distributions that have a module, by its name."""
    return {name: [*names] for name, names in importlib.metadata.packages_distributions().items()}


@functools.cache
def with_dependencies(requirements: tuple[str, ...]) -> set[str]:
    """Return the names of the required distributions and of their dependencies, if installed."""
    seen: set[tuple[str, str]] = set()  # names, each with an extra, because extras may form circles
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, canonicalize_name(extra)) not in seen:
                seen.add((name, canonicalize_name(extra)))
                waiting += [
                    need
                    for need in requirements_of(name)
                    if not need.marker or need.marker.evaluate({"extra": extra})
                ]
    return {name for name, _ in seen}


@functools.cache
def requirements_of(distribution: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in importlib.metadata.requires(distribution) or ()]
    except importlib.metadata.PackageNotFoundError:
        return []


def imports(project: Project, flow: Path, others: Set[str]) -> Iterator[tuple[Path, str]]:
    """Yield what a flow's file and the project's modules that it imports import, with the importer.

    Functions named as one of the `others`, steps that are left out, do not count.
    """
    for file, names in imported_by(project, flow, others):
        yield from ((file, name) for name in names)


def imported_by(
    project: Project, flow: Path, others: Set[str]
) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield a flow's file, and each module of the project that it imports, with what it imports."""
    waiting, seen = [flow], {flow}
    while waiting:
        file = waiting.pop(0)
        folder = project.source if file.is_relative_to(project.source) else flow.parent
        package = ".".join(file.relative_to(folder).parent.parts) if file != flow else ""
        names = sorted(imported_names(file, package, others))
        yield file, names
        for name in names:
            parts = name.split(".")
            for path in (
                folder.joinpath(*parts[:end])
                for folder in (flow.parent, project.source)
                for end in range(1, len(parts) + 1)
            ):
                for module in (path.with_suffix(".py"), path / "__init__.py"):
                    if module.is_file() and module not in seen:
                        seen.add(module)
                        waiting.append(module)


def imported_names(file: Path, package: str, others: Set[str]) -> set[str]:
    """Return the modules that a file of a package imports, `a.b` of `from a import b` too.

    Left out are those for type checkers and those that may be missing.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if is_optional(node) or isinstance(node, ast.FunctionDef) and node.name in others:
            continue
        waiting.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join(filter(None, [*parents, node.module]))
            if module:
                names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def is_optional(node: ast.AST) -> bool:
    """Return whether imports in a statement are for type checkers, or may fail."""
    if isinstance(node, ast.If):
        return bool(CONDITION.search(ast.unparse(node.test)))
    if isinstance(node, ast.With):
        return any(OPTIONAL.search(ast.unparse(item)) for item in node.items)
    if isinstance(node, ast.Try):
        types = [handler.type for handler in node.handlers]
        return any(not kind or OPTIONAL.search(ast.unparse(kind)) for kind in types)
    return False
