"""organisation.json: what it lays below k8s.toml and environments/, in BaseFlow and in the tool."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.check.locked_values import locked_in_files, locked_in_flow
from mf_k8s.errors import CommandError
from mf_k8s.project.environment_layer import environments_with_layer, layer_sources, merged_config
from mf_k8s.project.environments import read_environment
from mf_k8s.project.project import Project

OWN = """image = "churn:1.2.3"
memory = 16000
labels.team = "churn"
pools.gpu.memory = 64000
"""
ORGANISATION: dict[str, Any] = {
    "k8s": {
        "registry": "registry.acme.example/ml",
        "service_account": "runner",
        "memory": 8000,
        "labels": {"cost-centre": "ml", "a.example/b": "c"},
        "pools": {"gpu": {"gpu": 1, "labels": {"cost-centre": "gpu"}}},
    },
    "environments": {
        "prod": {
            "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme",
            "tags": ["env:prod"],
            "schedules": False,
            "k8s": {"service_account": "runner-prod", "memory": 4000, "cpu": 2},
        }
    },
    "locked": ["registry", "service_account", "labels.cost-centre"],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    package = tmp_path / "src/churn_model"
    shutil.copytree(ROOT / "template/src/{{ package_name }}", package)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments/prod.json").write_text('{"METAFLOW_USER": "churn"}')
    (tmp_path / "k8s.toml").write_text(OWN)
    (package / "organisation.json").write_text(json.dumps(ORGANISATION))
    return Project(tmp_path, "churn_model")


def test_it_lies_below_k8s_toml(project: Project) -> None:
    """Its values for an environment lie between."""
    shared = {
        "registry": "registry.acme.example/ml",
        "image": "registry.acme.example/ml/churn:1.2.3",
        "memory": 16000,
        "labels": {"cost-centre": "ml", "a.example/b": "c", "team": "churn"},
        "pools": {"gpu": {"gpu": 1, "labels": {"cost-centre": "gpu"}, "memory": 64000}},
    }
    assert merged_config(project) == shared | {"service_account": "runner"}
    of_prod = shared | {"service_account": "runner-prod", "cpu": 2}
    assert merged_config(project.at("prod")) == of_prod
    assert environments_with_layer(project) == ["prod"]
    (project.root / "environments/prod.json").write_text(
        '{"k8s": {"registry": "other.example", "service_account": null}}'
    )
    config = merged_config(project.at("prod"))
    assert config["image"] == "other.example/churn:1.2.3"
    assert "service_account" not in config


def test_where_values_come_from(project: Project) -> None:
    """What k8s.toml replaces does not count."""
    general = ["labels", "pools.gpu", "registry", "service_account"]
    assert layer_sources(project) == [f"{key}: from organisation.json" for key in general]
    assert layer_sources(project.at("prod")) == [
        *(f"{key}: from organisation.json for prod" for key in ("cpu", "service_account")),
        *(f"{key}: from organisation.json" for key in general[:-1]),
    ]


def test_its_environments_lie_below_those_of_the_project(project: Project) -> None:
    environment = read_environment(project, "prod")
    assert dict(environment.variables) == {
        "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme",
        "METAFLOW_USER": "churn",
    }
    assert environment.create_options == ("--tag=env:prod",)
    assert environment.schedules is False
    own = {"METAFLOW_KUBERNETES_NAMESPACE": "own", "schedules": True}
    (project.root / "environments/prod.json").write_text(json.dumps(own))
    environment = read_environment(project, "prod")
    assert (environment.namespace, environment.schedules) == ("own", True)
    (project.root / "environments/prod.json").write_text('{"user": "churn"}')
    file = project.root / "src/churn_model/organisation.json"
    file.write_text('{"environments": {"prod": {"METAFLOW_USER": "acme"}}}')
    message = "environments/prod.json: user and METAFLOW_USER are the same setting: keep one"
    with pytest.raises(CommandError, match=message):
        read_environment(project, "prod")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "src/churn_model/organisation.json is not JSON: .*; run `git checkout HEAD -- "),
        ("<<<<<<< before\n", "organisation.json .*conflict.*; the template's side, as no team"),
        ('{"lockd": []}', r"organisation\.json: no key lockd; did you mean locked\?"),
        (
            '{"k8s": {"gpus": 1}}',
            r"organisation\.json: k8s: no key gpus; did you mean gpu\?",
        ),
        (
            '{"environments": {"prod": {"k8s": {"cpu": 0}}}}',
            r"organisation\.json: environments\.prod\.k8s: cpu = 0: Number above 0",
        ),
        (
            '{"k8s": {"persistent_volume_claims": {"nfs": "/data"}}}',
            "k8s.toml: data and nfs of organisation.json are both mounted at /data: give one",
        ),
    ],
)
def test_a_file_that_is_not_valid(project: Project, text: str, message: str) -> None:
    (project.root / "src/churn_model/organisation.json").write_text(text)
    (project.root / "k8s.toml").write_text('persistent_volume_claims.data = "/data"\n')
    with pytest.raises(CommandError, match=message):
        merged_config(project)


def test_locked_in_files(project: Project) -> None:
    assert [*locked_in_files(project)] == []
    (project.root / "k8s.toml").write_text(
        'image = "ghcr.io/own/churn:1"\nlabels.cost-centre = "own"\nservice_account = "runner"\n'
    )
    assert [*locked_in_files(project)] == [
        'labels.cost-centre is locked: organisation.json says "ml", and k8s.toml says "own":'
        " take it out there",
        'registry is locked: organisation.json says "registry.acme.example/ml", and k8s.toml says'
        " image = ghcr.io/own/churn:1: take it out there",
    ]
    file = project.root / "environments/prod.json"
    file.write_text('{"k8s": {"labels": {"cost-centre": null}, "service_account": "own"}}')
    (project.root / "k8s.toml").write_text('image = "churn:1"\n')
    assert [*locked_in_files(project.at("prod"))] == [
        'service_account is locked: organisation.json says "runner-prod", and'
        ' environments/prod.json says "own": take it out there',
        'labels.cost-centre is locked: organisation.json says "ml", and environments/prod.json'
        " says null: take it out there",
    ]


def test_locked_in_what_is_above_the_steps(project: Project) -> None:
    """Labels of all pods replace a step's, and a container below [pod] has an image of its own."""
    (project.root / "k8s.toml").write_text(
        'image = "churn:1"\nworkflow.pod_metadata.labels.cost-centre = "own"\n'
        '[[pod.containers]]\nname = "wait"\nimage = "docker.io/own/wait:1"\n'
    )
    assert [*locked_in_files(project)] == [
        'labels.cost-centre is locked: organisation.json says "ml", and workflow.pod_metadata of'
        ' k8s.toml says "own": take it out there',
        'registry is locked: organisation.json says "registry.acme.example/ml", and k8s.toml says'
        " image = docker.io/own/wait:1: take it out there",
    ]
    (project.root / "k8s.toml").write_text('image = "churn:1"\nregistry = "docker.io/own"\n')
    (line,) = locked_in_files(project)
    assert line.endswith('and k8s.toml says "docker.io/own": take it out there')
    (project.root / "k8s.toml").write_text('image = "churn:1"\n')
    (project.root / "environments/prod.json").write_text('{"k8s": {"image": "docker.io/a/b:1"}}')
    (line,) = locked_in_files(project.at("prod"))
    assert "environments/prod.json says image = docker.io/a/b:1" in line


