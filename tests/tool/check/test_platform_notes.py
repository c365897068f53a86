"""What `check` says of pods that select nodes for which the image is not built."""

from pathlib import Path
from typing import Any

import pytest
from mf_k8s.check.platform_notes import platform_notes
from mf_k8s.errors import CommandError
from mf_k8s.project.project import Project

IMAGE = "ghcr.io/acme/churn:1"


def template(*selectors: dict[str, str], image: str = IMAGE) -> Any:
    pods = [{"container": {"image": image}, "nodeSelector": each} for each in selectors]
    return {"spec": {"templates": [{"dag": {}}, *pods]}}


def test_selected_architectures(tmp_path: Path) -> None:
    project = Project(tmp_path, "churn")
    amd, arm, pool = {"kubernetes.io/arch": "amd64"}, {"kubernetes.io/arch": "arm64"}, {"pool": "a"}
    assert platform_notes(project, template(arm), IMAGE) == []  # it is not built here
    (tmp_path / "Dockerfile").touch()
    assert platform_notes(project, template(amd, pool), IMAGE) == []
    assert platform_notes(project, template(arm, image="other:1"), IMAGE) == []
    assert platform_notes(project, template(amd, arm), IMAGE) == [
        "pods select nodes of arm64, and the image is built for linux/amd64: write platform ="
        ' ["linux/amd64", "linux/arm64"] below [tool.mf-k8s] of pyproject.toml, then'
        " `uv run k8s image --bump --push`"
    ]
    table = tmp_path / "pyproject.toml"
    table.write_text('[tool.mf-k8s]\nplatform = ["linux/amd64", "linux/arm64/v8"]\n')
    assert platform_notes(project, template(amd, arm), IMAGE) == []


@pytest.mark.parametrize("value", ['"arm64"', "[]", "3", '["linux/arm64", 3]', '"windows/amd64"'])
def test_not_a_platform(tmp_path: Path, value: str) -> None:
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "pyproject.toml").write_text(f"[tool.mf-k8s]\nplatform = {value}\n")
    reason = (
        r'platform must be of the nodes, like "linux/amd64" or \["linux/amd64", "linux/arm64"\]'
    )
    with pytest.raises(CommandError, match=reason):
        platform_notes(Project(tmp_path, "churn"), template(), IMAGE)
