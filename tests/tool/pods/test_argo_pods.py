"""The pods that Argo and JobSet make, as they were found on clusters with other configurations."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, copy_project
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.argo_controller import Controller, read_controller
from mf_k8s.pods.argo_pods import argo_pods
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.quantities import quantity
from mf_k8s.pods.read_pods import raw_pods
from mf_k8s.project.k8s_toml import read_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project

# From Argo Workflows 4.0.5 as installed, and 4.0.5 and 3.7.12 with all that a ConfigMap can add,
# once below one key and once with a key each. Each pod was made live by its own template.
RECORDED = json.loads((ROOT / "tests/recorded/argo_pods.json").read_text())
HTTP = {"name": "call", "http": {"method": "POST", "url": "http://127.0.0.1:9", "body": "{}"}}
FILLED_IN = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")  # by admission
COMPARED = (
    "serviceAccountName", "nodeSelector", "priorityClassName", "restartPolicy", "hostNetwork",
    "automountServiceAccountToken", "affinity", "securityContext",
)  # fmt: skip


@pytest.fixture(scope="module")
def compiled(example: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the WorkflowTemplate of a flow with a gang, and with an HTTP template."""
    folder = copy_project(example, tmp_path_factory.mktemp("gang") / "project")
    shutil.copy(ROOT / "tests/recorded/k8s.toml", folder)
    project = Project(folder, "churn_model")
    file = Path(shutil.copy(ROOT / "tests/flows/gang.py", folder / "flows"))
    (gang,) = compile_flows(project, [file])
    assert gang.template, gang.error
    shared = shared_settings(read_config(project.config_file))
    whole = configure_template(gang.template, shared, {"priority_class": "low"})
    whole["spec"]["templates"].append(HTTP)
    return whole


@pytest.fixture
def flow(compiled: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of that template, which a test may spoil."""
    return copy.deepcopy(compiled)


def container(item: dict[str, Any]) -> dict[str, Any]:
    """Return what admission and scheduling look at in a container, in one spelling."""
    resources = item.get("resources") or {}
    requests, limits = (resources.get(kind) or {} for kind in ("requests", "limits"))
    defaulted = {name: limits[name] for name in limits if name not in requests}
    amounts = {"requests": {**defaulted, **requests}, "limits": limits}
    return {
        "image": item["image"],
        "policy": item.get("imagePullPolicy") or "IfNotPresent",
        "resources": {k: {n: quantity(v) for n, v in of.items()} for k, of in amounts.items()},
        "securityContext": {
            key: value for key, value in (item.get("securityContext") or {}).items() if value != []
        },
        "ports": [port["containerPort"] for port in item.get("ports") or ()],
        "secrets": [source["secretRef"]["name"] for source in item.get("envFrom") or ()],
    }


def pod(item: dict[str, Any]) -> dict[str, Any]:
    """Return what admission and scheduling look at in a pod, in one spelling."""
    spec = item["spec"]
    volumes = {
        volume["name"]: json.dumps(
            {
                kind: {key: value for key, value in (source or {}).items() if key != "defaultMode"}
                for kind, source in volume.items()
                if kind != "name"
            },
            sort_keys=True,
        )
        for volume in spec["volumes"]
        if "projected" not in volume and "kube-api" not in volume["name"]
    }
    tolerations = [t for t in spec.get("tolerations") or () if t.get("key") not in FILLED_IN]
    labels = item["metadata"]["labels"]
    return {
        **{key: spec.get(key) or None for key in COMPARED},
        "tolerations": sorted(json.dumps(item, sort_keys=True) for item in tolerations),
        "pull": sorted(secret["name"] for secret in spec.get("imagePullSecrets") or ()),
        "volumes": volumes,
        "init": {each["name"]: container(each) for each in spec.get("initContainers") or ()},
        "containers": {each["name"]: container(each) for each in spec["containers"]},
        "labels": {key: value for key, value in labels.items() if key in OWN_LABELS},
        "deadline": min(spec.get("activeDeadlineSeconds") or 0, 3599),
    }


OWN_LABELS = {"team", "kueue.x-k8s.io/queue-name", "workflows.argoproj.io/controller-instanceid"}
OWN_LABELS |= {"workflows.argoproj.io/component", "app.kubernetes.io/name"}


@pytest.mark.parametrize("place", RECORDED)
def test_pods_are_as_on_a_cluster(flow: dict[str, Any], place: str) -> None:
    recorded = RECORDED[place]
    controller = read_controller(recorded["deployment"], recorded["config_map"])
    made = argo_pods(flow, controller)
    assert made.keys() == {*raw_pods(flow), "(agent)"}
    assert recorded["pods"].keys() <= made.keys()
    for name, live in recorded["pods"].items():
        assert pod(made[name]) == pod(live), name


def test_a_whole_pod(flow: dict[str, Any]) -> None:
    """It can be sent to an API server: its names and labels have no expressions of Argo's."""
    pods = argo_pods(flow, Controller())
    text = json.dumps(
        [[each["metadata"]["name"], each["metadata"]["labels"]] for each in pods.values()]
    )
    assert "{{" not in text
    assert {each["metadata"]["namespace"] for each in pods.values()} == {"default"}
    assert pods["start"]["metadata"]["name"] == "gangflow-xxxxx-start-0000000000"
    flow["metadata"]["name"] = "a" * 80
    start = argo_pods(flow, Controller())["start"]
    assert start["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "a" * 58 + "x" * 5


def test_the_hook_that_metaflow_adds(flow: dict[str, Any]) -> None:
    """Argo leaves the hook `exit` out where the workflow has onExit: then it needs no agent."""
    spec = flow["spec"]
    assert spec["onExit"]
    spec["hooks"] = {"exit": {"template": "call"}}
    assert "(agent)" not in argo_pods(flow, Controller())
    spec["hooks"]["done"] = {"template": "call", "expression": "workflow.status == 'Failed'"}
    assert "(agent)" in argo_pods(flow, Controller())
    del spec["onExit"], spec["hooks"]["done"]
    assert "(agent)" in argo_pods(flow, Controller())


def test_pods_without_init(flow: dict[str, Any]) -> None:
    """Argo 4.1 may have `supervisor` in the place of `init` and `wait`, and an image volume."""
    config = {"initlessPod": {"enabled": True}, "executor": {"image": "argoexec:1"}}
    start = argo_pods(flow, Controller(config=config))["start"]["spec"]
    assert [each["name"] for each in start["containers"]] == ["supervisor", "main"]
    assert start["initContainers"] == []
    assert {"name": "argoexec-bin", "image": {"reference": "argoexec:1"}} in start["volumes"]
