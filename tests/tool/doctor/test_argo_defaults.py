"""The rules argo-defaults and argo-release."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import argo, healthy
from examinations import examination, shown
from kinds_of_objects import Manifest
from mf_k8s.doctor.find_controller import find_controller
from mf_k8s.doctor.prepare import flow_pods
from mf_k8s.kind.installs import ARGO_RELEASES
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.project.project import Project
from simulated_cluster import Simulate

MAIN = {
    "name": "start",
    "image": "a:1",
    "resources": {"requests": {"cpu": "1", "memory": "4096M"}},
}


def template(**spec: Any) -> Manifest:
    """Return a WorkflowTemplate of one step and a hook, as `deploy` writes them."""
    step = {
        "name": "start",
        "activeDeadlineSeconds": 7200,
        "container": MAIN,
        "metadata": {
            "labels": {"team": "churn"},
            "annotations": {"metaflow/step_name": "start"},
        },
    }
    hook = {"name": "hook", "container": {"name": "main", "image": "a:1"}}
    annotations = {"metaflow/flow_name": "OneFlow"}
    metadata = {"name": "oneflow", "namespace": "default", "annotations": annotations}
    whole = {"templates": [step, hook], "serviceAccountName": "metaflow", **spec}
    return {"kind": "WorkflowTemplate", "metadata": metadata, "spec": whole}


Lines = Callable[..., list[str]]


@pytest.fixture
def lines(simulate: Simulate, tmp_path: Path) -> Lines:
    """Return a function that returns what a rule answers where a ConfigMap has some settings."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'churn-model'\n")

    def lines(
        code: str,
        flow: Manifest,
        release: str = "v4.0.5",
        cron: Manifest | None = None,
        **settings: str,
    ) -> list[str]:
        plain = [item for item in healthy() if item["kind"] not in ("Deployment", "ConfigMap")]
        lines = {name: f"{text}\n" for name, text in settings.items()}
        cluster = simulate(*plain, *argo(release, "argo", **lines))
        controller = find_controller(examination(cluster).view)
        requests = [("create", {"plural": "workflowtemplates", "body": flow})]
        if cron:
            body = {"metadata": {"name": "oneflow"}, "spec": cron}
            requests.append(("create", {"plural": "cronworkflows", "body": body}))
        case = examination(
            cluster,
            *flow_pods([flow], controller or Controller()),
            controller=controller,
            requests=requests,
            project=Project(tmp_path, "churn_model"),
        )
        return shown(case, code)

    return lines


def test_nothing_is_added(lines: Lines) -> None:
    assert lines("argo-defaults", template()) == ["ok: nothing is added"]
    assert lines("argo-defaults", template(), parallelism="20") == [
        "ok: at most 20 workflows at a time in the whole cluster"
    ]


def test_what_is_added_is_listed(lines: Lines) -> None:
    executor = "resources: {requests: {cpu: 10m}}"
    defaults = """
spec:
  podGC: {strategy: OnPodCompletion}
  nodeSelector: {pool: batch}
  serviceAccountName: other
  tolerations: [{key: batch, operator: Exists}]
  templateDefaults:
    container:
      env: [{name: HTTP_PROXY, value: "http://proxy:1"}]
"""
    found = lines(
        "argo-defaults",
        template(),
        executor=executor,
        workflowDefaults=defaults,
        mainContainer="resources: {limits: {cpu: 2}}",
        artifactRepository="archiveLogs: true",
        resourceRateLimit="limit: 10",
    )
    both = "OneFlow/start, OneFlow/hook"
    assert sorted(found) == sorted(
        [
            f'ok: adds node_selector.pool = "batch" | {both}',
            f'ok: adds tolerations = {{"key": "batch", "operator": "Exists"}} | {both}',
            f'ok: adds env.HTTP_PROXY = "http://proxy:1" | {both}',
            """ok: Argo's own containers have resources {"requests": {"cpu": "10m"}}""",
            "ok: workflows have podGC",
            f'ok: adds limits = {{"cpu": "2"}} | {both}',
            "ok: logs are copied to Argo's artifact repository",
            "ok: at most 10 new pods a second",
        ]
    )


EDIT = "kubectl -n argo edit configmap workflow-controller-configmap"


