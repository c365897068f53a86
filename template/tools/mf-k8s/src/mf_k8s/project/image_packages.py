"""Which packages of uv.lock the image gets, and which of them come from this machine."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from .k8s_toml import read_toml
from .uv_lock import workspace_of

COMMENT = re.compile(r"^\s*#.*\n?", re.MULTILINE)
LINE_END = re.compile(r"\\[ \t]*\n")  # of a command that goes on
OPTION = re.compile(r"--(extra|group)[= ]+([\w.-]+)")
LOCAL = ("directory", "editable", "path", "virtual")  # of a package's source in uv.lock
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """The extras and dependency groups of the project that its image has."""

    extras: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)

    def requirements(self, root: Path) -> list[str] | None:
        """Return what pyproject.toml wants in the image; None if it lists no dependencies."""
        text = read_toml(root / "pyproject.toml")
        project = text.get("project", {})
        if (found := project.get("dependencies")) is None:
            return None
        extras = named(project.get("optional-dependencies", {}), self.extras)
        groups = text.get("dependency-groups", {})
        return [*found, *(need for needs in extras for need in needs), *of_groups(groups, self)]


def chosen(root: Path) -> Chosen:
    """Return what the Dockerfile's `uv sync` adds by --extra and --group."""
    file = root / "Dockerfile"
    return chosen_in(file.read_text("utf-8", errors="replace") if file.exists() else "")


def chosen_in(dockerfile: str) -> Chosen:
    """Return the names behind --extra and --group in the text of a Dockerfile."""
    found = Chosen()
    for instruction in LINE_END.sub(" ", COMMENT.sub("", dockerfile)).splitlines():
        if "uv sync" in instruction:
            for kind, name in OPTION.findall(instruction):
                (found.extras if kind == "extra" else found.groups).add(canonicalize_name(name))
    return found


def named(tables: Table, names: Iterable[str]) -> Iterator[Any]:
    """Yield the values of tables whose keys are these names, as Python spells them."""
    wanted = {*names}
    yield from (value for key, value in tables.items() if canonicalize_name(key) in wanted)


def of_groups(groups: Table, choice: Chosen) -> Iterator[str]:
    """Yield the requirements of the chosen groups, and of those that they include."""
    waiting, seen = [*choice.groups], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            for need in (each for needs in named(groups, [name]) for each in needs):
                if isinstance(need, str):
                    yield need
                else:
                    waiting.append(canonicalize_name(need.get("include-group", "")))


def packages_of_image(root: Path, lock: Table, choice: Chosen) -> dict[str, list[Table]]:
    """Return the entries that the image gets of a uv.lock, by name; the project itself left out."""
    project = canonicalize_name(str(read_toml(root / "pyproject.toml")["project"].get("name", "")))
    packages: dict[str, list[Table]] = {}
    for package in lock.get("package", []):
        packages.setdefault(package["name"], []).append(package)
    needed: dict[str, list[Table]] = {}
    seen: set[tuple[str, str]] = set()  # names, each with an extra
    waiting: list[tuple[str, str]] = [(project, ""), *((project, each) for each in choice.extras)]
    for entry in packages.get(project, []):
        for needs in named(entry.get("dev-dependencies", {}), choice.groups):
            waiting += [each for need in needs for each in with_extras(need)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        needed[name] = packages.get(name, [])
        for entry in needed[name]:
            optional = entry.get("optional-dependencies", {})
            needs = optional.get(extra, []) if extra else entry.get("dependencies", [])
            waiting += [each for need in needs for each in with_extras(need)]
    return {name: entries for name, entries in needed.items() if name != project}


def with_extras(need: Table) -> Iterator[tuple[str, str]]:
    """Yield the name of a dependency in uv.lock, alone and with each of its extras."""
    yield from ((need["name"], extra) for extra in ("", *need.get("extra", ())))


def local_sources(root: Path) -> dict[str, Path]:
    """Return the folders and files of this machine that the image's packages are built from."""
    folder = workspace_of(root) or root
    lock = read_toml(folder / "uv.lock")
    packages = packages_of_image(root, lock, chosen(root))
    sources = (
        (name, entry.get("source", {})) for name in sorted(packages) for entry in packages[name]
    )
    return {
        name: Path(os.path.abspath(folder / source[kind]))
        for name, source in sources
        for kind in LOCAL
        if kind in source
    }
