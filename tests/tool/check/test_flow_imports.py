"""What `check` and `plan` say of imports that the image lacks."""

import importlib.metadata
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from churn_package import PYPROJECT, project
from mf_k8s.check.flow_imports import (
    distributions,
    packages_built_here,
    requirements_of,
    unlisted_imports,
    with_dependencies,
)
from mf_k8s.project.project import Project

__all__ = ["project"]  # fixtures

LISTED = "import boto3, sklearn.svm, os.path\nfrom numpy import array\nimport botocore\n"
IN_STEPS = "def start(self):\n    import {}\ndef end(self):\n    import {}\n"
IN_IMAGE: dict[str, list[str] | None] = {"start": None, "end": None}
OWN = ["requests"]

# What a flow's file says, the packages of its steps, and the modules that are named.
IMPORTS: dict[str, tuple[str, dict[str, list[str] | None], list[str]]] = {
    "listed, or needed by what is listed": (LISTED, IN_IMAGE, []),
    "not listed": ("import yaml\nimport hypothesis\n", IN_IMAGE, ["hypothesis", "yaml"]),
    "a word of a comment": ("# no @pypi, no pypi_base\nimport yaml\n", IN_IMAGE, ["yaml"]),
    "in steps": (IN_STEPS.format("rich.table", "yaml"), IN_IMAGE, ["rich", "yaml"]),
    "by a module of the project": ("from churn.features import A\n", IN_IMAGE, ["rich"]),
    "by a relative import of one": ("from churn import chain\n", IN_IMAGE, ["rich"]),
    "by a module beside it": ("import beside\n", IN_IMAGE, ["tomlkit"]),
    "not installed": (IN_STEPS.format("no_such", "os"), IN_IMAGE, ["no_such"]),
    "in src/, but not of the package": ("import churn_plots\n", IN_IMAGE, ["churn_plots"]),
    "may be missing": ("try:\n    import yaml\nexcept ImportError:\n    pass\n", IN_IMAGE, []),
    "suppressed": ("with suppress(ImportError):\n    import yaml\n", IN_IMAGE, []),
    "for type checkers": ("if TYPE_CHECKING:\n    import yaml\n", IN_IMAGE, []),
    "for an old Python": ("if sys.version_info < (3, 11):\n    import tomli\n", IN_IMAGE, []),
    "every step with packages of its own": ("import yaml\n", {"start": OWN, "end": OWN}, []),
    "one step with packages of its own": (
        IN_STEPS.format("yaml", "rich"),
        {"start": OWN, "end": None},
        ["rich"],
    ),
    "a step in an environment without packages": (
        IN_STEPS.format("yaml", "numpy, requests, boto3"),
        {"start": OWN, "end": []},
        ["numpy"],
    ),
    "a step with the image's packages beside one without": (
        IN_STEPS.format("requests", "requests"),
        {"start": [], "end": None},
        ["requests"],
    ),
    "a module of its own": ("import pexpect\n", IN_IMAGE, []),
    "sent by a decorator": ("import sent_along\n", IN_IMAGE, []),
    "not Python": ("import yaml as\n", IN_IMAGE, []),
}


def lines(project: Project, text: str, packages: Any = IN_IMAGE) -> list[str]:
    """Return the lines about a flow, with which its own modules and one other are sent."""
    flow = project.root / "flows/score.py"
    flow.write_text(text)
    sent = ["metaflow", "churn", "beside", "pexpect", "score", "sent_along"]
    facts: Any = {"packages": packages, "sent_modules": sent}
    return unlisted_imports(project, flow, facts)


@pytest.mark.parametrize(("text", "packages", "named"), IMPORTS.values(), ids=IMPORTS)
def test_imports_that_pods_lack(project: Project, text: str, packages: Any, named: Any) -> None:
    found = lines(project, text, packages)
    assert [line.partition(" imports ")[2].partition(",")[0] for line in found] == named


