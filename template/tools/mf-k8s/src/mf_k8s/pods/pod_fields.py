"""Reads the fields of a pod that [pod] of k8s.toml can set."""

from collections.abc import Mapping
from typing import Any

from ..project.pod_table import MAIN
from .strategic_merge import POD, strategic_merge


def main_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a patch of a pod says of the step's own container."""
    found: dict[str, Any] = {}
    for container in spec.get("containers") or ():
        if container.get("name") == MAIN:
            found = strategic_merge(found, {**container, "name": None}, POD)
    return found


def part_of(found: Any, shape: Any) -> Any:
    """Return what `found` has of the fields in `shape`, at any depth; lists go by their names."""
    if isinstance(shape, Mapping) and isinstance(found, Mapping):
        fields = {key: part_of(found.get(key), shape[key]) for key in shape}
        return {key: value for key, value in fields.items() if value is not None}
    if isinstance(shape, list) and isinstance(found, list):
        by_name = {each.get("name"): each for each in found if isinstance(each, Mapping)}
        if all(isinstance(each, Mapping) and "name" in each for each in shape):
            return [part_of(by_name.get(each["name"]), each) for each in shape]
        if len(shape) == len(found):
            return [part_of(*pair) for pair in zip(found, shape, strict=True)]
    return found
