"""`k8s check` says that k8s.toml holds where the template's answers say otherwise."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    """Return a copy of the example project with its small flow alone, to edit."""
    shutil.copytree(example, tmp_path / "project", ignore=shutil.ignore_patterns(".venv"))
    (tmp_path / "project/flows/train.py").unlink()
    return tmp_path / "project"


def notes(project: Path) -> list[str]:
    """Return the notes of a check that mention the answers."""
    done = subprocess.run(
        [K8S, "check", "--format=json"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    flows: list[dict[str, Any]] = json.loads(done.stdout)["flows"]
    return [note for flow in flows for note in flow["notes"] if "answers" in note]


def test_nothing_is_said_of_a_fresh_project(project):
    assert notes(project) == []


def test_k8s_toml_holds(project):
    settings = project / "k8s.toml"
    text = (
        settings.read_text().replace("churn:1.2.3", "churn:1.3.0").replace("gpu = 1\n", "gpu = 2\n")
    )
    settings.write_text(text + 'persistent_volume_claims.data = "/data"\n')
    second = (project / "flows/hello.py").read_text().replace("HelloFlow", "SecondFlow")
    (project / "flows/second.py").write_text(second)
    assert notes(project) == [
        "k8s.toml is used, not .copier-answers.yml: "
        "image (ghcr.io/acme/churn:1.3.0, not ghcr.io/acme/churn:1.2.3), gpu (2, not 1), "
        "persistent_volume_claims (metaflow-training:/cache,data:/data, "
        "not metaflow-training:/cache)"
    ]


def test_project_that_left_the_template(project):
    (project / ".copier-answers.yml").unlink()
    assert notes(project) == []