def test_lines_say_why_and_what_to_do(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders on Python's path are what editable installs are, as of a uv workspace's members."""
    sibling = tmp_path / "shared/src/acme_shared/__init__.py"
    sibling.parent.mkdir(parents=True)
    sibling.touch()
    monkeypatch.syspath_prepend(sibling.parent.parent)
    assert lines(project, "import acme_shared.text, churn_plots, nowhere, yaml\n") == [
        "flows/score.py imports acme_shared, which pods do not get, because it is in"
        " shared/src/acme_shared on this machine: move it into src/churn, publish it as a package,"
        " or send it along by Metaflow's @package_sources",
        "flows/score.py imports churn_plots, which pods do not get, because it is in"
        " src/churn_plots.py on this machine: move it into src/churn, publish it as a package, or"
        " send it along by Metaflow's @package_sources",
        "flows/score.py imports nowhere, which is not installed: add the package that has it, by"
        " uv add",
        "flows/score.py imports yaml, which pyproject.toml does not list, so the image may lack"
        " it: uv add PyYAML",
    ]
    assert lines(project, "import yaml\n", {"start": []}) == [
        "flows/score.py imports yaml, which a step without packages of its own lacks with"
        " --environment=pypi: write it into the step's @pypi, or into @pypi_base of the flow"
    ]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that installs a distribution for this test, with a module of its name."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    caches = (distributions, requirements_of, with_dependencies)

    def install(name: str, *needs: str, origin: str = "{}") -> None:
        folder = tmp_path / f"site-packages/{name}-1.dist-info"
        folder.mkdir(parents=True)
        metadata = [f"Name: {name}", "Version: 1", *(f"Requires-Dist: {need}" for need in needs)]
        (folder / "METADATA").write_text("\n".join(metadata))
        (folder / "top_level.txt").write_text(name)
        (folder / "direct_url.json").write_text(origin)
        for cache in caches:
            cache.cache_clear()

    yield install
    for cache in caches:
        cache.cache_clear()


def test_extras_that_need_each_other(
    project: Project, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They end, and bring what they need: acme[x] needs bolt[y], which needs acme[x]."""
    install("acme", 'bolt[y]; extra == "x"', "acme-core")
    install("bolt", 'acme[x]; extra == "y"', 'acme-plots; extra == "y"', 'acme-z; extra == "z"')
    requires, calls = importlib.metadata.requires, itertools.count()

    def counted(name: str) -> list[str] | None:
        assert next(calls) < 99
        return requires(name)

    monkeypatch.setattr(importlib.metadata, "requires", counted)
    assert with_dependencies(("acme[x]",)) == {"acme", "bolt", "acme-core", "acme-plots"}


def test_a_distribution_of_a_folder_is_not_in_the_image(
    project: Project, install: Callable[..., None]
) -> None:
    """pyproject.toml lists it, but this image is not built from a uv.lock that has it."""
    install("acme", origin='{"url": "file:///srv/acme%20lib", "dir_info": {"editable": true}}')
    install("bolt", origin='{"url": "https://x/bolt.zip", "archive_info": {}}')
    pyproject = project.root / "pyproject.toml"
    pyproject.write_text(PYPROJECT.replace("boto3>=1", "acme").replace("not-installed", "bolt"))
    (line,) = lines(project, "import acme\nimport bolt\n")
    assert line.startswith("flows/score.py imports acme, which pods do not get, because it is in ")
    assert "/srv/acme lib on this machine" in line
    (project.root / "Dockerfile").write_text("RUN uv sync\n")
    (project.root / "uv.lock").write_text(
        '[[package]]\nname = "churn"\ndependencies = [{ name = "acme" }]\n'
        '[[package]]\nname = "acme"\nsource = { editable = "../acme lib" }\n'
    )
    packages_built_here.cache_clear()
    assert lines(project, "import acme\nimport bolt\n") == []


def test_a_member_of_a_workspace_that_the_image_gets(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on Python's path by a .pth file, and its distribution lists no module."""
    folder = project.root / "libs/acme"
    (folder / "src/acme_member").mkdir(parents=True)
    (folder / "src/acme_member/__init__.py").touch()
    monkeypatch.syspath_prepend(folder / "src")
    (line,) = lines(project, "import acme_member\n")
    assert "acme_member, which pods do not get, because it is in libs/acme/src/acme_mem" in line
    (project.root / "Dockerfile").write_text("RUN uv sync\n")
    (project.root / "uv.lock").write_text(
        '[[package]]\nname = "churn"\ndependencies = [{ name = "acme-member" }]\n'
        '[[package]]\nname = "acme-member"\nsource = { editable = "libs/acme" }\n'
    )
    packages_built_here.cache_clear()
    assert lines(project, "import acme_member\n") == []


def test_groups_and_extras_that_the_dockerfile_chooses(project: Project) -> None:
    with (project.root / "pyproject.toml").open("a") as pyproject:
        pyproject.write('[project.optional-dependencies]\nPretty_Print = ["rich"]\n')
        pyproject.write(
            '[dependency-groups]\nall = [{include-group = "yaml"}]\nyaml = ["pyyaml"]\n'
        )
    text = "import rich\nimport yaml\n"
    assert len(lines(project, text)) == 2
    (project.root / "Dockerfile").write_text(
        "# RUN uv sync --group all\nRUN apt-get install uv \\\n && uv sync --extra pretty-print\n"
    )
    (line,) = lines(project, text)
    assert line.startswith("flows/score.py imports yaml, which pyproject.toml does not list")
    (project.root / "Dockerfile").write_text('RUN a="--group=all --extra=pretty_print"; uv sync $a')
    assert lines(project, text) == []
