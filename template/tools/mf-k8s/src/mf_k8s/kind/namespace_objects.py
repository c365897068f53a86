"""The objects in the namespace that the flows' pods name: accounts, rights, claims, secrets."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..pods.rbac import accounts, manifest
from ..pods.read_pods import Manifest, Pod
from ..project.pod_table import POD
from ..project.workflow_table import own_names
from ..show.progress import print_error

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


def workflow_objects(workflow: Mapping[str, Any], pods: Iterable[Pod] = ()) -> list[Manifest]:
    """Return the manifests of what [workflow] and [pod] name: PriorityClasses and ConfigMaps."""
    workflow = own_names(workflow)
    classes = {workflow.get("priority_class")}
    classes |= {pod.get(POD, {}).get("priorityClassName") for pod in pods}
    manifests = [
        manifest("scheduling.k8s.io/v1", "PriorityClass", name, value=0)
        for name in sorted(filter(None, classes))
        if not name.startswith("system-")  # those are Kubernetes' own
    ]
    limits: dict[str, dict[str, str]] = {}
    for semaphore in (workflow.get("synchronization") or {}).get("semaphores") or ():
        key = semaphore.get("config_map_key_ref") or {}
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


def with_values(
    objects: Iterable[Manifest], values: Mapping[str, Mapping[str, str]]
) -> list[Manifest]:
    """Return the objects with the values that tests/kind.toml gives to Secrets, by their names.

    A Secret that no pod names is added, and that is printed: the name may be misspelt.
    """
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    for name, own in values.items():
        if ("Secret", name) not in by_name:
            print_error(f"k8s: tests/kind.toml: no pod reads the Secret {name}: is it misspelt?")
        secret = by_name.get(("Secret", name), manifest("v1", "Secret", name))
        by_name["Secret", name] = {**secret, "data": {**secret.get("data", {}), **encoded(own)}}
    return [*by_name.values()]


def encoded(values: Mapping[str, str]) -> dict[str, str]:
    """Return values as a Secret has them."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}


def is_rule_of_accounts(item: Manifest) -> bool:
    """Return whether an object is this package's own: the rights of the accounts."""
    return item["kind"] in ("Role", "RoleBinding")


def what_is_missing(
    needed: Iterable[Manifest],
    present: Iterable[Manifest],
    values: Mapping[str, Mapping[str, str]],
) -> tuple[list[Manifest], list[Manifest]]:
    """Return the missing objects, and those with data that the present ones lack.

    Whatever is there may have been filled or changed by somebody. A ConfigMap gets the keys that
    it lacks, and a Secret the values that tests/kind.toml gives.
    """
    found = {(item["kind"], item["metadata"]["name"]): item for item in present}
    missing: list[Manifest] = []
    lacking: list[Manifest] = []
    for item in needed:
        kind, name = key = item["kind"], item["metadata"]["name"]
        if key not in found:
            missing.append(item)
            continue
        old = found[key].get("data") or {}
        new = {"ConfigMap": item.get("data", {}), "Secret": encoded(values.get(name, {}))}
        data = {
            field: text
            for field, text in new.get(kind, {}).items()
            if field not in old or (kind == "Secret" and old[field] != text)
        }
        lacking += [{**item, "data": data}] if data else []
    return missing, lacking
