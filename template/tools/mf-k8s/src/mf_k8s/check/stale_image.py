"""Notes that what the image is built of has changed while its tag has not."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..programs.run import git_or_nothing
from ..project.image_packages import chosen, chosen_in, local_sources, packages_of_image
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
    changed = changed_packages(root, root / lock, commit)
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


def changed_packages(root: Path, lock: Path, commit: str) -> list[str]:
    """Return the packages of the image that are others than at a commit, or not there at all.

    One that is built from a folder or a file of this machine keeps its version, so git says
    whether that was edited.
    """
    old_lock, folder = text_at(root, commit, os.path.relpath(lock, root)), lock.parent
    if not old_lock:
        return []
    then = chosen_in(text_at(root, commit, "Dockerfile"))
    old = packages_of_image(root, parsed(old_lock), then)
    new = packages_of_image(root, read_toml(lock), chosen(root))
    names = {name for name in old.keys() | new.keys() if facts(old, name) != facts(new, name)}
    for name, path in local_sources(root).items():
        if name not in names and git_or_nothing(folder, "diff", "--name-only", commit, "--", path):
            names.add(name)
    return sorted(names)


def facts(packages: Mapping[str, list[Any]], name: str) -> list[tuple[Any, Any]] | None:
    """Return the versions and sources of a package."""
    entries = packages.get(name)
    return entries and [(entry.get("version"), entry.get("source")) for entry in entries]
