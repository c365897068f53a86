"""Lays [pod] of k8s.toml over the pods of a compiled WorkflowTemplate."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from ..project.merge_settings import step_settings
from ..project.pod_table import POD, pod_spec
from .argo_templates import has_agent
from .edit_jobset import edit_jobset
from .flow_facts import FlowFacts
from .read_pods import Manifest, jobset_pods, step_name
from .strategic_merge import POD as POD_KEYS
from .strategic_merge import strategic_merge

# Fields of a pod that the agent of HTTP templates, which has no template of its own, can have: by
# those of the WorkflowSpec, which Argo gives to each pod that has none.
OF_AGENT = {
    "affinity": "affinity",
    "dnsConfig": "dnsConfig",
    "dnsPolicy": "dnsPolicy",
    "hostAliases": "hostAliases",
    "hostNetwork": "hostNetwork",
    "priorityClassName": "podPriorityClassName",
    "schedulerName": "schedulerName",
    "securityContext": "securityContext",
}
Table = Mapping[str, Any]


def step_pods(config: Table, flow: FlowFacts) -> dict[str, Table]:
    """Return [pod] of each step: of k8s.toml, its pools and what the step says."""
    steps = flow["steps"].items()
    return {name: step_settings(config, step).get(POD) or {} for name, step in steps}


def of_run(config: Table, flow: FlowFacts) -> tuple[dict[str, Any], FlowFacts]:
    """Return k8s.toml and a flow as `run --with kubernetes` has them: without [workflow], [pod]."""

    def rest(table: Table) -> dict[str, Any]:
        return {key: value for key, value in table.items() if key not in ("workflow", POD)}

    steps: dict[str, Any] = {}
    for name, step in flow["steps"].items():
        overrides = [{**each, "values": rest(each["values"])} for each in step["overrides"]]
        steps[name] = {**step, "overrides": overrides}
    pools = {name: rest(pool) for name, pool in config.get("pools", {}).items()}
    return rest(config) | {"pools": pools}, {**flow, "steps": steps}


def lay_pods(spec: dict[str, Any], shared: Table, steps: Mapping[str, Table]) -> None:
    """Lay [pod] over every pod of a WorkflowSpec: `shared` over those that run no step.

    Over the templates as a patch, which knows all fields (ApplyPodSpecPatch in
    workflow/util/util.go of argo-workflows).
    """
    of_agent = agent_fields(shared) if has_agent(spec) else {}
    for field, value in of_agent.items():
        spec.setdefault(OF_AGENT[field], value)
    for template in spec["templates"]:
        if template.get("container"):
            name = step_name(template)
            own = shared if name is None else steps.get(name, {})
            patch_template(template, pod_spec(own), of_agent, spec)
        elif resource := template.get("resource"):
            patch_template(template, pod_spec(shared, wait=False), of_agent, spec)
            step = next(iter(jobset_pods(resource["manifest"]))).partition("/")[0]
            lay = functools.partial(lay_over, pod_spec(steps.get(step, {}), argo=False))
            resource["manifest"] = edit_jobset(resource["manifest"], lay)


def agent_fields(shared: Table) -> dict[str, Any]:
    """Return what of [pod] the agent can have, by the fields of a pod."""
    whole = pod_spec(shared)
    return {field: whole[field] for field in OF_AGENT if field in whole}


def patch_template(
    template: dict[str, Any], own: dict[str, Any], of_agent: Table, spec: Manifest
) -> None:
    """Lay the fields of a pod over a template, and take away what only the agent is to have."""
    before = json.loads(template.get("podSpecPatch") or "{}")
    if "tolerations" in own:  # which a patch replaces; null where the step takes them away
        of_all = () if "tolerations" in before else spec.get("tolerations") or ()
        present = template.get("tolerations") or of_all
        own["tolerations"] = with_tolerations(present, own["tolerations"])
    if patch := removing(own, of_agent):
        template["podSpecPatch"] = json.dumps(before | patch)


def with_tolerations(present: Any, own: Any) -> list[Any]:
    return [*present, *(each for each in own if each not in present)]


def removing(own: Table, low: Table) -> dict[str, Any]:
    """Return a patch that makes `own` of what has `low`: null for what is in `low` alone."""
    patch: dict[str, Any] = dict.fromkeys(low.keys() - own.keys())
    for key, value in own.items():
        of_low = low.get(key)
        both = isinstance(value, dict) and isinstance(of_low, dict)
        patch[key] = removing(value, of_low) if both and of_low else value
    return {key: patch[key] for key in sorted(patch)}


def lay_over(own: Table, pod: dict[str, Any]) -> None:
    """Lay the fields of a pod over one of a gang, whose one container has the step's name."""
    spec, fields = pod["spec"], dict(own)
    if "tolerations" in fields:
        fields["tolerations"] = with_tolerations(spec.get("tolerations") or (), own["tolerations"])
    if "containers" in fields:
        (container,) = spec["containers"]
        entries = [{**each, "name": container["name"]} for each in fields["containers"]]
        fields["containers"] = entries
    spec.update(strategic_merge(spec, fields, POD_KEYS))
