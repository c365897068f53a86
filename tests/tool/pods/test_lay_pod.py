"""[pod] of k8s.toml on every pod that a flow makes on Argo Workflows, and what check says of it."""

import copy
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from argo_schema import schema_errors
from conftest import ROOT, copy_project
from mf_k8s.check.compare import compare_pods
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.plan.differences import planned_settings
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.pods.argo_pods import argo_pods
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.expected_pods import expected_pods
from mf_k8s.pods.flow_facts import FlowFacts
from mf_k8s.pods.lay_pod import step_pods
from mf_k8s.pods.read_pods import jobset_manifest, workflow_pods
from mf_k8s.project.k8s_toml import read_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project

CONFIG = """
image = "ghcr.io/acme/churn:1.2.3"
tolerations = [{ key = "gpu", operator = "Exists" }]
security_context.allow_privilege_escalation = false
[pod]
priority_class_name = "low"
security_context = { fs_group = 1000, seccomp_profile.type = "RuntimeDefault" }
tolerations = [{ key = "a", operator = "Exists", effect = "NoExecute", toleration_seconds = 30 }]
host_aliases = [{ ip = "10.0.0.1", hostnames = ["db"] }]
containers = [
  { name = "main", security_context.capabilities.drop = ["ALL"] },
  { name = "wait", security_context.allow_privilege_escalation = false },
]
init_containers = [{ name = "init", security_context.allow_privilege_escalation = false }]
[pools.spot.pod]
priority_class_name = "spot"
"""
OWN = """@k8s("spot", pod={"host_aliases": None, "security_context": {"fs_group": None}})
    @step
    def end"""
