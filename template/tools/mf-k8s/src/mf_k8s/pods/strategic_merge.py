"""Strategic merge patches, as Argo applies them: what Kubernetes' own types merge by which key.

The rules are the tags `patchStrategy` and `patchMergeKey` of k8s.io/api/core/v1/types.go and of
workflow_types.go in argo-workflows.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

Keys = Mapping[str, str]  # of a list's field: the field of its items by which they are merged

POD: Keys = MappingProxyType(
    {
        "containers": "name",
        "initContainers": "name",
        "volumes": "name",
        "imagePullSecrets": "name",
        "hostAliases": "ip",
        "topologySpreadConstraints": "topologyKey",
        "resourceClaims": "name",
        "env": "name",
        "volumeMounts": "mountPath",
        "volumeDevices": "devicePath",
        "ports": "containerPort",
    }
)
# Argo's own types merge tolerations, too, which those of Kubernetes replace.
WORKFLOW: Keys = MappingProxyType(
    {**POD, "tolerations": "key", "templates": "name", "sidecars": "name", "parameters": "name"}
)


def strategic_merge(original: Any, patch: Any, keys: Keys, field: str = "") -> Any:
    """Return `original` with `patch` over it; a null in it, or `$patch`, takes away.

    `field` is the name of the field that has both.
    """
    if isinstance(original, Mapping) and isinstance(patch, Mapping):
        return merge_tables(original, patch, keys)
    if field in keys and is_list_of_tables(original) and is_list_of_tables(patch):
        return merge_lists(original, patch, keys, keys[field])
    return without_directives(patch)


def is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def merge_tables(
    original: Mapping[str, Any], patch: Mapping[str, Any], keys: Keys
) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return dict(without_directives(patch))
    merged = dict(original)
    for field, value in patch.items():
        if value is None or (isinstance(value, Mapping) and value.get("$patch") == "delete"):
            merged.pop(field, None)
        elif not field.startswith("$"):
            merged[field] = strategic_merge(original.get(field), value, keys, field)
    return merged


def merge_lists(
    original: Sequence[Any], patch: Sequence[Any], keys: Keys, key: str
) -> list[dict[str, Any]]:
    """Return the items of both lists. Each of the patch is merged into the first of the same key.

    So of two items of one key in the patch, like tolerations with other effects, the last is left.
    """
    merged = [] if {"$patch": "replace"} in patch else [dict(item) for item in original]
    for item in patch:
        same = [index for index, own in enumerate(merged) if own.get(key) == item.get(key)]
        if item.get("$patch") == "delete":
            merged = [own for own in merged if own.get(key) != item.get(key)]
        elif item.keys() != {"$patch"}:
            if same:
                merged[same[0]] = merge_tables(merged[same[0]], item, keys)
            else:
                merged.append(merge_tables({}, item, keys))
    return merged


def without_directives(value: Any) -> Any:
    """Return a value without nulls in tables, and without fields like `$patch`."""
    if isinstance(value, Mapping):
        return {
            field: without_directives(item)
            for field, item in value.items()
            if item is not None and not field.startswith("$")
        }
    if isinstance(value, list):
        return [without_directives(item) for item in value]
    return value
