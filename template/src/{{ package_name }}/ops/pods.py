"""What the pods of a workflow have, and `complete`, which gives them what Metaflow leaves off."""

import copy
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import yaml

Pod = dict[str, Any]
GPU = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
SIZES = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}
IN_MEMORY = {"dhsm": "shared_memory", "tmpfs-ephemeral-volume": "use_tmpfs"}  # Metaflow's volumes
# what Argo gives to a pod whose own template says nothing of it, if the whole workflow has it
SHARED = {
    "service_account": "serviceAccountName",
    "node_selector": "nodeSelector",
    "tolerations": "tolerations",
    "image_pull_secrets": "imagePullSecrets",
}
UNITS = {"": Decimal(1), "m": Decimal("0.001")}
UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def size(text: Any) -> str:
    """Give a Kubernetes quantity in one spelling, so that 6000.0M and 6G are the same."""
    match = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(text))
    if not match or match[2] not in UNITS:
        return str(text)
    value = Decimal(match[1]) * UNITS[match[2]]
    for unit in ("M", "Mi"):
        if value and value % UNITS[unit] == 0:
            return f"{value / UNITS[unit]:.0f}{unit}"
    return f"{value.normalize():f}"


def plain(pod: Mapping[str, Any]) -> Pod:
    """Give a pod without the settings that it does not have, and lists in one order."""
    pod = {**pod, "service_account": pod.get("service_account") or "default"}
    return {
        key: sorted(value, key=partial(json.dumps, sort_keys=True))
        if isinstance(value, list)
        else value
        for key, value in pod.items()
        if value not in (None, [], {})
    }


def without_none(table: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (table or {}).items() if value is not None}


def step_name(template: Mapping[str, Any]) -> str | None:
    # not the template's name: that is `recursive-…` for a loop, and has `-` for `_`
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return annotations.get("metaflow/step_name")


