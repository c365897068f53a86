"""The pictures show what the programs print: `make pictures` draws them anew.

With LONG=1 each is drawn again. Without, only what `k8s check` prints is, and the questions are
compared with tests/screens, whose own tests ask them.
"""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, SCREENS
from questions import ASKED_WITH_ADVANCED

sys.path.insert(0, str(ROOT / "docs"))
from pictures import STILLS, Shell, questions  # noqa: E402
from terminal_svg import text_of  # noqa: E402

STALE = "`make pictures` draws it anew: look at it"


def picture(name: str) -> str:
    return (ROOT / f"docs/{name}.svg").read_text(encoding="utf-8")


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    project = tmp_path / "home/churn-model"
    shutil.copytree(example, project, ignore=shutil.ignore_patterns(".venv", ".metaflow"))
    return project


def test_check_prints_what_is_drawn(project: Path) -> None:
    shell = Shell(project)
    shell.run("uv run k8s check train")
    printed = text_of(shell.picture(""))
    assert len(printed) > 15
    assert printed == text_of(picture("check"))[: len(printed)], STALE


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
