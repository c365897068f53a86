"""Why a workflow, or a step of one, is pending or has failed, from what Argo says of it.

That is all there is once the pods are deleted, and of pods that were never made.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .container_reasons import why_container_waits
from .failure_rules import RULES as FAILURES
from .read_pods import Manifest, raw_pods, step_name
from .reasons import Reason, Rule, facts_of, first_reason
from .refusals import why_refused
from .scheduling_message import why_unschedulable

ENDED_WELL = {"Succeeded", "Skipped", "Omitted"}
FAILED = {"Failed", "Error"}
OF_CONTAINER = re.compile(
    r"(?:(?P<container>[\w-]+): )?(?P<reason>\w+) \(exit code (?P<code>\d+)\)"
)
UNSCHEDULABLE = re.compile(r"Unschedulable: (?P<message>.*)", re.DOTALL)
WAITING = re.compile(
    r"(?P<reason>[A-Z]\w*(?:BackOff|Pull|Name|Error|Never)): (?P<message>.*)", re.S
)
OF_OTHERS = re.compile(r"No more retries left|child '.*' failed|failed with result|when '.*' eval")
OF_NODES = (
    Rule(
        "pending-timeout",
        r"\A(?:Step|Node|Template)? ?timeout\Z",
        "it was pending for longer than its timeout",
        "`uv run k8s doctor` says what would keep it pending again, or raise pending_timeout of"
        " [workflow] in k8s.toml",
    ),
    Rule(
        "deadline",
        r"exceeded its deadline|specified deadline|Max duration limit exceeded",
        "it ran for longer than its @timeout, or than Metaflow's limit of 5 days",
    ),
    Rule(
        "pod-deleted",
        r"\Apod deleted|could not be located",
        "its pod was deleted while it ran, by somebody, with its node, or by an autoscaler",
        "@retry starts it again",
    ),
    Rule(
        "stopped",
        r"(?i)(?:stopped|terminated|shutdown) with strategy:? +'?(?P<how>\w+)",
        "somebody stopped the run (strategy {how})",
    ),
    Rule("evicted", r"(?P<why>Pod ephemeral local storage usage exceeds.*|The node was low.*"
         r"|Usage of EmptyDir volume.*)", "its node put it out: {why}"),
    Rule(
        "node-gone",
        r"imminent node shutdown|node was shut|NodeLost|[Pp]reempt",
        "its node went away, or another pod took its place",
        "@retry starts it again on another node",
    ),
)  # fmt: skip
OF_WORKFLOWS = (
    Rule(
        "semaphore",
        r"Waiting for (?P<lock>\S+) lock\.? ?(?P<status>Lock status: .*)?",
        "it waits for the lock {lock}, which other runs hold",
        "wait for them, or raise the number in its ConfigMap",
        passes=True,
    ),
    Rule(
        "semaphore",
        r"failed to initialize semaphore [^/]+/ConfigMap/(?P<name>[^/ ]+)/(?P<key>\S+)",
        "there is no ConfigMap {name} with a number above 0 in its key {key}",
        "kubectl -n {namespace} create configmap {name} --from-literal={key}=1 --dry-run=client"
        " -o yaml | kubectl -n {namespace} apply -f -",
    ),
    Rule(
        "argo-parallelism",
        r"too many workflows are already running",
        "Argo runs as many workflows as its ConfigMap allows (parallelism)",
        "wait for others to end, or ask those who run Argo",
        passes=True,
    ),
    Rule(
        "flow-deployed",
        r"workflowtemplates\.argoproj\.io \"(?P<name>[^\"]+)\" not found"
        r"|template reference (?P<name_2>\S+) not found",
        "its WorkflowTemplate is not deployed in namespace {namespace}",
        "uv run k8s deploy",
    ),
    Rule(
        "argo-release",
        r"invalid spec: (?P<why>.*)",
        "this Argo cannot run the flow: {why}",
        "deploy it by `uv run k8s deploy`, which writes what Argo 3.7 and later can run",
    ),
)


class StepReason(NamedTuple):
    """Why one step of a workflow is pending, or has failed."""

    step: str
    reason: Reason
    node: Mapping[str, Any]  # of the workflow's status
    pod: Manifest  # as its template makes it


def why_workflow(workflow: Manifest, at_work: bool = True) -> Reason | None:
    """Return why a workflow as a whole is pending or has failed; None if its steps say it.

    `at_work` is whether a pod of it is pending or running.
    """
    status, spec = workflow.get("status") or {}, workflow["spec"]
    namespace = workflow["metadata"].get("namespace", "NAMESPACE")
    name, message = workflow["metadata"]["name"], str(status.get("message") or "")
    facts = {"namespace": namespace, "name": name}
    if not status:
        return not_taken_up(name, namespace)
    if spec.get("suspend") and not status.get("finishedAt"):
        patch = f"kubectl -n {namespace} patch workflow {name} --type=merge"
        remedy = f"""{patch} -p '{{"spec": {{"suspend": false}}}}'"""
        return Reason("suspended", "the workflow is suspended", remedy)
    if status.get("phase") in ENDED_WELL or not message or OF_OTHERS.search(message):
        return None if at_work else why_idle(status)
    known = first_reason((*OF_WORKFLOWS, *OF_NODES), message, facts)
    return known or why_refused(message, facts) or Reason("workflow-failed", message)


def not_taken_up(name: str, namespace: str) -> Reason:
    """Return that Argo's controller does not see a workflow."""
    remedy = (
        f"its controller may be down, or may not watch namespace {namespace}:"
        " `uv run k8s doctor` says so under argo-watches"
    )
    return Reason("argo-watches", f"Argo has not taken up the workflow {name}", remedy)


