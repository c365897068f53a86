"""What a cluster must have for the pods of the flows to run on it, worked out from those pods."""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from .pods import UNITS, Pod

AT_ONCE = 4  # pods of the largest size that a node takes, or each foreach would be a queue
SYSTEM = {"cpu": 2, "memory": 2 * 1024**3}  # beside them: Argo, the S3 server and Kubernetes
S3 = "kind-s3"  # the server and its secret, in kind.yaml
NO_REGISTRY = base64.b64encode(json.dumps({"auths": {}}).encode()).decode()
EXECUTOR = {  # https://argo-workflows.readthedocs.io/en/latest/workflow-rbac/
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
JOBSETS = {
    "apiGroups": ["jobset.x-k8s.io"],
    "resources": ["jobsets"],
    "verbs": ["create", "get", "watch", "delete"],
}


def placements(pods: Iterable[Pod]) -> list[dict[str, Any]]:
    """Give the labels and taints of each node, the control plane's, which has none, first.

    Each selector with its tolerations is a kind of node: were they on one node, its taints would
    keep off the pods that do not tolerate them.
    """
    found: list[dict[str, Any]] = [{"labels": {}, "taints": []}]
    for pod in pods:
        taints = [
            {key: one.get(key, "") for key in ("key", "value")}
            | {"effect": one.get("effect") or "NoSchedule"}
            for one in pod.get("tolerations", ())
            if one.get("key")  # else it tolerates whatever there is
        ]
        # a node can have one taint of a key and effect, and tolerations may name several values
        taints = list({(one["key"], one["effect"]): one for one in taints}.values())
        node = {"labels": pod.get("node_selector", {}), "taints": taints}
        found += [] if node in found else [node]
    return found


def capacity(pods: Sequence[Pod]) -> dict[str, int]:
    """Give what each node must offer: whole cores, memory in bytes, and devices by their names."""
    most: dict[str, int] = {}
    for pod in pods:
        for name in ("cpu", "memory"):
            most[name] = max(most.get(name, 0), math.ceil(amount(pod.get(name, "0"))))
        for name, count in {**pod.get("gpu", {}), **pod.get("extended_resources", {})}.items():
            most[name] = max(most.get(name, 0), int(amount(count)))
    return {name: AT_ONCE * count + SYSTEM.get(name, 0) for name, count in most.items()}


def amount(quantity: str) -> Decimal:
    digits = quantity.rstrip("kKMGTPEim")
    return Decimal(digits) * UNITS[quantity[len(digits) :]]


def objects(pods: Sequence[Pod], namespace: str, parallel: bool) -> list[dict[str, Any]]:
    """Give the manifests of what the pods name: accounts with their rights, claims and secrets."""

    def names(key: str) -> list[str]:
        return sorted({name for pod in pods for name in pod.get(key, ())})

    accounts = sorted({pod["service_account"] for pod in pods})
    group, name = "rbac.authorization.k8s.io", "argo-executor"
    role = {"apiGroup": group, "kind": "Role", "name": name}
    subjects = [{"kind": "ServiceAccount", "name": name} for name in accounts]
    rules = [EXECUTOR, *([JOBSETS] if parallel else [])]
    found = [
        manifest("v1", "Namespace", namespace),
        *(manifest("v1", "ServiceAccount", name) for name in accounts),
        manifest(f"{group}/v1", "Role", name, rules=rules),
        manifest(f"{group}/v1", "RoleBinding", name, roleRef=role, subjects=subjects),
    ]
    for name in names("persistent_volume_claims"):
        # not of kind's StorageClass, whose volumes only the pods of one node can share
        both, size = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}, {"storage": "1Gi"}
        folder, volume = {"hostPath": {"path": f"/claims/{name}"}}, f"{namespace}-{name}"
        spec = {**both, **folder, "capacity": size}
        found.append(manifest("v1", "PersistentVolume", volume, spec=spec))
        spec = {**both, "resources": {"requests": size}, "volumeName": volume}
        found.append(manifest("v1", "PersistentVolumeClaim", name, spec=spec))
    pull = names("image_pull_secrets")
    empty = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": NO_REGISTRY}}
    plain = {*names("secrets")} - {*pull, S3}
    found += [manifest("v1", "Secret", name, **empty) for name in pull]
    return found + [manifest("v1", "Secret", name) for name in sorted(plain)]


def manifest(version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}
