"""Staying current without a person: the weekly workflow's own shell lines, with GitHub played."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import EXAMPLE
from teams import git

BIN = Path(sys.executable).parent
LATER = "# Released later.\n"

GH = """#!/bin/sh
echo "$*" >> "$PLAYED/calls"
case "$*" in *--body-file*) cp "$RUNNER_TEMP/body.md" "$PLAYED/body";; esac
case "$*" in "pr list"*) cat "$PLAYED/open";; esac
"""
UV = """#!/bin/sh
test "$*" = "run k8s check --format markdown" || exit 0
cat "$PLAYED/report"
exit "$(cat "$PLAYED/code")"
"""


class Place:
    """A project at GitHub, with the template that it is made from."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.template, self.project = folder, folder / "template", folder / "project"
        git("clone", "-q", str(template), str(self.template), cwd=folder)
        git("init", "-q", "--bare", "-b", "main", "origin", cwd=folder)
        copier.run_copy(str(self.template), self.project, data=EXAMPLE, defaults=True, quiet=True)
        git("init", "-q", "-b", "main", cwd=self.project)
        git("remote", "add", "origin", str(folder / "origin"), cwd=self.project)
        self.commit(self.project)
        git("push", "-q", "origin", "main", cwd=self.project)
        self.played = folder / "played"
        self.played.mkdir()
        for name, text in (("calls", ""), ("open", ""), ("report", "REPORT\n"), ("code", "0")):
            (self.played / name).write_text(text)
        programs = {"gh": GH, "uv": UV, "uvx": f'#!/bin/sh\nexec {shlex.quote(str(BIN))}/"$@"\n'}
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def commit(self, where: Path) -> None:
        git("add", "-A", cwd=where)
        git("commit", "-q", "-m", "work", cwd=where)

    def release(self, *files: str) -> None:
        for file in files:
            path = self.template / "template" / file
            path.write_text(path.read_text() + LATER)
        self.commit(self.template)
        git("tag", "v0.2.0", cwd=self.template)

    def week(self, token: bool = True) -> tuple[int, str]:
        """Run the workflow's steps as GitHub does; return the exit code and the output."""
        workflow = yaml.safe_load((self.project / ".github/workflows/update.yml").read_text())
        given = {
            "${{ secrets.TEMPLATE_TOKEN || github.token }}": "token",
            "${{ secrets.TEMPLATE_TOKEN != '' }}": "true" if token else "false",
        }
        outputs, output = self.folder / "outputs", ""
        outputs.write_text("")
        for step in workflow["jobs"]["update"]["steps"]:
            newer = "newer=true" in outputs.read_text()
            if "run" not in step or step.get("if") == "steps.look.outputs.newer" and not newer:
                continue
            env = {
                **{key: given[value] for key, value in step.get("env", {}).items()},
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                "RUNNER_TEMP": str(self.folder),
                "PLAYED": str(self.played),
            }
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=self.project,
                env={**env, "COPIER_SETTINGS_PATH": os.environ["COPIER_SETTINGS_PATH"]},
                capture_output=True,
                text=True,
                timeout=120,
            )
            output += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, output
        return 0, output

    def pushed(self, file: str) -> str:
        return git("show", f"copier-update:{file}", cwd=self.folder / "origin")

    def calls(self) -> list[str]:
        return (self.played / "calls").read_text().splitlines()


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, template)


BASE = "src/{{ package_name }}/base.py"


def test_nothing_newer(place):
    code, output = place.week()
    assert code == 0
    assert "newest version" in output
    assert place.calls() == ["auth setup-git"]


def test_newer_version_becomes_a_pull_request(place):
    place.release(BASE)
    code, output = place.week(token=False)
    assert code == 0, output
    assert place.pushed("src/churn_model/base.py").endswith(LATER)
    assert "_commit: v0.2.0" in place.pushed(".copier-answers.yml")
    assert place.calls()[-1].startswith("pr create --head copier-update --title")
    body = (place.played / "body").read_text()
    assert "REPORT" in body
    assert "Not ready" not in body
    assert "fails" not in body


def test_open_pull_request_is_brought_up_to_date(place):
    place.release(BASE)
    place.week()
    git("switch", "-q", "main", cwd=place.project)
    (place.played / "open").write_text("7\n")
    code, output = place.week()
    assert code == 0, output
    assert place.calls()[-1].startswith("pr edit copier-update --body-file")


def test_conflict_is_named(place):
    place.release("k8s.toml.jinja")
    settings = place.project / "k8s.toml"
    settings.write_text(settings.read_text() + "# Ours.\n")
    place.commit(place.project)
    (place.played / "code").write_text("2")
    code, output = place.week()
    assert code == 0, output
    assert "<<<<<<< before updating\n# Ours.\n" in place.pushed("k8s.toml")
    body = (place.played / "body").read_text()
    assert "**Not ready to merge:**" in body
    assert "\n- `k8s.toml`\n" in body
    assert "`uv run k8s check` fails" in body


def test_workflow_needs_a_token(place):
    """GitHub's own token may not push a workflow, and half an update would be lost in silence."""
    github = next((place.template / "template").glob("*.github*")).name
    place.release(f"{github}/workflows/ci.yml.jinja")
    code, output = place.week(token=False)
    assert code == 1
    assert "::error::This version changes .github/workflows, which needs the secret" in output
    assert not [call for call in place.calls() if call.startswith("pr create")]
    assert git("branch", "--list", cwd=place.folder / "origin").split() == ["*", "main"]
    git("switch", "-q", "main", "--force", cwd=place.project)
    git("reset", "-q", "--hard", cwd=place.project)
    code, output = place.week(token=True)
    assert code == 0, output
    assert place.pushed(".github/workflows/ci.yml").endswith(LATER)


def test_missing_template(place):
    place.template.rename(place.folder / "gone")
    code, output = place.week()
    assert code == 1
    assert "::error file=.copier-answers.yml::The template cannot be read from here" in output


def test_workflow_is_pinned_as_the_other_one(example):
    """A reader has one list of actions to trust."""
    workflows = example / ".github/workflows"
    pins = [
        {
            line.split("uses:")[1].strip()
            for line in file.read_text().splitlines()
            if "uses:" in line
        }
        for file in (workflows / "update.yml", workflows / "ci.yml")
    ]
    assert len(pins[0]) == 2
    assert pins[0] <= pins[1]


@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
def test_who_updates(copy: Callable[..., Path], tmp_path, ci):
    """Renovate can everywhere; the workflow is GitHub's."""
    project = copy(tmp_path / "new", ci=ci)
    renovate: dict[str, Any] = json.loads((project / "renovate.json").read_text())
    assert renovate["copier"] == {"enabled": True}
    (rule,) = renovate["packageRules"]
    assert rule["enabled"] is False
    assert rule["matchFileNames"] == [
        ".github/workflows/ci.yml",
        ".github/workflows/update.yml",
        ".gitlab-ci.yml",
        "Dockerfile",
    ]
    assert (project / ".github/workflows/update.yml").exists() == (ci == "github")
