"""What the workflow controller adds to the pods takes nothing of k8s.toml away.

The ConfigMap of Argo's controller can have values for all workflows. Most count only where a pod
says nothing itself: `workflowDefaults`, with `templateDefaults` in it, and `mainContainer`. Others
replace what a flow says: labels and annotations in `podMetadata`, a `podSpecPatch`, a shorter
`timeout` or `activeDeadlineSeconds`, and, where both have tolerations, a second one of the same
key. A limit below what a step requests makes Kubernetes refuse the pod.
(https://argo-workflows.readthedocs.io/en/latest/default-workflow-specs/)

What is added is listed, because nothing in the project says it. What is replaced is a problem:
write the same value into k8s.toml, so that the project says what its pods get, or have whoever
administers Argo take it out of the ConfigMap.
"""

import json
from collections.abc import Iterator

from ...pods.argo_controller import Controller
from ...pods.argo_defaults import (
    Change,
    changes,
    limits_too_low,
    of_own_containers,
    of_the_workflow,
)
from ...pods.project_labels import annotation
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..toml_lines import toml_key, write_line

NEEDS = ("argo-watches",)
READS = ()
LIMITS = {
    "parallelism": "workflows at a time in the whole cluster",
    "namespaceParallelism": "workflows at a time in a namespace",
}


def examine(case: Examination) -> Iterator[Answer]:
    controller = case.controller
    if not controller:
        return
    if not controller.has_config:
        what = "what the controller adds: for want of the right to get configmaps where Argo runs"
        yield cannot_tell(what)
        return
    found = by_change(case, controller)
    for change, pods in found.items():
        if change.replaces:
            yield replaced(case, controller, change, pods)
        else:
            yield ok(f"adds {text_of(change)}", pods)
    for what, pods in too_low(case, controller).items():
        yield problem(f"the controller limits {what}", pods, write_line("Guaranteed", "qos"))
    others = [*of_all(case, controller)]
    yield from map(ok, others)
    if not found and not others:
        yield ok("nothing is added")


def by_change(case: Examination, controller: Controller) -> dict[Change, list[FlowPod]]:
    found: dict[Change, list[FlowPod]] = {}
    for template in case.templates:
        for name, change in changes(template, controller):
            found.setdefault(change, []).extend(
                pods_named(case, annotation(template, "flow_name"), name)
            )
    return {change: pods for change, pods in found.items() if pods}


def pods_named(case: Examination, flow: str, name: str) -> list[FlowPod]:
    return [pod for pod in case.pods if (pod.flow, pod.name) == (flow, name)]


def replaced(
    case: Examination, controller: Controller, change: Change, pods: list[FlowPod]
) -> Answer:
    place = f"-n {controller.namespace} edit configmap {controller.config_map}"
    edit = case.kubectl(place, namespaced=False)
    name = toml_key(*change.key)
    if change.key == ("timeout",):
        what = f"the controller ends these pods after {change.after} s, not {change.before} s"
        return problem(what, pods, edit)
    if change.after is None:
        return problem(f"the controller takes {name} {json.dumps(change.before)} away", pods, edit)
    what = f"the controller replaces {name}, {json.dumps(change.before)}, by"
    remedy = (
        edit if change.key[0] in ("env", "annotations") else write_line(change.after, *change.key)
    )
    return problem(f"{what} {json.dumps(change.after)}", pods, remedy)


def text_of(change: Change) -> str:
    if change.key == ("timeout",):
        return f"an end after {change.after} s"
    name = "limits" if change.key == ("qos",) else toml_key(*change.key)
    return f"{name} = {json.dumps(change.after)}"


def too_low(case: Examination, controller: Controller) -> dict[str, list[FlowPod]]:
    found: dict[str, list[FlowPod]] = {}
    for template in case.templates:
        for name, what in limits_too_low(template, controller):
            pods = pods_named(case, annotation(template, "flow_name"), name)
            found.setdefault(what, []).extend(pods)
    return {what: pods for what, pods in found.items() if pods}


def of_all(case: Examination, controller: Controller) -> Iterator[str]:
    """Yield what concerns no pod of its own: workflows, Argo's own containers, limits."""
    if own := of_own_containers(controller):
        yield f"Argo's own containers have {', '.join(own)}"
    fields = {key for template in case.templates for key in of_the_workflow(template, controller)}
    if fields:
        yield f"workflows have {', '.join(sorted(fields))}"
    if controller.table("artifactRepository").get("archiveLogs"):
        yield "logs are copied to Argo's artifact repository"
    for key, what in LIMITS.items():
        if controller.config.get(key):
            yield f"at most {controller.config[key]} {what}"
    if limit := controller.table("resourceRateLimit").get("limit"):
        yield f"at most {limit} new pods a second"
