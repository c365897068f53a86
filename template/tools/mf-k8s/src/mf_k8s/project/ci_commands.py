"""The commands that `k8s test` runs: finds their programs, and runs them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import UV, missing_program, process_variables
from ..show.progress import stage
from .project import Project, shown_path
from .tool_table import read_table, table_finding

# What may mend the failure of a command that a new project lists
REMEDIES = {
    "uv lock --check": "uv lock",
    "ruff check": "uv run ruff check --fix",
    "ruff format --check": "uv run ruff format",
}


def listed_commands(project: Project) -> list[str]:
    """Return the lines of `test` in [tool.mf-k8s]; raise CommandError if there are none."""
    file = project.root / "pyproject.toml"
    lines: Any = (read_table(file) or {}).get("test")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, str) for line in lines):
        example = 'test = ["ruff check", "mypy", "pytest"]'
        raise CommandError(table_finding(file, "", "must list what `k8s test` runs", example))
    return lines


def program_of(line: str, project: Project) -> list[str]:
    """Return the words of a command, the first one as a path; raise CommandError without it.

    It is looked for in the environment of this Python, then on PATH, then beside uv.
    """
    words = split(line, project)
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), os.path.dirname(UV)]
    program = shutil.which(words[0], path=os.pathsep.join(filter(None, folders)))
    if not program and words[0] == "uv":
        raise CommandError(missing_program(words[0]))
    if not program:
        fault, remedy = "is not there, or no program", "correct it"
        if not os.path.dirname(words[0]):
            fault, remedy = "is not installed", f"uv add --dev {words[0]}"
        remedy += f", or take `{line}` out of test in {shown_path(project.root / 'pyproject.toml')}"
        finding = Finding("test-program-missing", f"{words[0]} {fault}", words[0], remedy)
        raise CommandError(finding)
    return [program, *words[1:]]


def split(line: str, project: Project) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # a quote that is not closed
        words = []
    if not words:
        fault = f"test: {line!r} is not a command"
        raise CommandError(table_finding(project.root / "pyproject.toml", "", fault, "mypy"))
    return words


def passes(line: str, program: list[str], project: Project) -> bool:
    """Run a command in the project's folder, print its result, and return whether it passes."""
    print(f"$ {line}", flush=True)
    variables = process_variables() | project.variables
    with stage(line, spin=False) as running:
        code = subprocess.run(program, cwd=project.root, env=variables).returncode
        running.result = "passed" if code == 0 else f"FAILED, exit code {code}"
    return code == 0


def failure(line: str) -> str:
    """Return what is printed last of a command that failed: how to run it, and what may mend it."""
    remedy = REMEDIES.get(line)
    return f"failed: uv run {line}" + (f"; try `{remedy}`" if remedy else "")
