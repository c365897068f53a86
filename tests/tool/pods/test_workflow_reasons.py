"""Why workflows and their steps are pending or have failed, by what Argo said of them."""

# ruff: noqa: E501  # what is printed has long lines

from typing import Any

import pytest
from mf_k8s.pods.reasons import Reason
from mf_k8s.pods.workflow_reasons import why_steps, why_workflow
from recorded_runs import recorded

EXECUTOR = 'init and wait get theirs from `executor: resources` in the ConfigMap workflow-controller-configmap of Argo\'s namespace, limits of steps from `qos = "Guaranteed"` in k8s.toml; or let a LimitRange of the namespace give defaults'
RIGHT = "kubectl -n team-a create role {0}-{1} --verb={2} --resource={1}.{3} && kubectl -n team-a create rolebinding {0}-{1} --role={0}-{1} --serviceaccount=team-a:{0}"
STEPS = {
    "noaccountflow": Reason(
        "account-exists",
        "there is no service account nobody in namespace team-a",
        "kubectl -n team-a create serviceaccount nobody",
    ),
    "norightsflow": Reason(
        "account-rights",
        "the service account norights of namespace team-a may not create workflowtaskresults.argoproj.io",
        RIGHT.format("norights", "workflowtaskresults", "create,patch", "argoproj.io"),
    ),
    "gangflow": Reason(
        "account-rights",
        "the service account metaflow of namespace team-a may not create jobsets.jobset.x-k8s.io",
        RIGHT.format("metaflow", "jobsets", "create,get,watch,delete", "jobset.x-k8s.io"),
    ),
    "quotaflow": Reason(
        "quota-requests",
        "the quota team demands requests.memory of every container, and init,wait have none",
        EXECUTOR,
    ),
    "secondflow": Reason(
        "quota-now",
        "the quota team is full now: 1 of 1 pods are used, and the pod asks for 1",
        "wait for other pods, or see what they ask for: `kubectl -n quota-c describe quota team`",
        passes=True,
    ),
    "limitsflow": Reason(
        "limit-range",
        "a LimitRange says: maximum memory usage per Container is 10M; limit is 50M",
        "ask for what it allows, in k8s.toml or by @k8s(…) on the step, or see `kubectl -n limits-a get limitrange -o yaml`",
    ),
    "priorityflow": Reason(
        "priority-class",
        "there is no priority class missing",
        "kubectl create priorityclass missing --value=0",
    ),
    "memoryflow": Reason(
        "out-of-memory",
        "out of memory: it asked for memory 20M, its limit is 20M",
        "give it more, by memory in k8s.toml or by @k8s(memory=…) on the step",
    ),
    "deletedflow": Reason(
        "pod-deleted",
        "its pod was deleted while it ran, by somebody, with its node, or by an autoscaler",
        "@retry starts it again",
    ),
    "evictedflow": Reason(
        "evicted",
        "its node put it out: Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    ),
    "pendtimeoutflow": Reason(
        "pending-timeout",
        "it was pending for longer than its timeout",
        "`uv run k8s doctor` says what would keep it pending again, or raise pending_timeout of [workflow] in k8s.toml",
    ),
    "commandflow": Reason(
        "command-missing",
        "its image busybox:stable has no program nope",
        "use an image that has it: Metaflow starts bash and python in it",
    ),
    "retriedflow": Reason("step-failed", "it failed: main: Error (exit code 3)"),
    "nosecretflow": Reason(
        "secret-exists",
        "there is no Secret missing in namespace team-a",
        "kubectl -n team-a create secret generic missing --from-literal=KEY=VALUE",
    ),
}
DEADLINES = ("deadlineflow", "wfdeadlineflow")


@pytest.mark.parametrize("name", STEPS)
def test_recorded_steps(name: str) -> None:
    """Once each, of which a step's last try counts; the workflow itself says no more."""
    workflow = recorded("Workflow", name)
    ((step, reason, *_),) = why_steps(workflow)
    assert (step, reason) == ("train", STEPS[name])
    assert why_workflow(workflow) is None


@pytest.mark.parametrize("name", DEADLINES)
def test_deadlines(name: str) -> None:
    """Argo words that of a pod and that of a workflow otherwise."""
    ((_, reason, *_),) = why_steps(recorded("Workflow", name))
    assert reason.code == "deadline" and "longer than its @timeout" in reason.what


WHOLE = {
    "stoppedflow": ("stopped", "somebody stopped the run (strategy Stop)", ""),
    "suspendedflow": (
        "suspended",
        "the workflow is suspended",
        """kubectl -n team-a patch workflow suspendedflow-aaaaa --type=merge -p '{"spec": {"suspend": false}}'""",
    ),
    "unwatchedflow": (
        "argo-watches",
        "Argo has not taken up the workflow unwatchedflow-aaaaa",
        "its controller may be down, or may not watch namespace team-a: `uv run k8s doctor` says so under argo-watches",
    ),
    "lockeflow": (
        "semaphore",
        "it waits for the lock team-a/ConfigMap/limit1/train, which other runs hold",
        "wait for them, or raise the number in its ConfigMap",
    ),
    "nosemaphoreflow": (
        "semaphore",
        "there is no ConfigMap missing with a number above 0 in its key train",
        "kubectl -n team-a create configmap missing --from-literal=train=1 --dry-run=client -o yaml | kubectl -n team-a apply -f -",
    ),
    "notemplateflow": (
        "flow-deployed",
        "its WorkflowTemplate is not deployed in namespace team-a",
        "uv run k8s deploy",
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_recorded_workflows(name: str) -> None:
    reason = why_workflow(recorded("Workflow", name))
    assert reason and (reason.code, reason.what, reason.remedy) == WHOLE[name]
    assert reason.passes == (name == "lockeflow")


@pytest.mark.parametrize("name", ["healthyflow", "runningflow", "lockcflow"])
def test_workflows_that_are_well(name: str) -> None:
    workflow = recorded("Workflow", name)
    assert why_workflow(workflow) is None and not [*why_steps(workflow)]


def test_a_join_that_waits_for_ever() -> None:
    """It gets no node, and no reason is said: while pods run, it may still come."""
    workflow = recorded("Workflow", "hole2flow")
    nodes = workflow["status"]["nodes"]
    workflow["status"]["nodes"] = {k: v for k, v in nodes.items() if v["displayName"] != "c"}
    assert why_workflow(workflow, at_work=True) is None
    reason = why_workflow(workflow, at_work=False)
    assert reason and reason.code == "argo-release" and "a join waits" in reason.what
    assert why_workflow(recorded("Workflow", "runningflow"), at_work=False) is None


MESSAGES: dict[str, tuple[str, str]] = {
    'pods "x" is forbidden: User "system:serviceaccount:argo:argo" cannot create resource "pods" in API group "" in the namespace "team-a"': (
        "account-rights",
        "the service account argo of namespace argo may not create pods",
    ),
    'admission webhook "validate.kyverno.svc-fail" denied the request: no registry but ours': (
        "admission",
        "the cluster's webhook validate.kyverno.svc-fail refuses the pod: no registry but ours",
    ),
    'Internal error occurred: failed calling webhook "x.io": no endpoints available': (
        "admission",
        "the cluster's webhook x.io cannot be reached: no endpoints available",
    ),
    'resource mapping not found for name: "js" namespace: "" from "/tmp/manifest.yaml": no matches for kind "JobSet" in version "jobset.x-k8s.io/v1alpha2"': (
        "jobset",
        "the cluster has no JobSet, which @parallel needs",
    ),
    'pods "x" is forbidden: unable to create new content in namespace team-a because it is being terminated': (
        "namespace-exists",
        "the namespace team-a does not exist, or is being deleted",
    ),
    "Pod was rejected: something new": ("step-failed", "Pod was rejected: something new"),
}


@pytest.mark.parametrize("message", MESSAGES)
def test_other_messages(message: str) -> None:
    workflow: Any = recorded("Workflow", "noaccountflow")
    for node in workflow["status"]["nodes"].values():
        if node["type"] == "Pod":
            node["message"] = message
    ((_, reason, *_),) = why_steps(workflow)
    assert (reason.code, reason.what) == MESSAGES[message]
