"""The objects in the namespace that the flows' pods name: accounts, rights, claims, secrets."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..progress import print_error
from ..rbac import accounts, manifest
from ..read_pods import Manifest, Pod

S3 = "kind-s3"  # the S3 server and its Secret, in kind.yaml
SEMAPHORE_LIMIT = "100"  # workflows at a time: on kind, none waits for another
NO_CREDENTIALS = base64.b64encode(json.dumps({"auths": {}}).encode()).decode()


def needed_objects(pods: Sequence[Pod], namespace: str, parallel: bool) -> list[Manifest]:
    """Return the manifests of what the pods name; `parallel` if a flow has a @parallel step."""

    def named(key: str) -> list[str]:
        return sorted({name for pod in pods for name in pod.get(key, ())})

    pull_secrets = named("image_pull_secrets")
    other_secrets = sorted({*named("secrets")} - {*pull_secrets, S3})
    return [
        manifest("v1", "Namespace", namespace),
        *accounts(sorted({pod["service_account"] for pod in pods}), parallel),
        *(
            manifest_of_claim
            for name in named("persistent_volume_claims")
            for manifest_of_claim in claim(name, namespace)
        ),
        *(pull_secret(name) for name in pull_secrets),
        *(manifest("v1", "Secret", name) for name in other_secrets),
    ]


def workflow_objects(workflow: Mapping[str, Any]) -> list[Manifest]:
    """Return the manifests of what [workflow] of k8s.toml names: a PriorityClass, ConfigMaps."""
    manifests = []
    priority_class = workflow.get("priority_class", "")
    if priority_class and not priority_class.startswith("system-"):  # those are Kubernetes' own
        manifests.append(manifest("scheduling.k8s.io/v1", "PriorityClass", priority_class, value=0))
    limits: dict[str, dict[str, str]] = {}
    for semaphore in workflow.get("synchronization", {}).get("semaphores", ()):
        key = semaphore.get("config_map_key_ref", {})
        if {"name", "key"} <= key.keys():
            limits.setdefault(key["name"], {})[key["key"]] = SEMAPHORE_LIMIT
    return [*manifests, *(manifest("v1", "ConfigMap", name, data=limits[name]) for name in limits)]


def claim(name: str, namespace: str) -> list[Manifest]:
    """Return a claim, and a volume for it in a folder that every node mounts.

    Not of kind's StorageClass, whose volumes only the pods of one node can share.
    """
    volume, size = f"{namespace}-{name}", {"storage": "1Gi"}
    both = {"storageClassName": "", "accessModes": ["ReadWriteMany"]}
    of_volume = {**both, "hostPath": {"path": f"/claims/{name}"}, "capacity": size}
    of_claim = {**both, "resources": {"requests": size}, "volumeName": volume}
    return [
        manifest("v1", "PersistentVolume", volume, spec=of_volume),
        manifest("v1", "PersistentVolumeClaim", name, spec=of_claim),
    ]


def pull_secret(name: str) -> Manifest:
    data = {".dockerconfigjson": NO_CREDENTIALS}
    return manifest("v1", "Secret", name, type="kubernetes.io/dockerconfigjson", data=data)


def secrets_with_values(
    pods: Iterable[Pod], values: Mapping[str, Mapping[str, str]]
) -> list[Manifest]:
    """Return manifests of the Secrets that tests/kind.toml fills; `values` are by their names.

    Print which of them no pod names: the name may be misspelt.
    """
    pull_secrets = {name for pod in pods for name in pod.get("image_pull_secrets", ())}
    named = pull_secrets | {name for pod in pods for name in pod.get("secrets", ())}
    for name in sorted(values.keys() - named):
        print_error(f"k8s: tests/kind.toml: no flow's pods name the Secret {name}")
    manifests: list[Manifest] = []
    for name, own in values.items():
        secret = pull_secret(name) if name in pull_secrets else manifest("v1", "Secret", name)
        data = {key: base64.b64encode(text.encode()).decode() for key, text in own.items()}
        manifests.append({**secret, "data": data})
    return manifests


def is_rule_of_accounts(item: Manifest) -> bool:
    """Return whether an object is this package's own: the rights of the accounts."""
    return item["kind"] in ("Role", "RoleBinding")


def what_is_missing(needed: Iterable[Manifest], present: Iterable[Manifest]) -> list[Manifest]:
    """Return what has to be made: objects that are not there, and missing keys of ConfigMaps.

    Whatever is there may have been filled or changed by somebody.
    """
    found = {(item["kind"], item["metadata"]["name"]): item for item in present}
    missing = []
    for item in needed:
        there = found.get((item["kind"], item["metadata"]["name"]))
        if there is None:
            missing.append(item)
        elif item["kind"] == "ConfigMap":
            data = {key: item["data"][key] for key in item["data"].keys() - there.get("data", {})}
            missing += [{**item, "data": data}] if data else []
    return missing
