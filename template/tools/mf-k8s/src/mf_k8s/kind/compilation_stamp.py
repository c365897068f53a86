"""What a compilation of the flows depends on: `kind up` compiles them again when it changes."""

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from ..metaflow.compile_flows import OF_THE_USER
from ..programs.run import process_variables
from ..project.project import Project
from ..project.tool_table import TABLE

# Variables that a shell changes by itself. A flow may read any other when it is imported.
OF_THE_SHELL = {"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL"}


def compilation_stamp(project: Project) -> str:
    """Return a text that is another one as soon as the flows may compile to something else.

    It is a hash, because variables may hold secrets.
    """
    variables = sorted(
        f"{name}={value}"
        for name, value in (process_variables() | project.variables).items()
        if name not in OF_THE_SHELL and not name.startswith(OF_THE_USER)
    )
    files = sorted({project.config_file, *project_files(project.root), *installed_files(project)})
    times = [f"{file} {file.stat().st_mtime_ns}" for file in files if file.exists()]
    text = "\n".join([version(TABLE), sys.version, *variables, *times])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def installed_files(project: Project) -> Iterator[Path]:
    """Yield what changes when a package is installed, or edited where it is installed editable.

    Such a package's folder is on sys.path, like those of PYTHONPATH.
    """
    for name in ("purelib", "platlib"):  # a folder changes with what is in it
        yield Path(sysconfig.get_path(name))
    home = Path(os.path.expanduser("~"))  # Path.home() fails where a container's user has none
    for folder in map(Path, filter(None, sys.path)):
        is_pythons = folder.is_relative_to(sys.prefix) or folder.is_relative_to(sys.base_prefix)
        is_above = project.root.is_relative_to(folder) or home.is_relative_to(folder)
        if not (is_pythons or is_above or folder.is_relative_to(project.root)):
            yield from (file for file in project_files(folder) if file.suffix == ".py")


def project_files(root: Path) -> Iterator[Path]:
    """Yield every file of a project that a flow may read when it compiles, in order.

    Hidden folders, as .venv and .kind are, and caches are left out.
    """
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__pycache__"
        )
        yield from (Path(folder, name) for name in sorted(files))