def why_idle(status: Mapping[str, Any]) -> Reason | None:
    """Return that a workflow without a pod at work hangs, if no step of it waits for anything."""
    nodes = (status.get("nodes") or {}).values()
    waits = [node for node in nodes if node.get("type") in ("Suspend", "HTTP", "Retry")]
    if status.get("phase") != "Running" or not any(n.get("phase") == "Skipped" for n in nodes):
        return None
    if any(node.get("phase") == "Running" for node in waits):
        return None
    what = "no step is at work, and Argo starts none: a join waits for a branch that was skipped"
    remedy = "deploy the flow by `uv run k8s deploy`, which corrects that, and trigger it again"
    return Reason("argo-release", what, remedy)


def why_steps(workflow: Manifest) -> Iterator[StepReason]:
    """Yield why steps of a workflow are pending or have failed, each once.

    Of a step that was tried again, its last try counts.
    """
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    pods, last = pods_of(workflow), dict[str, Mapping[str, Any]]()
    in_order = sorted(nodes.values(), key=lambda node: str(node.get("startedAt") or ""))
    for node in in_order:
        if node.get("type") == "Pod":
            name = re.sub(r"\(\d+\)$", "", node.get("displayName", ""))
            last[f"{node.get('boundaryID')}/{name}"] = node
    for node in last.values():
        if node.get("phase") in ENDED_WELL or node.get("phase") == "Running":
            continue
        pod = as_pod(pods.get(str(node.get("templateName")), {}), node, workflow)
        step = step_name(pod) or str(node.get("templateName"))
        if reason := why_node(node, pod):
            yield StepReason(step, reason, node, pod)


def pods_of(workflow: Manifest) -> dict[str, Manifest]:
    """Return the templates of a workflow's pods by their names, each as a pod."""
    status = workflow.get("status") or {}
    spec = status.get("storedWorkflowTemplateSpec") or workflow["spec"]
    pods: dict[str, Manifest] = {}
    for template in spec.get("templates") or ():
        if template.get("container"):
            ((_, raw),) = raw_pods({"spec": {**spec, "templates": [template]}}).items()
            pod_spec = {**raw.spec, "containers": [{**raw.container, "name": "main"}]}
            pods[template["name"]] = {"metadata": dict(raw.metadata), "spec": pod_spec}
        else:
            pods[template["name"]] = {"metadata": template.get("metadata") or {}, "spec": {}}
    return pods


def as_pod(template: Manifest, node: Mapping[str, Any], workflow: Manifest) -> dict[str, Any]:
    """Return a template as the pod of a node."""
    metadata = {**template.get("metadata", {}), "name": node.get("id", "POD")}
    metadata["namespace"] = workflow["metadata"].get("namespace", "NAMESPACE")
    return {"metadata": metadata, "spec": template.get("spec", {})}


def why_node(node: Mapping[str, Any], pod: Manifest) -> Reason | None:
    """Return why a pod of a workflow is pending or has failed, from Argo's message about it."""
    message = str(node.get("message") or "")
    facts = facts_of(pod)
    if not message or OF_OTHERS.search(message) or message == "PodInitializing":
        return None
    if found := UNSCHEDULABLE.match(message):
        return why_unschedulable(found["message"], pod)
    if reason := why_refused(message, facts) or first_reason(OF_NODES, message, facts):
        return reason
    if found := OF_CONTAINER.match(message):
        how = f"{found['reason']}, exit code {found['code']}\n{message[found.end() :]}"
        return first_reason(FAILURES, how, facts) or Reason("step-failed", f"it failed: {message}")
    if found := WAITING.match(message):
        return why_container_waits(found.groupdict(), {"name": "main"}, (), facts)
    code = "step-failed" if node.get("phase") in FAILED else "pod-starts"
    return Reason(code, message)
