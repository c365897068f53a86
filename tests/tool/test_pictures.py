"""The pictures show what the programs print: `make pictures` draws them anew.

With LONG=1 each is drawn again. Without, the questions are compared with tests/screens, whose own
tests ask them, and tests/tool/check/test_print_reports.py looks whether `k8s check` is as drawn.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SCREENS, copy_project
from mf_k8s.check.explain import layers
from mf_k8s.metaflow.compile_worker import OPTIONS
from mf_k8s.metaflow.configuration import Configuration
from mf_k8s.metaflow.read_defaults import read_metaflow_defaults, with_default_decorators
from mf_k8s.project.project import Project
from pictures import STILLS, questions
from questions import ASKED_WITH_ADVANCED
from terminal_svg import text_of

STALE = "`make pictures` draws it anew: look at it"


def picture(name: str) -> str:
    return (ROOT / f"docs/{name}.svg").read_text(encoding="utf-8")


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    project = tmp_path / "home/churn-model"
    copy_project(example, project)
    return project


@pytest.mark.long
@pytest.mark.parametrize("name", STILLS)
def test_is_drawn_again(name: str, project: Path) -> None:
    assert STILLS[name](project) == picture(name), STALE


@pytest.mark.long
def test_questions_are_drawn_again(small_template: Path, tmp_path: Path) -> None:
    assert questions(small_template, tmp_path) == picture("questions"), STALE


def test_questions_are_those_of_the_screens() -> None:
    """Without those that few projects need: each with its choices, in the same order."""
    screen = (SCREENS / "questions.txt").read_text(encoding="utf-8").split("\n\n")
    expected = [block.splitlines() for block in screen[: -len(ASKED_WITH_ADVANCED)]]
    drawn = text_of(picture("questions"))
    asked = [line for line in drawn if line.startswith("🎤")]
    assert [*dict.fromkeys(asked)] == [question for question, *_ in expected], STALE
    lists = [lines for _, *lines in expected if lines[:1] == ["   (Use arrow keys)"]]
    choices = [line.strip() for _, *lines in lists for line in lines]
    assert len(choices) > 10
    assert [choice for choice in choices if choice not in drawn] == [], STALE


def test_message_after_the_questions() -> None:
    expected = (SCREENS / "after-copy-example.txt").read_text(encoding="utf-8").splitlines()
    lines = [line.strip() for line in expected if line.strip()]
    assert text_of(picture("questions"))[-len(lines) :] == lines, STALE


def test_diagram_of_precedence(project: Path) -> None:
    """From low to high as `k8s check --explain` has the layers; each box is an item of the list."""
    (project / "src/churn_model/organisation.json").write_text('{"k8s": {"disk": 20000}}')
    with (project / "k8s.toml").open("a") as file:
        file.write("\n[pools.big]\nmemory = 8000\n")
    (project / "environments/prod.json").write_text('{"k8s": {"cpu": 2}}')
    overrides = [
        {"pool": "big", "values": {"cpu": 3}},
        {"pool": None, "values": {"cpu": 5}, "source": OPTIONS},
        {"pool": None, "values": {"port": 6}, "source": "@deepspeed"},
    ]
    flow: Any = {"steps": {"train": {"overrides": overrides, "resources": {}}}}
    variables = {
        "METAFLOW_HOME": str(project),
        "METAFLOW_KUBERNETES_CPU": "1",
        "METAFLOW_DEFAULT_DECOSPECS": "kubernetes:cpu=4",
    }
    own = Configuration(variables)
    train = with_default_decorators(flow, (), own)["steps"]["train"]
    place = Project(project, "churn_model").at("prod")
    found = [name for name, _ in layers(place, train, read_metaflow_defaults(own, on_argo=True))]

    page = (ROOT / "docs/configuration.md").read_text()
    boxes = [name for _, name in sorted(re.findall(r'\b(\d)\["\d ([^"]+)"\]', page))]
    assert [*zip([*boxes, "the pod"], found, strict=True)] == [
        ("METAFLOW_KUBERNETES_*", "METAFLOW_KUBERNETES_CPU"),
        ("organisation.json", "organisation.json"),
        ("k8s.toml", "k8s.toml"),
        ("environments/NAME.json", "environments/prod.json"),
        ("[pools.NAME]", "pool big of k8s.toml"),
        ("@k8s", "on the step"),
        ("METAFLOW_DEFAULT_DECOSPECS", "METAFLOW_DEFAULT_DECOSPECS"),
        ("--with kubernetes", OPTIONS),
        ("another decorator", "@deepspeed"),
        ("the pod", "together"),
    ]
    items = re.findall(r"^\d\. .*$", page, re.MULTILINE)
    assert [name for name, item in zip(boxes, items, strict=True) if name not in item] == []
