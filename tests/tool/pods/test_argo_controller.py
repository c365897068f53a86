"""How the workflow controller is configured, as Argo itself reads it."""

from typing import Any

import pytest
from cluster_manifests import argo
from mf_k8s.pods.argo_controller import Controller, read_controller
from mf_k8s.pods.argo_pods import argo_pods


def controller(*args: str, image: str = "", **data: str) -> Controller:
    (deployment,) = [item for item in argo("v4.0.5", "argo", *args) if item["kind"] == "Deployment"]
    if image:
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return read_controller(deployment, {"data": data})


@pytest.mark.parametrize(
    ("image", "release"),
    [
        ("quay.io/argoproj/workflow-controller:v4.0.5", "v4.0.5"),
        ("registry:5000/argo/workflow-controller:3.7.12-debian@sha256:ab", "v3.7.12"),
        ("registry:5000/workflow-controller@sha256:ab", ""),
        ("registry:5000/workflow-controller:latest", ""),
    ],
)
def test_release(image: str, release: str) -> None:
    assert controller(image=image).release == release


@pytest.mark.parametrize(
    ("args", "namespace"),
    [
        ([], ""),
        (["--namespaced"], "argo"),
        (["--namespaced", "--managed-namespace", "a"], "a"),
        (["--managed-namespace=a", "--namespaced=true"], "a"),
        (["--managed-namespace=a"], ""),  # which Argo ignores without --namespaced
        (["--insecure-skip-tls-verify", "--namespaced", "--configmap", "c"], "argo"),
    ],
)
def test_flags(args: list[str], namespace: str) -> None:
    found = controller(*args)
    assert found.only_namespace == namespace
    assert found.config_map == ("c" if "c" in args else "workflow-controller-configmap")


def test_configuration() -> None:
    """Below one key, or with a key each: a table in one line then is a mistake, as for Argo."""
    one = controller(config="parallelism: 3\nexecutor: {resources: {requests: {cpu: 1}}}\n")
    each = controller(parallelism="3", executor="resources: {requests: {cpu: 1}}\n")
    assert one.config == each.config
    assert (one.config_error, each.config_error) == ("", "")
    in_one_line = controller(workflowDefaults="spec: {nodeSelector: {a: b}}")
    assert in_one_line.config_error.startswith(
        "it is not valid YAML: mapping values are not allowed"
    )
    both = controller(config="parallelism: 3", parallelism="3")
    assert both.config_error == "it has `config` and other keys, and only one of both is allowed"
    assert controller(config="- a").config_error == "it is not a table"
    assert controller().config == {}


@pytest.mark.parametrize(
    "value", ["text", ["a"], {"spec": "text"}, {"spec": {"tolerations": ["a"]}}]
)
def test_a_wrong_configuration_breaks_nothing(value: Any) -> None:
    names = ("executor", "mainContainer", "workflowDefaults", "artifactRepository", "kubeConfig")
    own = {"tolerations": [{"key": "a"}], "templates": [{"name": "a", "container": {"image": "b"}}]}
    template = {"metadata": {"name": "one"}, "spec": own}
    made = argo_pods(template, Controller(config=dict.fromkeys(names, value)))
    assert made["a"]["spec"]["containers"][1]["image"] == "b"
