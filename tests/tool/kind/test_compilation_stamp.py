"""When `k8s kind up` compiles the flows again to learn what their pods need."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mf_k8s.kind import compilation_stamp, up
from mf_k8s.project.project import Project


@pytest.fixture
def kept_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Callable[..., list[str]]]:
    """Return a project's folder, and what tells which k8s.toml is compiled by two `kind up`."""
    root = tmp_path / "churn"
    (root / ".kind").mkdir(parents=True)
    (root / "k8s.toml").write_text("cpu = 1\n")
    compiled: list[str] = []
    needs = up.Needs([], [])
    monkeypatch.setattr(
        up, "compile_needs", lambda project: compiled.append(project.config_file.name) or needs
    )
    cluster: Any = SimpleNamespace(folder=root / ".kind")

    def twice(other_config: Path | None = None) -> list[str]:
        compiled.clear()
        project = Project(root, "churn", other_config=other_config)
        for _ in range(2):
            assert up.find_needs(project, cluster) == needs
        return compiled.copy()

    return root, twice


def test_needs_are_kept_until_something_changes(
    kept_needs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the project and of packages beside it, a variable, the Python, this package."""
    root, twice = kept_needs
    sibling, installed = tmp_path / "sibling", tmp_path / "site-packages"
    sibling.mkdir()
    installed.mkdir()
    monkeypatch.syspath_prepend(str(sibling))  # as one that is installed editable
    monkeypatch.setattr(compilation_stamp.sysconfig, "get_path", lambda _: str(installed))
    assert twice() == ["k8s.toml"]
    for variable in ("PWD", "SHLVL", "METAFLOW_USER", "AWS_PROFILE"):
        monkeypatch.setenv(variable, "another")
        assert twice() == []
    monkeypatch.setenv("FLOW_SIZE", "large")
    assert twice() == ["k8s.toml"]
    assert "large" not in (root / ".kind/pods.json").read_text()
    (sibling / "shared.py").touch()
    assert twice() == ["k8s.toml"]
    (sibling / "data.csv").touch()
    assert twice() == []
    os.utime(installed, ns=(1, 1))
    assert twice() == ["k8s.toml"]
    monkeypatch.setattr(compilation_stamp, "version", lambda _: "99")
    assert twice() == ["k8s.toml"]
    monkeypatch.setattr(compilation_stamp.sys, "version", "3.99")
    assert twice() == ["k8s.toml"]
    monkeypatch.delenv("HOME")  # and a user whom /etc/passwd does not have
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert twice() == ["k8s.toml"]


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_another_configuration_needs_other_pods(
    kept_needs: Any, tmp_path: Path, where: str
) -> None:
    root, twice = kept_needs
    other = (root if where == "inside" else tmp_path) / "other.toml"
    other.write_text("cpu = 2\n")
    assert twice() == ["k8s.toml"]
    assert twice(other) == ["other.toml"]
    other.write_text("cpu = 3\n")
    os.utime(other, ns=(1, 1))
    assert twice(other) == ["other.toml"]