HTTP = {"name": "call", "http": {"method": "POST", "url": "http://127.0.0.1:9", "body": "{}"}}
NO_ESCALATION = {"allowPrivilegeEscalation": False}
DROP = {"capabilities": {"drop": ["ALL"]}}
FS_GROUP = {"fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}


class Compiled(NamedTuple):
    """A flow with a gang, and with an HTTP template, so that an agent runs."""

    config: dict[str, Any]
    flow: FlowFacts
    template: dict[str, Any]
    whole: dict[str, Any]  # as `deploy` writes it


@pytest.fixture(scope="module")
def gang(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    folder = tmp_path_factory.mktemp("laid") / "project"
    copy_project(example, folder)
    (folder / "k8s.toml").write_text(CONFIG)
    text = (ROOT / "tests/flows/gang.py").read_text()
    text = text.replace("import BaseFlow", "import BaseFlow, k8s").replace(
        "@step\n    def end", OWN
    )
    assert OWN in text
    (folder / "flows/gang.py").write_text(text)
    project = Project(folder, "churn_model")
    (result,) = compile_flows(project, [folder / "flows/gang.py"])
    assert result.template and result.flow, result.error
    result.template["spec"]["templates"].append(HTTP)
    config = read_config(project.config_file)
    steps = step_pods(config, result.flow)
    whole = configure_template(result.template, shared_settings(config), {}, steps)
    return Compiled(config, result.flow, result.template, whole)


def test_every_pod_has_the_fields(gang: Compiled) -> None:
    """Its containers as far as it has them; the agent what the whole workflow can have."""
    assert schema_errors(gang.whole) == []
    pods = {name: pod["spec"] for name, pod in argo_pods(gang.whole, Controller()).items()}
    helpers = {"train/creator", "error-msg-capture-hook", "(agent)"}
    steps = {"start", "train/control", "train/worker", "join", "end"}
    assert pods.keys() == helpers | steps
    for name, spec in pods.items():
        if name == "end":
            continue
        assert spec["priorityClassName"] == "low", name
        assert spec["securityContext"] == FS_GROUP, name
        assert spec["hostAliases"] == [{"ip": "10.0.0.1", "hostnames": ["db"]}], name
        seconds = [each.get("tolerationSeconds") for each in spec["tolerations"]]
        assert seconds == ([None] if name == "(agent)" else [None, 30]), name
    assert pods["end"]["priorityClassName"] == "spot"
    assert pods["end"]["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert "hostAliases" not in pods["end"]
    contexts = {
        name: {
            each["name"]: each.get("securityContext")
            for each in [*spec.get("initContainers", ()), *spec["containers"]]
        }
        for name, spec in pods.items()
    }
    assert (
        contexts["start"]
        == contexts["end"]
        == {
            "init": NO_ESCALATION,
            "wait": NO_ESCALATION,
            "main": NO_ESCALATION | DROP,
        }
    )
    of_hook = {"init": NO_ESCALATION, "wait": NO_ESCALATION, "main": DROP}
    assert contexts["error-msg-capture-hook"] == of_hook
    assert contexts["train/worker"] == contexts["train/control"] == {"train": NO_ESCALATION | DROP}
    assert contexts["train/creator"].keys() == {"init", "main"}
    assert contexts["train/creator"]["main"] | DROP == contexts["train/creator"]["main"]


def test_without_an_agent_nothing_is_the_workflows(gang: Compiled) -> None:
    template = copy.deepcopy(gang.template)
    template["spec"]["templates"].remove(HTTP)
    steps = step_pods(gang.config, gang.flow)
    spec = configure_template(template, shared_settings(gang.config), {}, steps)["spec"]
    assert not {"podPriorityClassName", "securityContext", "hostAliases"} & spec.keys()


def test_check_finds_each_field_that_is_lost(gang: Compiled) -> None:
    """Of a template's patch and of a gang, one by one."""
    expected = expected_pods(gang.config, gang.flow)
    found = workflow_pods(gang.whole, expected)
    sound = compare_pods(expected, found, gang.config)
    assert [(pod, key) for pod in sound for key in sound[pod] if not sound[pod][key]["equal"]] == []
    assert {pod for pod in sound if "pod" in sound[pod]} == found.keys()
    lost = 0
    for number, template in enumerate(gang.whole["spec"]["templates"]):
        for field in json.loads(template.get("podSpecPatch") or "{}"):
            whole = copy.deepcopy(gang.whole)
            own = whole["spec"]["templates"][number]
            patch = json.loads(own["podSpecPatch"])
            if patch.pop(field) is None:
                continue
            own["podSpecPatch"] = json.dumps(patch)
            whole["spec"] = {**whole["spec"], "podPriorityClassName": "other"}
            lost += 1
            compared = compare_pods(expected, workflow_pods(whole, expected), gang.config)
            assert not all(each["equal"] for pod in compared.values() for each in pod.values()), (
                f"{field} of {template['name']}"
            )
    assert lost > 20


def test_a_plan_shows_it(gang: Compiled) -> None:
    """As Kubernetes gets it, of each pod."""
    expected = expected_pods(gang.config, gang.flow)
    planned = planned_settings(gang.whole, gang.flow["steps"], expected)
    assert planned["start"]["pod"]["securityContext"] == FS_GROUP
    assert planned["end"]["pod"]["priorityClassName"] == "spot"
    assert planned["train/worker"]["pod"]["containers"] == [
        {"name": "train", "securityContext": DROP}
    ]
    assert "pod" not in planned_settings(gang.whole)["start"]


def test_a_gang_is_left_as_it_is_without_pod(gang: Compiled) -> None:
    texts = [
        {each["name"]: each["resource"]["manifest"] for each in of if "resource" in each}
        for of in (gang.template["spec"]["templates"], gang.whole["spec"]["templates"])
    ]
    before, after = (jobset_manifest(text["train"]) for text in texts)
    assert (
        before["spec"]["replicatedJobs"][1]["replicas"]
        == (after["spec"]["replicatedJobs"][1]["replicas"])
    )
    plain = configure_template(gang.template, {}, {})["spec"]["templates"]
    (text,) = (each["resource"]["manifest"] for each in plain if "resource" in each)
    assert text == texts[0]["train"]


def test_a_run_has_none_of_it(gang: Compiled) -> None:
    pods = expected_pods(gang.config, gang.flow, on_argo=False)
    assert not any("pod" in pod for pod in pods.values())
    assert pods["start"]["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pods["start"]["security_context"] == NO_ESCALATION
