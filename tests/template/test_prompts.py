"""The prompts as people meet them: the real `copier copy` in a pseudo-terminal, without trust."""

import os
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest
import yaml
from conftest import QUESTIONS
from questions import ASKED, ASKED_WITH_GPU

COPIER = Path(sys.executable).parent / "copier"
ENTER = "\r"
UP = "\x1b[A"
CLEAR = "\x15"
INTERRUPT = "\x03"


@pytest.fixture
def terminal(small_template: Path, tmp_path: Path) -> Iterator[Callable[[Path], pexpect.spawn]]:
    """Return a function that starts `copier copy` into a folder; what still runs is ended."""
    settings = tmp_path / "settings.yml"
    settings.write_text("{}\n")
    started: list[pexpect.spawn] = []

    def start(destination: Path) -> pexpect.spawn:
        child = pexpect.spawn(
            str(COPIER),
            ["copy", str(small_template), str(destination)],
            cwd=str(tmp_path),
            env={
                "HOME": str(tmp_path),
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "TERM": "xterm",
                "PROMPT_TOOLKIT_NO_CPR": "1",
                "COPIER_SETTINGS_PATH": str(settings),
            },
            dimensions=(50, 80),
            encoding="utf-8",
            timeout=30,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def asked(child: pexpect.spawn, question: str) -> None:
    """Wait for a question, found by the first sentence of its help."""
    child.expect_exact(QUESTIONS[question]["help"].split("?")[0] + "?")


def accept(child: pexpect.spawn, *questions: str) -> None:
    """Accept the defaults of some questions, each after it is on the screen."""
    for question in questions:
        asked(child, question)
        child.send(ENTER)


def ended(child: pexpect.spawn) -> int:
    """Wait for the end and give the exit code."""
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def answers_of(project: Path) -> dict[str, object]:
    return yaml.safe_load((project / ".copier-answers.yml").read_text())


def test_all_defaults_give_a_project(terminal, tmp_path):
    """Enter accepts the default of each question, and Copier does not ask for trust."""
    project = tmp_path / "Churn Model"
    child = terminal(project)
    accept(child, *ASKED)
    assert ended(child) == 0
    answers = {key for key in answers_of(project) if not key.startswith("_")}
    assert answers == {*ASKED, "mf_k8s_identity"}
    assert answers_of(project)["project_name"] == "churn-model"
    settings = tomllib.loads((project / "k8s.toml").read_text())
    assert settings["image"] == "ghcr.io/example/churn-model:0.1.0"


def test_wrong_answers_can_be_corrected(terminal, tmp_path):
    """The message is on the screen with the wrong answer, and the next try goes through.

    The name of a folder that is reserved gives a default that can be accepted.
    """
    project = tmp_path / "tests"
    child = terminal(project)
    accept(child, "project_name")
    asked(child, "image")
    child.send(CLEAR + "foo:latest" + ENTER)
    child.expect_exact("A fixed tag: ghcr.io/acme/churn:1.2.3")
    child.send(CLEAR + "foo:1.0" + ENTER)
    accept(child, "image_source")
    asked(child, "gpu")
    child.send(CLEAR + "1 A100" + ENTER)
    child.expect_exact("Whole number, like 1, or 0 for none", timeout=5)
    child.send(CLEAR + "1" + ENTER)
    accept(child, *ASKED_WITH_GPU, "service_account")
    asked(child, "shared_memory")
    child.send(CLEAR + "8Gi" + ENTER)
    child.expect_exact("Whole number of MiB, like 8192")
    child.send(CLEAR + "8192" + ENTER)
    accept(child, *ASKED[ASKED.index("persistent_volume_claims") :])
    assert ended(child) == 0
    assert answers_of(project)["project_name"] == "tests-flows"
    settings = tomllib.loads((project / "k8s.toml").read_text())
    assert settings["image"] == "foo:1.0"
    assert (settings["gpu"], settings["shared_memory"]) == (1, 8192)


def test_image_with_digest_cannot_be_built(terminal, tmp_path):
    """An impossible choice cannot be picked either: it is shown as disabled, with the reason.

    A yes to `advanced` is followed by its questions.
    """
    project = tmp_path / "churn"
    child = terminal(project)
    accept(child, "project_name")
    asked(child, "image")
    child.send(CLEAR + "foo@sha256:" + "0" * 64 + ENTER)
    asked(child, "image_source")
    child.send(UP + ENTER)
    accept(child, *ASKED[ASKED.index("gpu") : -1])
    asked(child, "advanced")
    child.send("y")
    accept(child, "image_pull_secrets", "secrets", "node_selector")
    asked(child, "tolerations")
    child.send("nvidia.com/gpu:NoSchedule" + ENTER)
    accept(child, "metadata_service_url")
    assert ended(child) == 0
    assert answers_of(project)["image_source"] == "existing"
    assert tomllib.loads((project / "k8s.toml").read_text())["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]


@pytest.mark.parametrize("last", ["project_name", "image_source", "memory", "advanced"])
def test_interrupt_leaves_nothing(terminal, tmp_path, last):
    """Ctrl-C at any kind of question: no folder, no traceback, and not a success."""
    child = terminal(tmp_path / "churn")
    accept(child, *ASKED[: ASKED.index(last)])
    asked(child, last)
    child.send(INTERRUPT)
    assert ended(child) != 0
    assert "Traceback" not in child.before
    assert not (tmp_path / "churn").exists()


def test_existing_files_are_asked_about(terminal, tmp_path):
    """In a folder that has such files of its own, Copier asks, and does what it is told."""
    project = tmp_path / "churn"
    project.mkdir()
    for name in ("k8s.toml", "renovate.json"):
        (project / name).write_text("ours = true\n")
    child = terminal(project)
    accept(child, *ASKED)
    replies = {"k8s.toml": "n", "renovate.json": "y"}
    while replies:  # in the order of the file system
        names = list(replies)
        found = child.expect([re.escape(f"Overwrite {name}?") for name in names])
        child.send(replies.pop(names[found]))
    assert ended(child) == 0
    assert (project / "k8s.toml").read_text() == "ours = true\n"
    assert "ours" not in (project / "renovate.json").read_text()
    assert (project / "pyproject.toml").exists()
