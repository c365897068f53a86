"""What `check` and `plan` say of an image that lacks what flows import, or has an old tag."""

import shutil
from pathlib import Path

import pytest
from mf_k8s.flow_imports import unlisted_imports
from mf_k8s.image_content import stale_image_notes
from mf_k8s.project import Project
from teams import commit, git

PYPROJECT = """[project]
name = "churn"
dependencies = ["boto3>=1", "scikit-learn[tests]>=1; python_version > '3'", "not-installed"]
"""
LISTED = "import boto3, sklearn.svm, os.path\nfrom numpy import array\nimport botocore\n"
# What a flow's file says, and the packages that are named: installed here, but not by those.
IMPORTS = {
    "listed, or needed by what is listed": (LISTED, []),
    "not listed": ("import yaml\nimport hypothesis\n", ["hypothesis", "PyYAML"]),
    "in a step": ("def start(self):\n    from rich.table import Table\n", ["rich"]),
    "by a module of the project": ("from churn.features import A\n", ["rich"]),
    "by a module beside it": ("import beside\n", ["tomlkit"]),
    "not installed": ("import no_such_package\n", []),
    "may be missing": ("try:\n    import yaml\nexcept ImportError:\n    yaml = None\n", []),
    "for type checkers": ("if TYPE_CHECKING:\n    import yaml\n", []),
    "with packages of its own": ("@pypi(packages={'pyyaml': '6'})\nimport yaml\n", []),
    "a module of its own": ("import pexpect\n", []),
    "relative": ("from . import yaml\n", []),
    "not Python": ("import yaml as\n", []),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    files = {
        "pyproject.toml": PYPROJECT,
        "src/churn/__init__.py": "",
        "src/churn/features.py": "import rich\n",
        "flows/beside.py": "import tomlkit\n",
        "flows/pexpect.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, "churn")


@pytest.mark.parametrize(("text", "named"), IMPORTS.values(), ids=IMPORTS)
def test_imports_that_the_image_lacks(project: Project, text: str, named: list[str]) -> None:
    flow = project.root / "flows/score.py"
    flow.write_text(text)
    lines = unlisted_imports(project, flow)
    assert [line.rpartition("uv add ")[2] for line in lines] == named


def test_the_line_has_file_and_remedy(project: Project) -> None:
    flow = project.root / "flows/score.py"
    flow.write_text("from yaml import safe_load\n")
    assert unlisted_imports(project, flow) == [
        "flows/score.py imports yaml, which the image lacks, because pyproject.toml does not list"
        " it: uv add PyYAML"
    ]


def lock(**versions: str) -> str:
    """Return a uv.lock of a project that needs numpy, and that pandas, with others in a group."""
    needs = {"churn": ["numpy"], "numpy": ["pandas"]}
    tables = [
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ndependencies = ['
        + ", ".join(f'{{ name = "{need}" }}' for need in needs.get(name, ()))
        + "]\n"
        for name, version in {"churn": "0.1.0", **versions}.items()
    ]
    return "version = 1\n\n" + "\n".join(tables)


FIRST = lock(numpy="2.0", pandas="3.0", ruff="1")
IMAGE = 'image = "ghcr.io/acme/churn:1.2.3"\n'
NOTE = (
    "what the image is built of changed ({}), but the tag of ghcr.io/acme/churn:1.2.3 did not:"
    " run `uv run k8s image --bump`"
)
# What is written after the commit that set the tag, and what is named then.
CHANGES: dict[str, tuple[dict[str, str | None], str]] = {
    "nothing": ({}, ""),
    "another key": ({"k8s.toml": f"{IMAGE}cpu = 2\n"}, ""),
    "a new version": ({"uv.lock": FIRST.replace("2.0", "2.1")}, "numpy"),
    "a need of a need": ({"uv.lock": FIRST.replace("3.0", "3.1")}, "pandas"),
    "a package less": ({"uv.lock": lock(numpy="2.0", ruff="1")}, "pandas"),
    "of a group": ({"uv.lock": FIRST.replace('"1"', '"2"')}, ""),
    "the Dockerfile": ({"Dockerfile": "FROM python:3.12\n"}, "Dockerfile"),
    "with another tag": (
        {"uv.lock": FIRST.replace("2.0", "2.1"), "k8s.toml": IMAGE.replace("1.2.3", "1.2.4")},
        "",
    ),
    "an existing image": ({"uv.lock": FIRST.replace("2.0", "2.1"), "Dockerfile": None}, ""),
}


@pytest.fixture
def built(project: Project) -> Project:
    """Return a project whose image has just been given its tag."""
    root = project.root
    (root / "k8s.toml").write_text(IMAGE)
    (root / "uv.lock").write_text(FIRST)
    (root / "Dockerfile").write_text("FROM python:3.13\n")
    git("init", "-q", cwd=root)
    commit(root)
    return project


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize(("files", "named"), CHANGES.values(), ids=CHANGES)
def test_tag_that_did_not_change(
    built: Project, files: dict[str, str | None], named: str, committed: bool
) -> None:
    for name, text in files.items():
        (built.root / name).unlink() if text is None else (built.root / name).write_text(text)
    expected = [NOTE.format(named)] if named else []
    if committed and files:
        commit(built.root)
        assert stale_image_notes(built, "HEAD~1") == expected  # as plan does
    assert stale_image_notes(built) == expected


def test_without_history(built: Project) -> None:
    shutil.rmtree(built.root / ".git")
    (built.root / "uv.lock").write_text(FIRST.replace("2.0", "2.1"))
    assert stale_image_notes(built) == []


def test_many_packages_are_counted(built: Project) -> None:
    others = {f"a{number}": "1" for number in range(4)}
    text = lock(numpy="2.0", pandas="3.0", ruff="1", **others)
    needs = ", ".join(f'{{ name = "{name}" }}' for name in ("numpy", *others))
    (built.root / "uv.lock").write_text(text.replace('{ name = "numpy" }', needs, 1))
    assert stale_image_notes(built) == [NOTE.format("a0, a1, a2 and 1 more")]
