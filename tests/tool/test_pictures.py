"""The pictures show what the programs print: `make pictures` draws them anew.

With LONG=1 each is drawn again. Without, the questions are compared with tests/screens, whose own
tests ask them, and tests/tool/check/test_print_reports.py looks whether `k8s check` is as drawn.
"""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from conftest import ROOT, SCREENS, copy_project
from mf_k8s.check.explain import layers
from mf_k8s.metaflow.compile_worker import OPTIONS
from mf_k8s.metaflow.configuration import Configuration
from mf_k8s.metaflow.read_defaults import read_metaflow_defaults, with_default_decorators
from mf_k8s.project.project import Project
from pictures import STILLS, questions
from questions import ASKED_WITH_ADVANCED
from terminal_svg import Frame, Run, draw, text_of

STALE = "`make pictures` draws it anew: look at it"


def picture(name: str) -> str:
    return (ROOT / f"docs/{name}.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("*.svg")), ids=lambda file: file.stem)
def test_works_in_a_page(file: Path) -> None:
    """Drawn by `make pictures`, shown by a page, small, and without a script or another file."""
    assert file.stem in ("questions", *STILLS)
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(f"{file.name})" in page.read_text(encoding="utf-8") for page in pages)
    assert file.stat().st_size < 150_000
    tags = {element.tag.partition("}")[2] for element in ElementTree.parse(file).iter()}
    assert tags <= {"svg", "title", "style", "rect", "circle", "g", "text"}
    assert [way for way in ("url(", "@import", "href") if way in picture(file.stem)] == []


def test_animation_ends_with_the_last_screen() -> None:
    """A screen of one row, in 15 seconds: the first row scrolls off, and `b` becomes `c`."""
    a, b, c = ((Run(0, letter),) for letter in "abc")
    drawn = draw("abc", 10, [Frame(0, (a,)), Frame(1, (a, b)), Frame(3, (a, c))], height=1)
    for css in (
        ".f1{opacity:0;animation-name:f1}"
        "@keyframes f1{0%{opacity:0}6.667%{opacity:1}20%{opacity:0}}",
        ".f2{opacity:1;animation-name:f2}@keyframes f2{0%{opacity:0}20%{opacity:1}}",
        ".all{transform:translateY(-19px);animation-name:all}"
        "@keyframes all{0%{transform:translateY(-0px)}6.667%{transform:translateY(-19px)}}",
        "g{animation:15.00s step-end 2}",
        "@media(prefers-reduced-motion:reduce){g{animation:none!important}}",
    ):
        assert f"\n{css}\n" in drawn
    assert text_of(drawn) == ["a", "b", "c"]
    assert "animation" not in draw("a", 10, [Frame(0, (a,))]).replace("{g{animation:none", "")


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
