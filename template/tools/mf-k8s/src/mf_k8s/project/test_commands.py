"""The commands that `k8s test` runs: finds their programs, and runs them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..programs.run import UV
from ..show.progress import stage
from .project import TABLE, Project, read_table, shown_path


def listed_commands(project: Project) -> list[str]:
    """Return the lines of `test` in [tool.mf-k8s]; raise CommandError if there are none."""
    file = project.root / "pyproject.toml"
    lines: Any = (read_table(file) or {}).get("test")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        raise CommandError(
            f"{shown_path(file)}: [tool.{TABLE}] must list what `k8s test` runs,"
            ' like test = ["ruff check", "mypy", "pytest"]'
        )
    return lines


def program_of(line: str, project: Project) -> list[str]:
    """Return the words of a command, the first one as a path; raise CommandError without it.

    It is looked for in the environment of this Python, then on PATH, then beside uv.
    """
    words = split(line, project)
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), os.path.dirname(UV)]
    program = shutil.which(words[0], path=os.pathsep.join(filter(None, folders)))
    if not program:
        fault = "is not there, or no program: correct it"
        if not os.path.dirname(words[0]):
            fault = f"is not installed: uv add --dev {words[0]}"
        file = shown_path(project.root / "pyproject.toml")
        raise CommandError(f"{words[0]} {fault}, or take `{line}` out of test in {file}")
    return [program, *words[1:]]


def split(line: str, project: Project) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed
        words = []
    if not words:
        file = shown_path(project.root / "pyproject.toml")
        raise CommandError(f"{file}: [tool.{TABLE}] test: {line!r} is not a command, like mypy")
    return words


def passes(line: str, program: list[str], project: Project) -> bool:
    """Run a command in the project's folder, print its result, and return whether it passes."""
    print(f"$ {line}", flush=True)
    with stage(line, spin=False) as running:
        code = subprocess.run(program, cwd=project.root).returncode
        running.result = "passed" if code == 0 else f"FAILED, exit code {code}"
    return code == 0
