"""Which cluster is a project's, and the folder in which it is recorded."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.kind.cluster import Cluster, find_cluster
from mf_k8s.project.project import Project
from stand_ins import k8s

__all__ = ["k8s"]  # fixtures


def test_two_clones_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or `kind down` in one would delete the other's cluster."""
    monkeypatch.setenv("K8S_KIND_FOLDER", str(tmp_path / "disk"))
    first, second = (find_cluster(Project(tmp_path / name, "churn_model")) for name in "ab")
    assert first.name == second.name
    assert first.folder.parent == second.folder.parent == tmp_path / "disk"
    assert first.folder != second.folder


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError) as error:
        Cluster("churn", tmp_path / "file/churn.kind").make_folders()
    says = (
        f"{tmp_path}/file/churn.kind cannot be written: Not a directory; set K8S_KIND_FOLDER to a"
    )
    assert str(error.value).startswith(says)


def test_another_cluster_than_the_projects_own(k8s: Callable[..., Any], example: Path) -> None:
    """A cluster that was made under another name is still the project's, and no other one is."""
    deletes = 'case "$1" in version) echo v0.33.0;; *) echo "$@" >> .kind-calls;; esac'
    calls = example / ".kind-calls"
    try:
        (example / ".kind").mkdir()
        (example / ".kind/config.yaml").write_text('{"name": "ours"}')
        down = ("kind", "down")
        code, line = k8s(*down, programs={"kind": deletes}, K8S_KIND_CLUSTER="churn-model")
        assert code == 2 and not calls.exists()
        assert "this project's cluster is ours, not churn-model: unset K8S_KIND_CLUSTER" in line
        assert k8s(*down, programs={"kind": deletes}) == (0, "kind cluster ours is gone\n")
        assert calls.read_text().startswith("delete cluster --name ours ")
    finally:
        calls.unlink(missing_ok=True)
        shutil.rmtree(example / ".kind", ignore_errors=True)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_record_of_the_cluster(k8s: Callable[..., Any], example: Path, text: str) -> None:
    """As after a full disk: commands that need no cluster work, and `down` clears it away."""
    try:
        (example / ".kind").mkdir()
        (example / ".kind/config.yaml").write_text(text)
        code, output = k8s("check", "hello")
        assert code == 0, output
        assert k8s("kind", "down") == (0, "kind cluster churn-model is gone\n")
        assert not (example / ".kind").exists()
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)
