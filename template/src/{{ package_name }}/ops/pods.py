"""What the pods of a workflow have, and `complete`, which gives them what Metaflow leaves off."""

import copy
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import yaml

Pod = dict[str, Any]
GPU = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
# what Argo gives to a pod whose own template says nothing of it, if the whole workflow has it
SHARED = ("service_account", "node_selector", "tolerations", "image_pull_secrets")
SIZES = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}
UNITS = {"": Decimal(1), "m": Decimal("0.001")}
UNITS |= {unit: Decimal(1000) ** (n + 1) for n, unit in enumerate("kMGTPE")}
UNITS |= {f"{unit}i": Decimal(1024) ** (n + 1) for n, unit in enumerate("KMGTPE")}


def size(text: Any) -> str:
    """Give a Kubernetes quantity in one spelling, so that 6000.0M and 6G are the same."""
    match = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(text))
    if not match or match[2] not in UNITS:
        return str(text)
    value = Decimal(match[1]) * UNITS[match[2]]
    for unit in ("M", "Mi"):
        if value >= UNITS[unit] and value % UNITS[unit] == 0:
            return f"{value / UNITS[unit]:f}".partition(".")[0] + unit
    return f"{value.normalize():f}"


def plain(pod: Mapping[str, Any]) -> Pod:
    """Give a pod without the settings that it does not have, and lists in one order."""
    pod = {**pod, "service_account": pod.get("service_account") or "default"}
    return {
        key: sorted(value, key=json.dumps) if isinstance(value, list) else value
        for key, value in pod.items()
        if value not in (None, [], {}, "")
    }


