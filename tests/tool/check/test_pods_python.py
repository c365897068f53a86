"""What `check` and `plan` say where this Python, or what code needs, is not that of the pods."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from churn_package import project
from mf_k8s.check.pods_python import ADDED, REMOVED, code_for_other_pythons, python_notes
from mf_k8s.metaflow.compile_remedies import with_remedy
from mf_k8s.project.project import Project
from mf_k8s.project.python_version import of_dockerfile, pods_python

__all__ = ["project"]  # fixtures

HERE = f"3.{sys.version_info.minor}"
IMAGES = {
    "FROM python:3.12-slim\n": (3, 12),
    "FROM --platform=linux/amd64 a.example:5000/base/python:3.9@sha256:1a\n": (3, 9),
    "from ghcr.io/astral-sh/uv:0.9-python3.13-trixie\n": (3, 13),
    "ARG VERSION=3.12\nFROM python:${VERSION}-slim\n": (3, 12),
    'ARG BASE="a.example/python-3.11:1"\nFROM $BASE\n': (3, 11),
    "FROM python:3.11 AS build\nRUN true\nFROM python:3.13-slim\n": (3, 13),
    "FROM python:3.11 AS Base\nFROM debian:12 AS files\nFROM base\n": (3, 11),
    "FROM python:3.11 AS build\nFROM debian:3.12\n": None,
    "FROM pytorch/pytorch:2.9.1-cuda12.8\n": None,
    "# FROM python:3.12\nRUN true\n": None,
}


@pytest.mark.parametrize(("text", "version"), IMAGES.items())
def test_python_of_a_dockerfile(tmp_path: Path, text: str, version: Any) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    assert of_dockerfile(tmp_path) == version


@pytest.mark.parametrize(
    ("text", "version"),
    [("3.12\n", (3, 12)), ("# ours\ncpython@3.11.7\n", (3, 11)), ("pypy\n", None), ("", None)],
)
def test_python_of_a_project_with_an_existing_image(
    tmp_path: Path, text: str, version: Any
) -> None:
    (tmp_path / ".python-version").write_text(text)
    assert pods_python(tmp_path) == version


def write(project: Project, **files: str) -> None:
    names = {"dockerfile": "Dockerfile", "version": ".python-version", "tools": "pyproject.toml"}
    for name, text in files.items():
        (project.root / names[name]).write_text(text)


def test_files_that_differ_are_named(project: Project) -> None:
    """A target of a linter that is older than the pods' Python is right."""
    assert list(python_notes(project)) == []
    write(project, dockerfile="FROM python:3.12-slim\n", version="3.13\n")
    write(
        project, tools='[tool.ruff]\ntarget-version = "py314"\n[tool.mypy]\npython_version="3.11"'
    )
    assert list(python_notes(project)) == [
        "pods have Python 3.12, by the Dockerfile, and other files say otherwise: .python-version"
        " 3.13, target-version of [tool.ruff] 3.14. Correct them, or have one written into all:"
        " `uvx copier update --defaults -r :current: --data python_version=3.12`"
    ]
    write(project, dockerfile=f"FROM python:{HERE}\n", version=f"{HERE}\n")
    write(project, tools=f'[tool.ruff]\ntarget-version = "py{HERE.replace(".", "")}"')
    assert list(python_notes(project)) == []


OTHER = (
    f"pods have Python 3.99, and this is {HERE}, which may get other packages from uv.lock: `uv"
    " sync --python 3.99`, without UV_PYTHON, gives you theirs"
)


def test_another_python_here(project: Project) -> None:
    """It is said of the project, and of a flow that does not compile with it."""
    write(project, version="3.99\n")
    assert list(python_notes(project)) == [OTHER]
    flow, root = project.root / "flows/beside.py", project.root
    for error in ("SyntaxError: invalid syntax (a.py, line 1)", "ModuleNotFoundError: No module"):
        assert with_remedy(error, flow, root) == f"{error}; {OTHER}"
    assert with_remedy("ValueError: no", flow, root) == "ValueError: no"
    flow.write_text("import os\n<<<<<<< before updating\n")
    assert with_remedy("SyntaxError: invalid syntax", flow, root) == (
        "flows/beside.py has a conflict in line 2: choose what stays of the lines between <<<<<<<"
        " and >>>>>>>"
    )


def test_a_package_that_is_not_installed(project: Project) -> None:
    """A module that the project's own package lacks is no package to add."""
    flow = project.root / "flows/beside.py"
    error = "ModuleNotFoundError: No module named 'pandas.io'"
    assert with_remedy(error, flow, project.root) == (
        f"{error}; `uv add` the package that has it; a module of the project belongs in src/"
    )
    error = f"ModuleNotFoundError: No module named '{project.package}.no_such_module'"
    assert with_remedy(error, flow, project.root) == error


def code(project: Project, text: str, **packages: Any) -> list[str]:
    (project.root / "flows/score.py").write_text(text)
    facts: Any = {"packages": {"start": None, **packages}, "sent_modules": ["churn", "chunk"]}
    return list(code_for_other_pythons(project, project.root / "flows/score.py", facts))


def test_code_that_the_pods_python_does_not_know(project: Project) -> None:
    """Of the flow, and of the project's modules that it imports, if they import nothing, too."""
    write(project, dockerfile="FROM python:3.9-slim\n")
    (project.root / "src/churn/old.py").write_text("match 1:\n    case 1:\n        pass\n")
    found = code(project, "import tomllib, chunk\nfrom churn import old\n")
    assert found == [
        "flows/score.py imports tomllib, which Python has from 3.11 on, and pods have 3.9",
        "src/churn/old.py: Pattern matching is only supported in Python 3.10 and greater, and pods"
        " have 3.9",
    ]
    own = "def start(self):\n    import tomllib\n"
    assert code(project, own, start=["tomli"]) == []  # it has a Python of its own
    write(project, dockerfile="FROM python:3.13-slim\n")
    assert code(project, "import tomllib\nimport telnetlib, chunk\nimport rich\n") == [
        "flows/score.py imports telnetlib, which Python 3.13 of the pods no longer has"
    ]
    assert code(project, "def start(self:\n") == []  # which others say


def test_modules_of_the_standard_library() -> None:
    """This Python has those that its version has."""
    minor = sys.version_info.minor
    names = {name for name, first in ADDED.items() if first <= minor and "." not in name}
    names |= {name for name, end in REMOVED.items() if end > minor}
    assert names <= sys.stdlib_module_names
    gone = {name for name, first in ADDED.items() if first > minor}
    gone |= {name for name, end in REMOVED.items() if end <= minor}
    assert not gone & sys.stdlib_module_names
    with pytest.raises(SyntaxError, match="only supported in Python 3.10 and greater"):
        ast.parse("match 1:\n    case 1: pass", feature_version=(3, 9))
