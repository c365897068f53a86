"""`k8s` of environments/NAME.json: what may be in it, and what it makes of k8s.toml."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.read_place import read_place
from mf_k8s.project.environment_layer import environments_with_layer, merged_config
from mf_k8s.project.project import Project

CONFIG = """image = "ghcr.io/acme/churn:1.2.3"
service_account = "cloud"
shared_memory = 4096
secrets = ["db"]
labels.team = "churn"
persistent_volume_claims.data = "/data"
pools.gpu.gpu = 1
pools.gpu.node_selector = { pool = "gpu" }
workflow.parallelism = 4
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    package = tmp_path / "src/churn_model"
    shutil.copytree(ROOT / "template/src/{{ package_name }}", package)
    (tmp_path / "environments").mkdir()
    (tmp_path / "k8s.toml").write_text(CONFIG)
    return Project(tmp_path, "churn_model")


def write(project: Project, settings: Any, name: str = "dev") -> None:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (project.root / f"environments/{name}.json").write_text(text)


def test_it_lies_over_k8s_toml(project: Project) -> None:
    """Tables merge by key, lists append, null takes away; pools and [workflow] too."""
    layer = {
        "service_account": "team-b",
        "shared_memory": None,
        "secrets": ["vault"],
        "labels": {"memory": "high"},
        "persistent_volume_claims": {"data": None, "nfs": "/data"},
        "pools": {"gpu": {"node_selector": {"pool": None, "gpu": "yes"}}, "big": {"memory": 64000}},
        "workflow": {"ttl": {"seconds_after_success": 60}},
    }
    write(project, {"k8s": layer})
    read_place(project, "dev")
    assert merged_config(project.at("dev")) == {
        "image": "ghcr.io/acme/churn:1.2.3",
        "service_account": "team-b",
        "secrets": ["db", "vault"],
        "labels": {"team": "churn", "memory": "high"},
        "persistent_volume_claims": {"nfs": "/data"},
        "pools": {"gpu": {"gpu": 1, "node_selector": {"gpu": "yes"}}, "big": {"memory": 64000}},
        "workflow": {"parallelism": 4, "ttl": {"seconds_after_success": 60}},
    }
    write(project, {"context": "k8s"}, "prod")
    for place in ("", "prod"):
        assert merged_config(project.at(place))["service_account"] == "cloud"
    assert environments_with_layer(project) == ["dev"]
    write(project, '{"k8s": {}\n<<<<<<< ours', "prod")
    assert environments_with_layer(project) == ["dev", "prod"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k8s": []}, "environments/dev.json: k8s = []: Table of keys of k8s.toml"),
        ({"k8s": {"gpus": 1}}, "environments/dev.json: k8s: no key gpus; did you mean gpu?"),
        ({"k8s": {"gpu": "two"}}, 'environments/dev.json: k8s: gpu = "two": Whole number'),
        (
            {"k8s": {"pools": {"gpu": {"memory": 1}}}},
            "environments/dev.json: k8s: pools.gpu.memory = 1: Whole number of MB",
        ),
        (
            {"k8s": {"namespace": "a"}},
            'environments/dev.json: k8s: namespace = "a": Set METAFLOW_KUBERNETES_NAMESPACE',
        ),
        (
            {"k8s": {"persistent_volume_claims": {"nfs": "/data"}}},
            "environments/dev.json: nfs and data of k8s.toml are both mounted at /data: give one"
            ' another path, or write "data": null beside nfs',
        ),
        (
            {"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "team-b"},
            "environments/dev.json: METAFLOW_KUBERNETES_SERVICE_ACCOUNT has no effect, because"
            ' service_account = "cloud" of k8s.toml lies over it: write "k8s":'
            ' {"service_account": "team-b"} into that file instead',
        ),
        (
            {"METAFLOW_KUBERNETES_SHARED_MEMORY": "64"},
            "environments/dev.json: METAFLOW_KUBERNETES_SHARED_MEMORY has no effect, because"
            ' shared_memory = 4096 of k8s.toml lies over it: write "k8s": {"shared_memory": 64}'
            " into that file instead",
        ),
        (
            {"METAFLOW_KUBERNETES_LABELS": "team=ml,cost=4711"},
            "environments/dev.json: METAFLOW_KUBERNETES_LABELS has no effect, because"
            ' labels = {"team": "churn"} of k8s.toml lies over it; write "k8s": {"labels":'
            ' {"team": "ml"}} into that file instead',
        ),
        (
            {"METAFLOW_KUBERNETES_CONTAINER_REGISTRY": "registry.acme.example/ml"},
            "environments/dev.json: METAFLOW_KUBERNETES_CONTAINER_REGISTRY has no effect, because"
            ' image = "ghcr.io/acme/churn:1.2.3" of k8s.toml lies over it: write "k8s": {"image":'
            ' "registry.acme.example/ml/acme/churn:1.2.3"} into that file instead',
        ),
    ],
)
def test_what_is_wrong_is_one_line(project: Project, settings: Any, message: str) -> None:
    """It names file and place. The other environment is as it was."""
    write(project, settings)
    with pytest.raises(CommandError) as stopped:
        read_place(project, "dev")
    assert str(stopped.value).startswith(message)
    write(project, {}, "prod")
    assert read_place(project, "prod").name == "prod"


@pytest.mark.parametrize(
    "settings",
    [
        {"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "cloud"},  # is what the pods have
        {"METAFLOW_KUBERNETES_SHARED_MEMORY": "64", "k8s": {"shared_memory": None}},
        {"METAFLOW_KUBERNETES_SECRETS": "vault", "METAFLOW_KUBERNETES_LABELS": "cost=4711"},
        {"METAFLOW_KUBERNETES_CONTAINER_REGISTRY": "ghcr.io"},
        {"METAFLOW_KUBERNETES_CPU": "4", "METAFLOW_KUBERNETES_NAMESPACE": "team-b"},
    ],
)
def test_a_setting_of_metaflow_with_an_effect_is_right(project: Project, settings: Any) -> None:
    write(project, settings)
    read_place(project, "dev")


def test_a_project_that_does_not_know_it(project: Project) -> None:
    """BaseFlow of 0.3.0 would ignore it."""
    text = project.settings_file.read_text()
    project.settings_file.write_text(text.replace("CONTRACT = 2", "CONTRACT = 1"))
    write(project, {"k8s": {"gpu": 1}})
    with pytest.raises(CommandError, match="has k8s, which .*settings.py is too old for: run `uvx"):
        read_place(project, "dev")
    write(project, {"user": "ann"})
    read_place(project, "dev")
