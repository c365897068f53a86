"""Metaflow's configuration: the user's files and variables, and an environment over them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.deploy.project_branch import branch_of
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.configuration import Configuration, lay_over, overridden
from mf_k8s.project.environments import Environment, read_environment
from mf_k8s.project.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "environments").mkdir()
    return Project(tmp_path, "churn_model")


def read_back(project: Project, settings: Any) -> Environment:
    """Return the environment that a file with these settings gives."""
    (project.root / "environments/dev.json").write_text(json.dumps(settings))
    return read_environment(project, "dev")


def test_a_home_of_another_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container whose HOME is root's: Metaflow finds no configuration, and goes on."""

    def denied(self: Path, **_: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    own = {"METAFLOW_HOME": str(tmp_path / "none")}
    (tmp_path / ".metaflow").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "stat", denied)
    assert Configuration(own).setting("SERVICE_URL") == ""
    with pytest.raises(CommandError, match="there is no .*/none/config_acme.json: unset it"):
        Configuration(own | {"METAFLOW_PROFILE": "acme"}).setting("SERVICE_URL")
    (tmp_path / ".metaflow/config.json").mkdir()
    with pytest.raises(CommandError) as stopped:
        Configuration(own).setting("SERVICE_URL")
    assert str(stopped.value) == (
        f"{tmp_path}/.metaflow/config.json, Metaflow's configuration, cannot be read:"
        " Is a directory"
    )


def test_a_broken_configuration_of_metaflow_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("METAFLOW_PROFILE", raising=False)
    for name in ("config.json", ".metaflow/config.json"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        for text, reason in (
            ('{"A": 1,}', "Illegal trailing comma|Expecting property name"),
            ("[]", "no {"),
        ):
            file.write_text(text)
            with pytest.raises(CommandError, match=f"^{file}, Metaflow's .*({reason}).*correct it"):
                Configuration(os.environ).setting("USER")
        file.unlink()
    monkeypatch.setenv("METAFLOW_PROFILE", "gone")
    with pytest.raises(CommandError, match=rf"^METAFLOW_PROFILE is gone, .* {tmp_path}/config_gon"):
        Configuration(os.environ).setting("USER")


def test_environment_says_what_it_overrides(project: Project, tmp_path: Path) -> None:
    """The user's own configuration is laid under, not replaced."""
    settings = {"METAFLOW_DEFAULT_DATASTORE": "azure", "METAFLOW_SERVICE_URL": "https://hers"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    own = Configuration({"METAFLOW_HOME": str(tmp_path)})
    environment = read_back(project, {"METAFLOW_DEFAULT_DATASTORE": "s3", "user": "ci"})
    assert overridden(own, environment) == ["METAFLOW_DEFAULT_DATASTORE"]
    configuration = lay_over(own, environment)
    assert configuration.setting("SERVICE_URL") == "https://hers"
    assert configuration.setting("DEFAULT_DATASTORE") == "s3"
    assert configuration.variables["METAFLOW_USER"] == "ci"


@pytest.mark.parametrize(
    ("settings", "own", "branch", "dropped"),
    [
        ({"production": True}, {"METAFLOW_BRANCH": "ann"}, "prod", ["METAFLOW_BRANCH"]),
        ({"METAFLOW_PRODUCTION": "true"}, {"METAFLOW_BRANCH": "ann"}, "prod", ["METAFLOW_BRANCH"]),
        ({"branch": "next"}, {"METAFLOW_PRODUCTION": "1"}, "test.next", ["METAFLOW_PRODUCTION"]),
        ({"production": True, "branch": "next"}, {}, "prod.next", []),
        ({"production": False}, {"METAFLOW_BRANCH": "ann"}, "test.ann", []),
        ({}, {"METAFLOW_BRANCH": "ann"}, "test.ann", []),
    ],
)
def test_own_branch_is_not_joined(
    settings: Any,
    own: dict[str, str],
    branch: str,
    dropped: list[str],
    project: Project,
    tmp_path: Path,
) -> None:
    """Metaflow would make prod.ann of production here and a branch in the user's shell."""
    configuration = Configuration({"METAFLOW_HOME": str(tmp_path), **own})
    environment = read_back(project, settings)
    assert overridden(configuration, environment) == dropped
    assert branch_of(lay_over(configuration, environment).variables) == branch
