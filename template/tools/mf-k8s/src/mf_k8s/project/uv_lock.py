"""Where a project's uv.lock is: in its folder, or in that of the uv workspace it belongs to."""

import os
from pathlib import Path

from .k8s_toml import read_toml


def lock_path(root: Path) -> str:
    """Return the path of a project's uv.lock, which need not exist, from the project's folder."""
    return os.path.relpath((workspace_of(root) or root) / "uv.lock", root)


def workspace_of(root: Path) -> Path | None:
    """Return the folder of the uv workspace that a project is a member of, or None.

    As uv does, the nearest pyproject.toml above that has a project or a workspace decides.
    """
    for folder in root.parents:
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        settings = read_toml(file)
        workspace = settings.get("tool", {}).get("uv", {}).get("workspace")
        if workspace is not None:
            included = is_in(folder, workspace.get("members", ()), root)
            excluded = is_in(folder, workspace.get("exclude", ()), root)
            return folder if included and not excluded else None
        if "project" in settings:
            return None
    return None


def is_in(folder: Path, patterns: list[str], root: Path) -> bool:
    """Return whether a project is in one of a workspace's patterns, as `./teams/*/` or `.`."""
    relative = (os.path.relpath(folder / pattern, folder) for pattern in patterns)
    return any(root in folder.glob(pattern) for pattern in relative if pattern != os.curdir)
