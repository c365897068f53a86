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
from questions import ASKED

COPIER = Path(sys.executable).parent / "copier"
ENTER = "\r"
UP = "\x1b[A"
CLEAR = "\x15"
INTERRUPT = "\x03"


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Callable[[Path], pexpect.spawn]]:
    """Return a function that starts `copier copy` into a folder; what still runs is ended."""
    settings = tmp_path / "settings.yml"
    settings.write_text("{}\n")
    started: list[pexpect.spawn] = []

    def start(destination: Path) -> pexpect.spawn:
        child = pexpect.spawn(
            str(COPIER),
            ["copy", str(template), str(destination)],
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


def test_default_of_a_reserved_folder_name_can_be_accepted(terminal, tmp_path):
    child = terminal(tmp_path / "tests")
    accept(child, *ASKED)
    assert ended(child) == 0
    assert answers_of(tmp_path / "tests")["project_name"] == "tests-flows"


def test_wrong_answer_can_be_corrected(terminal, tmp_path):
    """The message is on the screen with the wrong answer, and the next try goes through."""
    project = tmp_path / "churn"
    child = terminal(project)
    accept(child, "project_name")
    asked(child, "image")
    child.send(CLEAR + "foo:latest" + ENTER)
    child.expect_exact("A fixed tag: ghcr.io/acme/churn:1.2.3")
    child.send(CLEAR + "foo:1.0" + ENTER)
    accept(child, *ASKED[ASKED.index("image_source") :])
    assert ended(child) == 0
    assert tomllib.loads((project / "k8s.toml").read_text())["image"] == "foo:1.0"


def test_wrong_number_can_be_corrected(terminal, tmp_path):
    project = tmp_path / "churn"
    child = terminal(project)
    accept(child, *ASKED[: ASKED.index("gpu")])
    asked(child, "gpu")
    child.send(CLEAR + "1 A100" + ENTER)
    child.expect_exact("Whole number, like 1, or 0 for none", timeout=5)
    child.send(CLEAR + "1" + ENTER)
    accept(child, "gpu_vendor", "service_account")
    asked(child, "shared_memory")
    child.send(CLEAR + "8Gi" + ENTER)
    child.expect_exact("Whole number of MiB, like 8192")
    child.send(CLEAR + "8192" + ENTER)
    accept(child, *ASKED[ASKED.index("persistent_volume_claims") :])
    assert ended(child) == 0
    settings = tomllib.loads((project / "k8s.toml").read_text())
    assert (settings["gpu"], settings["shared_memory"]) == (1, 8192)


def test_image_with_digest_cannot_be_built(terminal, tmp_path):
    """An impossible choice cannot be picked either: it is shown as disabled, with the reason."""
    project = tmp_path / "churn"
    child = terminal(project)
    accept(child, "project_name")
    asked(child, "image")
    child.send(CLEAR + "foo@sha256:" + "0" * 64 + ENTER)
    asked(child, "image_source")
    child.send(UP + ENTER)
    accept(child, *ASKED[ASKED.index("gpu") :])
    assert ended(child) == 0
    assert answers_of(project)["image_source"] == "existing"


def test_advanced_questions_follow_a_yes(terminal, tmp_path):
    project = tmp_path / "churn"
    child = terminal(project)
    accept(child, *ASKED[:-1])
    asked(child, "advanced")
    child.send("y")
    accept(child, "image_pull_secrets", "secrets", "node_selector")
    asked(child, "tolerations")
    child.send("nvidia.com/gpu:NoSchedule" + ENTER)
    accept(child, "metadata_service_url")
    assert ended(child) == 0
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


@pytest.mark.parametrize(("reply", "kept"), [("n", True), ("y", False)])
def test_existing_file_is_asked_about(terminal, tmp_path, reply, kept):
    """In a folder that has a k8s.toml of its own, Copier asks, and does what it is told."""
    project = tmp_path / "churn"
    project.mkdir()
    (project / "k8s.toml").write_text("ours = true\n")
    child = terminal(project)
    accept(child, *ASKED)
    child.expect(re.escape("Overwrite k8s.toml?"))
    child.send(reply)
    assert ended(child) == 0
    assert ((project / "k8s.toml").read_text() == "ours = true\n") == kept
    assert (project / "pyproject.toml").exists()