def complete(template: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """Give a WorkflowTemplate in which every pod has its configuration; `shared` is k8s.toml's.

    Metaflow sets these on the pods of the steps alone. On the whole workflow, Argo gives them to
    every pod whose template has none: hooks, the creators of JobSets, the agent of HTTP hooks
    (addSchedulingConstraints in argo-workflows' workflow/controller/workflowpod.go). A step that
    took a shared value away says so again, in the words of a strategic merge patch.
    """
    whole = copy.deepcopy(dict(template))
    spec = whole["spec"]
    values = {
        "serviceAccountName": shared.get("service_account"),
        "nodeSelector": shared.get("node_selector"),
        "tolerations": shared.get("tolerations"),
        "imagePullSecrets": [{"name": name} for name in shared.get("image_pull_secrets", ())],
    }
    values = {key: value for key, value in values.items() if value}
    spec.update(values)
    for one in spec["templates"]:
        if "env_from" in (one.get("container") or {}):  # so Metaflow spells it in its heartbeat
            one["container"]["envFrom"] = [
                {"secretRef": {"name": ref["secret_ref"]["name"]}}
                for ref in one["container"].pop("env_from") or ()
            ]
        if not step_name(one):
            continue
        patch = json.loads(one.get("podSpecPatch") or "{}")
        has = {**one, **patch}
        taken = [key for key in values if key != "serviceAccountName" and not has.get(key)]
        if taken:
            one["podSpecPatch"] = json.dumps(patch | dict.fromkeys(taken))
        one["serviceAccountName"] = one.get("serviceAccountName") or "default"
    return whole


def step_name(template: Mapping[str, Any]) -> str | None:
    # not the template's name: that is `recursive-…` for a loop, and has `-` for `_`
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return annotations.get("metaflow/step_name")


def workflow_pods(template: Mapping[str, Any]) -> dict[str, Pod]:
    """Give each pod of a WorkflowTemplate by its name, as `expect.expected_pods` names it."""
    pods: dict[str, Pod] = {}
    for one in template["spec"]["templates"]:
        spec = pod_spec(one, template["spec"])
        if one.get("container"):
            name = step_name(one) or one["name"]
            name = f"{name} again, as {one['name']}" if name in pods else name
            pods[name] = read_pod(one.get("metadata") or {}, spec, one["container"])
        elif one.get("resource"):  # YAML only when Argo's expressions are numbers
            jobset = yaml.safe_load(re.sub(r"\{\{=.*?\}\}", "1", one["resource"]["manifest"]))
            for job in jobset["spec"]["replicatedJobs"]:
                pod = job["template"]["spec"]["template"]
                step = step_name(pod)
                container = pod["spec"]["containers"][0]
                pods[f"{step}/{job['name']}"] = read_pod(pod["metadata"], pod["spec"], container)
            pods[f"{step}/creator"] = read_pod({}, spec, {})
    return pods


def pod_spec(template: Mapping[str, Any], workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Give the part of a pod's specification that Argo makes of a template and its workflow."""
    inherited = ("serviceAccountName", "nodeSelector", "tolerations")
    spec = {key: template.get(key) or workflow.get(key) for key in inherited}
    spec |= {key: template.get(key) for key in ("volumes", "activeDeadlineSeconds")}
    secrets = list(workflow.get("imagePullSecrets") or ())
    patch = json.loads(template.get("podSpecPatch") or "{}")
    if "imagePullSecrets" in patch:  # a strategic merge patch: adds by name, null removes
        own = patch["imagePullSecrets"]
        secrets = own and secrets + [one for one in own if one not in secrets]
    return {**spec, **patch, "imagePullSecrets": secrets}


def read_pod(
    metadata: Mapping[str, Any], spec: Mapping[str, Any], container: Mapping[str, Any]
) -> Pod:
    """Give the settings of one pod, from the JSON of its metadata, specification and container."""
    resources = container.get("resources") or {}
    requests, limits = (
        {key: size(value) for key, value in (resources.get(kind) or {}).items()}
        for kind in ("requests", "limits")
    )
    pod = {
        "image": container.get("image"),
        "image_pull_policy": container.get("imagePullPolicy"),
        "image_pull_secrets": [one["name"] for one in spec.get("imagePullSecrets") or ()],
        "service_account": spec.get("serviceAccountName"),
        **{key: requests.get(name) for key, name in SIZES.items()},
        "qos": quality(requests, limits),
        **devices(requests, limits),
        **mounted(spec.get("volumes") or (), container.get("volumeMounts") or ()),
        "secrets": [
            one["secretRef"]["name"]
            for one in container.get("envFrom") or ()
            if one.get("secretRef")
        ],
        "node_selector": spec.get("nodeSelector"),
        "tolerations": [without_none(one) for one in spec.get("tolerations") or ()],
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
        "security_context": without_none(container.get("securityContext") or {}),
        "port": [one["containerPort"] for one in container.get("ports") or ()],
        "timeout": spec.get("activeDeadlineSeconds"),
    }
    for variable in container.get("env") or ():
        if variable["name"] == "METAFLOW_TEMPDIR":
            pod["tmpfs_tempdir"] = variable.get("value")
    return plain(pod)


def without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def quality(requests: Mapping[str, str], limits: Mapping[str, str]) -> str:
    limited = {name: limits[name] for name in SIZES.values() if name in limits}
    if not limited:
        return "Burstable"
    if limited == {name: requests.get(name) for name in SIZES.values()}:
        return "Guaranteed"
    return "limits " + ", ".join(f"{name} {value}" for name, value in sorted(limited.items()))


def devices(requests: Mapping[str, str], limits: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"gpu": {}, "extended_resources": {}}
    for name in sorted({*requests, *limits}.difference(SIZES.values())):
        limit, request = limits.get(name), requests.get(name)
        gpu = name in GPU.values()  # whose request a cluster fills in from the limit
        same = request == limit or (gpu and request is None)
        found["gpu" if gpu else "extended_resources"][name] = (
            f"{limit}" if same else f"limit {limit}, request {request}"
        )
    return found


def mounted(volumes: Any, mounts: Any) -> dict[str, Any]:
    """Give shared memory, tmpfs and claims: each needs a volume of the pod and a mount of it."""
    paths: dict[str, str] = {}
    for one in mounts:
        path = " ".join([one["mountPath"], *(key for key, value in one.items() if value is True)])
        paths[one["name"]] = f"{paths[one['name']]} and {path}" if one["name"] in paths else path
    found: dict[str, Any] = {"persistent_volume_claims": {}}
    by_name = {one["name"]: one for one in volumes}
    for name in sorted({*paths, *by_name}):
        volume, path = by_name.get(name, {}), paths.get(name)
        setting = {"dhsm": "shared_memory", "tmpfs-ephemeral-volume": "use_tmpfs"}.get(name)
        if setting:
            memory = volume.get("emptyDir") or {}
            limit = size(memory["sizeLimit"]) if memory.get("sizeLimit") else None
            if limit or path:  # Metaflow also writes a volume that has neither
                kind = "" if memory.get("medium") == "Memory" else " not of memory"
                found[setting] = f"{limit}{kind} at {path}"
        elif volume.get("persistentVolumeClaim"):
            claim = volume["persistentVolumeClaim"]
            suffix = " (read-only)" if claim.get("readOnly") else ""
            found["persistent_volume_claims"][claim["claimName"]] = f"{path}{suffix}"
        elif not volume:
            found["persistent_volume_claims"][name] = f"{path} (no such volume)"
    return found