def test_locked_in_a_flow(project: Project) -> None:
    """The organisation's own pool may have another value; a pool of the project may not."""
    pools = 'own.image = "docker.io/own:1"\ngpu.service_account = "own"\n'
    (project.root / "k8s.toml").write_text(f'image = "churn:1"\n[pools]\n{pools}')

    def steps(*overrides: dict[str, Any]) -> Any:
        return {"steps": {"start": {"overrides": overrides, "resources": {}}}}

    locked = "start: %s is locked: organisation.json says %s, and %s: take it out there"
    of_pool = locked % ("service_account", '"runner"', 'pool gpu says "own"')
    assert [*locked_in_flow(project, steps({"pool": "gpu", "values": {}}))] == [of_pool]
    of_registry = ("registry", '"registry.acme.example/ml"')
    assert [*locked_in_flow(project, steps({"pool": "own", "values": {}}))] == [
        locked % (*of_registry, "pool own says image = docker.io/own:1")
    ]
    labels = {"labels": {"cost-centre": "own", "team": "a"}, "image": "other:2", "memory": 1}
    of_step = {"pool": None, "values": labels, "source": "@k8s"}
    assert [*locked_in_flow(project, steps(of_step))] == [
        locked % ("labels.cost-centre", '"ml"', '@k8s says "own"')
    ]
    plain = {"pool": None, "values": {"memory": 32000}, "source": "@k8s"}
    assert [*locked_in_flow(project, steps(plain))] == []