def complete(template: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Give a WorkflowTemplate in which every pod has its configuration; `shared` is k8s.toml's.

    Metaflow sets these on the pods of the steps alone. On the whole workflow, Argo gives them to
    every pod whose template has none: hooks, the creators of JobSets, the agent of HTTP hooks
    (addSchedulingConstraints in argo-workflows' workflow/controller/workflowpod.go). A step that
    took a shared value away says so again, in the words of a strategic merge patch.
    """
    whole = copy.deepcopy(dict(template))
    values = {SHARED[key]: shared[key] for key in SHARED if shared.get(key)}
    if "imagePullSecrets" in values:
        values["imagePullSecrets"] = [{"name": name} for name in values["imagePullSecrets"]]
    whole["spec"] |= values
    for one in whole["spec"]["templates"]:
        container = one.get("container") or {}
        for wrong in container.pop("env_from", None) or ():  # so Metaflow's heartbeat spells it
            right = {"secretRef": {"name": wrong["secret_ref"]["name"]}}
            container["envFrom"] = [*container.get("envFrom", ()), right]
        if step_name(one):
            one["serviceAccountName"] = one.get("serviceAccountName") or "default"
            patch = json.loads(one.get("podSpecPatch") or "{}")
            taken = [key for key in values if not one.get(key) and key not in patch]
            if taken:
                one["podSpecPatch"] = json.dumps(patch | dict.fromkeys(taken))
    return whole


def workflow_pods(template: Mapping[str, Any]) -> dict[str, Pod]:
    """Give each pod of a WorkflowTemplate by its name, as `expect.expected_pods` names it."""
    pods: dict[str, Pod] = {}
    for one in template["spec"]["templates"]:
        spec = pod_spec(one, template["spec"])
        if one.get("container"):
            name = step_name(one) or one["name"]
            name = f"{name}, again" if name in pods else name
            pods[name] = read_pod(one.get("metadata") or {}, spec, one["container"])
        elif one.get("resource"):  # it is YAML only when Argo's expressions are numbers
            jobset = yaml.safe_load(re.sub(r"\{\{=.*?\}\}", "1", one["resource"]["manifest"]))
            for job in jobset["spec"]["replicatedJobs"]:
                pod = job["template"]["spec"]["template"]
                container = pod["spec"]["containers"][0]
                name = f"{step_name(pod)}/{job['name']}"
                pods[name] = read_pod(pod["metadata"], pod["spec"], container)
            pods[f"{step_name(pod)}/creator"] = read_pod({}, spec, {})
    return pods


def pod_spec(template: Mapping[str, Any], workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Give the part of a pod's specification that Argo makes of a template and its workflow."""
    spec = dict(template) | {key: template.get(key) or workflow.get(key) for key in SHARED.values()}
    patch = json.loads(template.get("podSpecPatch") or "{}")
    if patch.get("imagePullSecrets"):  # a strategic merge patch adds to this list
        patch["imagePullSecrets"] += workflow.get("imagePullSecrets") or ()
    return spec | patch


def read_pod(
    metadata: Mapping[str, Any], spec: Mapping[str, Any], container: Mapping[str, Any]
) -> Pod:
    """Give the settings of one pod, from the JSON of its metadata, specification and container."""
    resources = container.get("resources") or {}
    requests, limits = (
        {name: size(value) for name, value in (resources.get(kind) or {}).items()}
        for kind in ("requests", "limits")
    )
    limited = {name: limits[name] for name in SIZES.values() if name in limits}
    as_much = {name: requests.get(name) for name in SIZES.values()}
    extra = {}
    for name in {*requests, *limits}.difference(SIZES.values()):
        asked, limit = requests.get(name), limits.get(name)
        same = asked == limit or (asked is None and name in GPU.values())  # a cluster fills it in
        extra[name] = limit if same else f"limit {limit}, request {asked}"
    pull, secrets = spec.get("imagePullSecrets") or (), container.get("envFrom") or ()
    variables = {one["name"]: one.get("value") for one in container.get("env") or ()}
    return plain(
        {
            "image": container.get("image"),
            "image_pull_policy": container.get("imagePullPolicy"),
            "image_pull_secrets": sorted({one["name"] for one in pull}),
            "service_account": spec.get("serviceAccountName"),
            **{key: requests.get(name) for key, name in SIZES.items()},
            "qos": {} == limited and "Burstable" or limited == as_much and "Guaranteed" or limited,
            "gpu": {name: extra[name] for name in GPU.values() if name in extra},
            "extended_resources": {k: v for k, v in extra.items() if k not in GPU.values()},
            **mounted(spec.get("volumes") or (), container.get("volumeMounts") or ()),
            "tmpfs_tempdir": variables.get("METAFLOW_TEMPDIR"),
            "secrets": [one["secretRef"]["name"] for one in secrets if one.get("secretRef")],
            "node_selector": spec.get("nodeSelector"),
            "tolerations": [without_none(one) for one in spec.get("tolerations") or ()],
            "labels": metadata.get("labels"),
            "annotations": metadata.get("annotations"),
            "security_context": without_none(container.get("securityContext")),
            "port": [one["containerPort"] for one in container.get("ports") or ()],
            "timeout": spec.get("activeDeadlineSeconds"),
        }
    )


def mounted(volumes: Any, mounts: Any) -> dict[str, Any]:
    """Give shared memory, tmpfs and claims: each needs a volume of the pod and a mount of it."""
    found: dict[str, Any] = {"persistent_volume_claims": {}}
    by_name = {one["name"]: one for one in volumes}
    paths: dict[str, list[str]] = {}
    for one in mounts:
        flags = [key for key, value in one.items() if value is True]
        paths.setdefault(one["name"], []).append(" ".join([one["mountPath"], *flags]))
    for name in {**by_name, **paths}:
        volume, at = by_name.get(name, {}), " and ".join(paths.get(name, ["no path"]))
        directory, claim = volume.get("emptyDir") or {}, volume.get("persistentVolumeClaim") or {}
        if name not in IN_MEMORY and (claim or not volume):
            note = " readOnly" if claim.get("readOnly") else "" if claim else " (no such volume)"
            found["persistent_volume_claims"][claim.get("claimName", name)] = at + note
        elif name in IN_MEMORY and (name in paths or "sizeLimit" in directory):
            limit, medium = size(directory.get("sizeLimit")), directory.get("medium")
            found[IN_MEMORY[name]] = f"{limit} of {medium} at {at}"
    return found
