"""The layer below k8s.toml: what Metaflow's own configuration gives to pods."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S, copy_project
from kubernetes_api import Api
from metaflow.plugins.aws.aws_utils import get_docker_registry
from metaflow.plugins.kubernetes import kubernetes_decorator
from mf_k8s.check.compare import check_flows
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.metaflow.configuration import Configuration
from mf_k8s.metaflow.read_defaults import read_metaflow_defaults, with_default_decorators
from mf_k8s.pods.expected_pods import expected_pods
from mf_k8s.pods.metaflow_defaults import (
    MetaflowDefault,
    default_sources,
    names_registry,
    override_sources,
    with_defaults,
)
from mf_k8s.project.project import Project

PYTHON = f"python:{sys.version_info[0]}.{sys.version_info[1]}"
# The variable, the parameter of @kubernetes, the variable's text, and the text as a value.
GIVEN: dict[str, tuple[str, str, Any]] = {
    "KUBERNETES_SERVICE_ACCOUNT": ("service_account", "hers", "hers"),
    "KUBERNETES_GPU_VENDOR": ("gpu_vendor", "amd", "amd"),
    "KUBERNETES_NODE_SELECTOR": ("node_selector", "a=b,c=d=e", {"a": "b", "c": "d=e"}),
    "KUBERNETES_TOLERATIONS": ("tolerations", '[{"key": "hers"}]', [{"key": "hers"}]),
    "KUBERNETES_PERSISTENT_VOLUME_CLAIMS": (
        "persistent_volume_claims",
        '{"hers": "/hers"}',
        {"hers": "/hers"},
    ),
    "KUBERNETES_IMAGE_PULL_POLICY": ("image_pull_policy", "Always", "Always"),
    "KUBERNETES_IMAGE_PULL_SECRETS": ("image_pull_secrets", '["hers"]', ["hers"]),
    "KUBERNETES_CPU": ("cpu", "3", 3),
    "KUBERNETES_MEMORY": ("memory", "9000", 9000),
    "KUBERNETES_DISK": ("disk", "20000", 20000),
    "KUBERNETES_LABELS": ("labels", "team=hers,alone", {"team": "hers", "alone": None}),
    "KUBERNETES_ANNOTATIONS": ("annotations", "note=hers", {"note": "hers"}),
    "KUBERNETES_QOS": ("qos", "guaranteed", "guaranteed"),
    "KUBERNETES_CONTAINER_IMAGE": ("image", "ghcr.io/hers:1", "ghcr.io/hers:1"),
    "KUBERNETES_SHARED_MEMORY": ("shared_memory", "64", 64),
    "KUBERNETES_PORT": ("port", "8080", 8080),
}
STATED: dict[str, Any] = {
    "service_account": "own",
    "gpu_vendor": "nvidia",
    "node_selector": {"own": "b"},
    "tolerations": [{"key": "own"}],
    "persistent_volume_claims": {"own": "/own"},
    "image_pull_policy": "Never",
    "image_pull_secrets": ["own"],
    "cpu": 1,
    "memory": 4096,
    "disk": 10240,
    "labels": {"team": "own", "other": "own"},
    "annotations": {"other": "own"},
    "qos": "burstable",
    "image": "own:1",
    "shared_memory": 8,
    "port": 80,
}
MERGED = {
    "labels": {"team": "own", "alone": None, "other": "own"},
    "annotations": {"note": "hers", "other": "own"},
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is Metaflow's home."""
    monkeypatch.setenv("METAFLOW_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", GIVEN)
