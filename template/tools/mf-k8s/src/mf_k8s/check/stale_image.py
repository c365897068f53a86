"""Notes that what the image is built of has changed while its tag has not."""

import os
import tomllib
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from ..programs.run import git_or_nothing
from ..project.k8s_toml import read_toml
from ..project.project import Project
from ..project.uv_lock import lock_path

MOST_SHOWN = 3  # packages in a message


def stale_image_notes(project: Project, commit: str = "") -> list[str]:
    """Return a note if what the image is built of has changed since a commit, but not its tag.

    The commit is by default the one that wrote the tag into k8s.toml. There is no note without a
    Dockerfile, uv.lock or git. It is no error, because the image may not have been built yet.
    """
    root, lock = project.root, lock_path(project.root)
    config = root / "k8s.toml"
    if not all(file.exists() for file in (root / "Dockerfile", root / lock, config)):
        return []
    image = str(read_toml(config).get("image", ""))
    commit = commit or git_or_nothing(root, "log", "-1", "--format=%H", f"-S{image}", "--", config)
    if not commit or parsed(text_at(root, commit, "k8s.toml")).get("image") != image:
        return []
    changed = changed_packages(root, root / lock, text_at(root, commit, lock))
    if (
        text_at(root, commit, "Dockerfile")
        != (root / "Dockerfile").read_text("utf-8", errors="replace").strip()
    ):
        changed.append("Dockerfile")
    if not changed:
        return []
    more = f" and {len(changed) - MOST_SHOWN} more" if len(changed) > MOST_SHOWN else ""
    shown = ", ".join(changed[:MOST_SHOWN])
    return [
        f"what the image is built of changed ({shown}{more}), but the tag of {image} did not: run"
        " `uv run k8s image --bump`"
    ]


def text_at(root: Path, commit: str, file: str) -> str:
    shown = git_or_nothing(root, "show", f"{commit}:./{file}")
    return os.fsencode(shown).decode()  # it is no name of a file


def parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return {}


def changed_packages(root: Path, lock: Path, old_lock: str) -> list[str]:
    """Return the packages of the image that a uv.lock has in another version, or not at all."""
    if not old_lock:
        return []
    project = read_toml(root / "pyproject.toml").get("project", {})
    name = canonicalize_name(str(project.get("name", "")))
    old = image_packages(parsed(old_lock), name)
    new = image_packages(read_toml(lock), name)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def image_packages(lock: dict[str, Any], project: str) -> dict[str, set[str]]:
    """Return the versions of what a project needs without its groups, by name; itself left out."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in lock.get("package", []):
        packages.setdefault(package["name"], []).append(package)
    needed: dict[str, set[str]] = {}
    waiting = [project]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        found = packages.get(name, [])
        needed[name] = {str(package.get("version", "")) for package in found}
        for package in found:
            extras = package.get("optional-dependencies", {}).values()
            for needs in (package.get("dependencies", []), *extras):
                waiting += [need["name"] for need in needs]
    return {name: versions for name, versions in needed.items() if name != project}
