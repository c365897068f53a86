"""A copy of the example that a test may spoil, in which `k8s` is run as a team runs it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S, copy_project

Run = Callable[..., subprocess.CompletedProcess[str]]

FLOW = """from churn_model import BaseFlow, k8s
from metaflow import step{more}


class OneFlow(BaseFlow):
{override}    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    OneFlow()
"""


def flow(override: str = "", more: str = "") -> str:
    return FLOW.format(override=f"    {override}\n" if override else "", more=more)


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    """Return a copy of the example that a test may spoil."""
    return copy_project(example, tmp_path / "churn-model")


@pytest.fixture
def k8s(project: Path, tmp_path: Path) -> Run:
    """Return a function that runs `k8s` there, without credentials and with a home of its own."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        measured = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
        return subprocess.run(
            [K8S, *arguments],
            cwd=project,
            env={
                **measured,
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "COLUMNS": "200",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                **env,
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def settings(done: subprocess.CompletedProcess[str], number: int = 0) -> dict[str, Any]:
    """Return what was found, by pod and setting, in the JSON of a check."""
    pods = json.loads(done.stdout)["flows"][number]["pods"]
    return {pod: {key: item["found"] for key, item in table.items()} for pod, table in pods.items()}


def differences(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    return {
        (pod, key)
        for item in json.loads(done.stdout)["flows"]
        for pod, table in item["pods"].items()
        for key, setting in table.items()
        if not setting["equal"]
    }


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("k8s: ")
    return line


@pytest.fixture
def history(project: Path) -> Callable[..., str]:
    """Return git, in a project whose present state is committed."""

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
        return done.stdout

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    return git


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