def test_a_variable_is_read_and_laid_under(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts where the step says nothing; labels and annotations also merge below."""
    key, text, value = GIVEN[name]
    monkeypatch.setenv(f"METAFLOW_{name}", text)
    (default,) = defaults = read_metaflow_defaults(Configuration(os.environ), on_argo=False)
    assert default == MetaflowDefault(f"METAFLOW_{name}", key, value)
    assert with_defaults({}, defaults) == {key: value}
    assert with_defaults(STATED, defaults) == {**STATED, key: MERGED.get(key, STATED[key])}
    assert default_sources([STATED, {}], defaults) == [f"{key}: from METAFLOW_{name}"]
    assert (default_sources([STATED], defaults) == []) == (key not in MERGED)


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("stated", [False, True], ids=["silent", "stated"])
def test_metaflow_does_the_same(name: str, stated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same by Metaflow's own decorator: this fails when a version of it changes a rule."""
    key, text, value = GIVEN[name]
    number = isinstance(value, int)
    setting = value if name == "KUBERNETES_SHARED_MEMORY" else text
    if name == "KUBERNETES_QOS":  # is read when the class is made
        monkeypatch.setitem(kubernetes_decorator.KubernetesDecorator.defaults, "qos", text)
    else:
        monkeypatch.setattr(kubernetes_decorator, name, setting)
    own = {key: STATED[key]} if stated else {}
    decorator = kubernetes_decorator.KubernetesDecorator(attributes=dict(own))
    decorator.init()
    laid = with_defaults(own, [MetaflowDefault(name, key, value)])
    found = decorator.attributes[key]
    assert (float(found) if number else found) == laid[key]


# What a step says, what is given in this order, and the image that comes of it.
REGISTRY = MetaflowDefault("R", "registry", "registry.hers:5000/")
IMAGE = MetaflowDefault("I", "image", "hers:1")
IMAGES: dict[str, tuple[dict[str, Any], list[MetaflowDefault], str]] = {
    "of nobody": ({}, [REGISTRY], f"registry.hers:5000/{PYTHON}"),
    "of the company": ({}, [IMAGE, REGISTRY], "registry.hers:5000/hers:1"),
    "of the step": ({"image": "own:1"}, [IMAGE, REGISTRY], "registry.hers:5000/own:1"),
    "of a registry": ({"image": "ghcr.io/own:1"}, [IMAGE, REGISTRY], "ghcr.io/own:1"),
}


@pytest.mark.parametrize("case", IMAGES)
def test_the_registry_goes_before_an_image_that_names_none(case: str) -> None:
    settings, defaults, image = IMAGES[case]
    assert with_defaults(settings, defaults)["image"] == image
    named = "image: from R" in default_sources([settings], defaults)
    assert named == (case != "of a registry")


@pytest.mark.parametrize(
    "image",
    ["a", "a:1", "team/a:1", "localhost/a:1", "localhost:5000/a", "x.y/a", "x.y/a@sha256:1", "a.b"],
)
def test_a_registry_is_what_metaflow_takes_for_it(image: str) -> None:
    assert names_registry(image) == bool(get_docker_registry(image))


def test_secrets_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of Argo only there; what two name is one."""
    monkeypatch.setenv("METAFLOW_KUBERNETES_SECRETS", "s3,own")
    monkeypatch.setenv("METAFLOW_ARGO_WORKFLOWS_KUBERNETES_SECRETS", "argo")
    of_run, of_argo = (
        read_metaflow_defaults(Configuration(os.environ), on_argo) for on_argo in (False, True)
    )
    assert with_defaults({"secrets": ["own"]}, of_run) == {"secrets": ["own", "s3"]}
    assert with_defaults({"secrets": ["own"]}, of_argo) == {"secrets": ["own", "s3", "argo"]}


def test_defaults_of_all_backends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """METAFLOW_DEFAULT_… counts where METAFLOW_KUBERNETES_… is not set; empty is set."""
    text = {
        "METAFLOW_DEFAULT_CONTAINER_IMAGE": "all:1",
        "METAFLOW_DEFAULT_CONTAINER_REGISTRY": "all.example.com",
        "METAFLOW_KUBERNETES_SHARED_MEMORY": 64,
    }
    (home / "config.json").write_text(json.dumps(text))
    image = MetaflowDefault("METAFLOW_DEFAULT_CONTAINER_IMAGE", "image", "all:1")
    registry = MetaflowDefault("METAFLOW_DEFAULT_CONTAINER_REGISTRY", "registry", "all.example.com")
    memory = MetaflowDefault("METAFLOW_KUBERNETES_SHARED_MEMORY", "shared_memory", 64)
    assert read_metaflow_defaults(Configuration(os.environ), on_argo=False) == (
        image,
        registry,
        memory,
    )
    monkeypatch.setenv("METAFLOW_KUBERNETES_CONTAINER_REGISTRY", "")
    assert read_metaflow_defaults(Configuration(os.environ), on_argo=False) == (image, memory)


@pytest.mark.parametrize(
    "name", ["KUBERNETES_CPU", "KUBERNETES_PORT", "KUBERNETES_IMAGE_PULL_SECRETS"]
)
def test_a_bad_value_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"METAFLOW_{name}", "hers")
    with pytest.raises(CommandError, match=f"^METAFLOW_{name} of Metaflow's configuration is not"):
        read_metaflow_defaults(Configuration(os.environ), on_argo=False)


def test_deploy_expects_and_names_all_of_it(
    example: Path,
    home: Path,
    api: type[Api],
    s3: dict[str, str],
) -> None:
    """With Metaflow's own create. Pods that do not run steps get what they can have of it, too."""
    project = home / "project"
    copy_project(example, project)
    (project / "k8s.toml").write_text('gpu = 1\nsecrets = ["s3"]\n')
    texts = {f"METAFLOW_{name}": text for name, (_, text, _) in GIVEN.items()}
    texts["METAFLOW_KUBERNETES_LABELS"] = "team=hers"
    texts["METAFLOW_KUBERNETES_CONTAINER_IMAGE"] = "hers:1"
    texts["METAFLOW_KUBERNETES_CONTAINER_REGISTRY"] = "registry.hers:5000"
    texts["METAFLOW_KUBERNETES_SECRETS"] = "s3,more"
    texts["METAFLOW_ARGO_WORKFLOWS_KUBERNETES_SECRETS"] = "argo"
    texts["METAFLOW_DEFAULT_DECOSPECS"] = "retry kubernetes:tmpfs_size=512"
    texts["METAFLOW_DECOSPECS"] = "kubernetes:compute_pool=hers"
    del texts["METAFLOW_KUBERNETES_SHARED_MEMORY"]  # crashes Metaflow as a variable
    config = {"METAFLOW_KUBERNETES_SHARED_MEMORY": 64}
    (home / "config.json").write_text(json.dumps(config))
    where = {
        "METAFLOW_HOME": str(home),
        "KUBECONFIG": os.environ["KUBECONFIG"],
        "METAFLOW_USER": "tests",
    }
    where["PYTHONPATH"] = str(project / "src")
    done = subprocess.run(
        [K8S, "deploy", "hello", "--dry-run", "--", "--branch=tests"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **s3, **texts, **where},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    title = "HelloFlow (WorkflowTemplate churnmodel.test.tests.helloflow): "
    noted = {
        item.removeprefix(title) for item in done.stdout.splitlines() if item.startswith(title)
    }
    of_settings = {f"{key}: from METAFLOW_{name}" for name, (key, _, _) in GIVEN.items()}
    assert noted == of_settings | {
        "image: from METAFLOW_KUBERNETES_CONTAINER_REGISTRY",
        "secrets: from METAFLOW_KUBERNETES_SECRETS",
        "secrets: from METAFLOW_ARGO_WORKFLOWS_KUBERNETES_SECRETS",
        "tmpfs_size: from METAFLOW_DEFAULT_DECOSPECS",
        "compute_pool: from METAFLOW_DECOSPECS",
    }
    (created,) = api.tried
    assert created["metadata"]["labels"]["mf-k8s/project"] == "churn-model"
    assert created["spec"]["podMetadata"]["labels"]["mf-k8s/project"] == "churn-model"
    spec = created["spec"]
    assert spec["nodeSelector"] == {"a": "b", "c": "d=e"}
    assert spec["tolerations"] == [{"key": "hers"}]
    assert spec["imagePullSecrets"] == [{"name": "hers"}]
    (start,) = [item for item in spec["templates"] if item["name"] == "start"]
    assert start["container"]["image"] == "registry.hers:5000/hers:1"
    assert start["container"]["resources"]["limits"]["amd.com/gpu"] == "1"
    assert start["metadata"]["labels"]["team"] == "hers"
    assert start["nodeSelector"]["outerbounds.co/compute-pool"] == "hers"
    assert "512Mi" in [volume.get("emptyDir", {}).get("sizeLimit") for volume in start["volumes"]]


def test_check_expects_and_names_what_the_options_of_a_flow_give(
    example: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` ignores METAFLOW_DEFAULT_DECOSPECS. `check --live` expects it, below the options."""
    folder = home / "project"
    copy_project(example, folder)
    options = ["--with", "kubernetes:cpu=2", '--with=kubernetes:memory=9000,labels={"a":"b"}']
    options += ["--with", 'kubernetes:labels={"a":"c"}']
    (folder / "tests/kind.toml").write_text(f"[train]\noptions = {json.dumps(options)}\n")
    monkeypatch.setenv("METAFLOW_DEFAULT_DECOSPECS", "kubernetes:cpu=3,disk=20000 retry")
    monkeypatch.setenv("METAFLOW_DECOSPECS", "kubernetes:disk=30000")
    project = Project(folder, "churn_model")
    (result,) = compile_flows(project, [folder / "flows/train.py"])
    assert result.template and result.flow, result.error
    pods = {
        template["name"]: template["container"]["resources"]["requests"]
        for template in result.template["spec"]["templates"]
        if template["name"] in ("start", "train")  # which has @k8s(memory=8192)
    }
    requests = {"cpu": "2", "memory": "9000M", "ephemeral-storage": "10240M"}
    assert pods == {"start": requests, "train": requests}
    (report,) = check_flows(project, [result])
    assert report.matches
    source = "--with in options of tests/kind.toml"
    assert {f"cpu: from {source}", f"memory: from {source}"} <= {*report.notes}
    live = with_default_decorators(result.flow, result.options, Configuration(os.environ))
    pod = expected_pods({}, live)["train"]
    assert (pod["cpu"], pod["memory"], pod["disk"]) == ("2", "9000M", "20000M")
    assert "disk: from METAFLOW_DEFAULT_DECOSPECS" in override_sources(live)
    monkeypatch.setenv("METAFLOW_DEFAULT_DECOSPECS", "kubernetes:cpu=many")
    with pytest.raises(CommandError, match='@kubernetes: cpu = "many" cannot be read'):
        expected_pods({}, with_default_decorators(result.flow, [], Configuration(os.environ)))