def test_what_is_replaced_is_a_problem(lines: Lines) -> None:
    """The label of the whole workflow goes over a step's own, as on a cluster."""
    defaults = "spec: {podMetadata: {labels: {team: platform}}}"
    assert lines("argo-defaults", template(), workflowDefaults=defaults) == [
        'problem: the controller replaces labels.team, "churn", by "platform" | OneFlow/start'
        ' | write labels.team = "platform" into k8s.toml',
        'ok: adds labels.team = "platform" | OneFlow/hook',
    ]
    defaults = "spec: {templateDefaults: {timeout: 1h}}"
    assert lines("argo-defaults", template(), workflowDefaults=defaults) == [
        "problem: the controller ends these pods after 3600 s, not 7200 s | OneFlow/start"
        f" | {EDIT}",
        "ok: adds an end after 3600 s | OneFlow/hook",
    ]
    patched = """spec: {podSpecPatch: '{"nodeSelector": {"pool": "b"}}'}"""
    flow = template(nodeSelector={"pool": "a"})
    assert lines("argo-defaults", flow, workflowDefaults=patched) == [
        'problem: the controller replaces node_selector.pool, "a", by "b"'
        ' | OneFlow/start, OneFlow/hook | write node_selector.pool = "b" into k8s.toml'
    ]


def test_a_hook_loses_what_the_workflow_has(lines: Lines) -> None:
    """It has a selector of its own by templateDefaults, and takes none of the workflow's."""
    defaults = "spec: {templateDefaults: {nodeSelector: {zone: a}}}"
    flow = template(nodeSelector={"pool": "b"})
    assert lines("argo-defaults", flow, workflowDefaults=defaults) == [
        'problem: the controller takes node_selector.pool "b" away'
        f" | OneFlow/start, OneFlow/hook | {EDIT}",
        'ok: adds node_selector.zone = "a" | OneFlow/start, OneFlow/hook',
    ]


def test_a_patch_takes_a_setting_away(lines: Lines) -> None:
    patched = """spec: {podSpecPatch: '{"nodeSelector": null}'}"""
    flow = template(nodeSelector={"pool": "b"})
    assert lines("argo-defaults", flow, workflowDefaults=patched)[0] == (
        'problem: the controller takes node_selector.pool "b" away'
        f" | OneFlow/start, OneFlow/hook | {EDIT}"
    )


def test_one_of_two_tolerations_is_lost(lines: Lines) -> None:
    """Argo merges them by their key, so that of two with one key the last is left."""
    two = [{"key": "gpu", "operator": "Exists", "effect": e} for e in ("NoSchedule", "NoExecute")]
    defaults = "spec: {tolerations: [{key: batch, operator: Exists}]}"
    found = lines("argo-defaults", template(tolerations=two), workflowDefaults=defaults)
    assert [line for line in found if line.startswith("problem")] == [
        'problem: the controller takes tolerations {"key": "gpu", "operator": "Exists",'
        f' "effect": "NoSchedule"}} away | OneFlow/start, OneFlow/hook | {EDIT}'
    ]


def test_a_limit_below_a_request(lines: Lines) -> None:
    limited = "resources: {limits: {memory: 2Gi, cpu: 1000m}}"
    problems = [
        line
        for line in lines("argo-defaults", template(), mainContainer=limited)
        if line.startswith("problem")
    ]
    assert problems == [
        "problem: the controller limits memory of 2Gi, below the 4096M that they request"
        ' | OneFlow/start | write qos = "Guaranteed" into k8s.toml'
    ]


def test_release(lines: Lines) -> None:
    cron = {"schedules": ["0 * * * *"]}
    gate = {"semaphores": [{"configMapKeyRef": {"name": "a", "key": "b"}}]}
    flow = template(synchronization=gate)
    assert lines("argo-release", flow, "v3.6.0", cron) == ["ok: v3.6.0"]
    found = lines("argo-release", flow, "v3.5.9", cron)
    assert [line.partition(" | ")[0] for line in found] == [
        "problem: v3.5.9 does not know semaphores, which Argo has from 3.6 on",
        "problem: v3.5.9 does not know schedules, which Argo has from 3.6 on",
    ]
    assert found[0].endswith(f"/releases/download/{ARGO_RELEASES['4']}/install.yaml")
    (flow["spec"]["templates"][0])["pendingTimeout"] = "10m"
    (line,) = lines("argo-release", flow, "v4.0.5")
    assert line == (
        "problem: v4.0.5 does not know pendingTimeout, which Argo has from 4.1 on"
        " | OneFlow/start, OneFlow/hook"
        " | upgrade Argo Workflows in namespace argo to 4.1 or newer"
    )
    assert lines("argo-release", flow, "v4.1.2") == ["ok: v4.1.2"]
    old = template(synchronization={"mutex": {"name": "a"}})
    assert lines("argo-release", old, "v3.7.12") == ["ok: v3.7.12"]
    assert lines("argo-release", old, "v4.0.5") == [
        "problem: v4.0.5 has dropped mutex | OneFlow/start, OneFlow/hook"
        " | write mutexes, a list of tables, below [workflow] in k8s.toml"
    ]
    assert lines("argo-release", flow, "ours") == [
        "cannot tell: which release it is:"
        " quay.io/argoproj/workflow-controller:ours does not say it"
    ]
