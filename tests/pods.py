"""Reads what a pod gets out of a compiled WorkflowTemplate, by the rules of Kubernetes alone."""

import json
import re
from typing import Any

import yaml


def pod(spec: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of one pod in plain units: cores, MB, GPUs, MiB, {claim: path}."""
    requests = container["resources"].get("requests") or {}
    limits = container["resources"].get("limits") or {}
    volumes = {volume["name"]: volume for volume in spec.get("volumes") or []}
    mounts = {m["name"]: m["mountPath"] for m in container.get("volumeMounts") or []}
    shm = volumes.get("dhsm", {}).get("emptyDir", {}).get("sizeLimit")
    return {
        "image": container["image"],
        "service_account": spec.get("serviceAccountName"),
        "cpu": float(requests["cpu"]),
        "memory": float(requests["memory"].removesuffix("M")),
        "gpu": {name: int(count) for name, count in limits.items() if name.endswith("gpu")},
        "shared_memory": int(shm.removesuffix("Mi")) if mounts.get("dhsm") == "/dev/shm" else None,
        "claims": {
            volume["persistentVolumeClaim"]["claimName"]: mounts.get(name)
            for name, volume in volumes.items()
            if "persistentVolumeClaim" in volume
        },
        "secrets": [source["secretRef"]["name"] for source in container.get("envFrom") or []],
        "labels": spec.get("labels") or {},
    }


def variables(container: dict[str, Any]) -> dict[str, str]:
    """Return a container's environment; `x` stands for what the cluster fills in."""
    return {entry["name"]: entry.get("value") or "x" for entry in container["env"]}


def by_step(workflow: str) -> dict[str, dict[str, Any]]:
    """Return the pod of each step of a WorkflowTemplate's JSON; of a JobSet the first job's."""
    pods = {}
    for template in json.loads(workflow)["spec"]["templates"]:
        if "resource" in template:
            manifest = re.sub(r"\{\{=asInt\([^}]*\}\}", "1", template["resource"]["manifest"])
            job_pod = yaml.safe_load(manifest)["spec"]["replicatedJobs"][0]["template"]["spec"]
            template = job_pod["template"] | job_pod["template"]["spec"]
            template["container"] = template["containers"][0]
        step = template.get("metadata", {}).get("annotations", {}).get("metaflow/step_name")
        if step:
            template["labels"] = template["metadata"].get("labels")
            pods[step] = pod(template, template["container"])
    return pods
