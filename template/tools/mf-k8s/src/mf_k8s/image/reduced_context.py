"""What `docker build` gets, with a pyproject.toml that lacks what only laptops and CI read of it.

Docker builds a layer anew if a file that goes into it has changed. The packages' layer needs
pyproject.toml, and would be built anew, and pulled by each node, after an edit of ruff's settings.
"""

import contextlib
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .build_context import BuildContext

OF_LAPTOPS = ("mf-k8s", "mypy", "pytest", "ruff")  # tables of [tool]
LETS_IN = re.compile(r"!/?(?!.*\.\.)[\w./-]+")  # a path below, without wildcards
COPIES = re.compile(r"^\s*(COPY|ADD)\s", re.IGNORECASE | re.MULTILINE)


@contextlib.contextmanager
def reduced_context(context: BuildContext) -> Iterator[BuildContext]:
    """Yield the context with a copy that Docker gets, or as it is where that is not the same.

    It is not where the ignore file has patterns, or the Dockerfile copies files into the image.
    The copy is in the environment: git ignores that, and Docker as a snap does not see /tmp.
    """
    everything, *lines = context.patterns or [""]
    copies = COPIES.search(context.dockerfile.read_text("utf-8", errors="replace"))
    if copies or everything != "*" or not all(LETS_IN.fullmatch(line) for line in lines):
        yield context
        return
    place = sys.prefix if os.access(sys.prefix, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="image-", dir=place) as folder:
        for line in lines:
            path = line.strip("!/")
            copy_path(context.folder / path, Path(folder, path))
        file = Path(folder, context.relative_project, "pyproject.toml")
        file.write_text(reduced(file.read_text("utf-8-sig")), "utf-8")
        yield replace(context, sent=Path(folder))


def copy_path(source: Path, destination: Path) -> None:
    """Copy a file or a folder, with symbolic links as they are, if there is one."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy2(source, destination)


def reduced(pyproject: str) -> str:
    """Return pyproject.toml with what uv reads, and without comments."""
    import tomlkit

    settings = tomllib.loads(pyproject)
    settings.get("project", {}).pop("description", None)
    for table in OF_LAPTOPS:
        settings.get("tool", {}).pop(table, None)
    return tomlkit.dumps(settings)
