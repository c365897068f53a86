"""Finds values of a project that differ from what its organisation has locked."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..pods.flow_facts import FlowFacts, StepFacts
from ..project.environment_layer import Layer, merged_config, shared_layers
from ..project.k8s_toml import Config
from ..project.merge_settings import (
    Settings,
    from_texts,
    merge,
    shared_settings,
    step_settings,
)
from ..project.organisation_layer import FILE, read_organisation
from ..project.project import Project

REGISTRY = "registry"  # locked, it holds for every image, however that is named
OF_ALL_PODS = "workflow.pod_metadata"  # whose labels and annotations replace those of steps


def locked_in_files(project: Project) -> Iterator[str]:
    """Yield a line for each locked value that k8s.toml or the environment has otherwise."""
    organisation = read_organisation(project)
    locked, own = organisation.locked, organisation.config(project.environment)
    layers = [layer for layer in shared_layers(project) if not layer[0].startswith(FILE)]
    lines = [line for path in locked for line in first_change(path, own, own, layers)]
    for name, values in layers:
        for path in locked:  # labels and annotations
            found, right = value_at(values, f"{OF_ALL_PODS}.{path}"), value_at(own, path)
            if found not in (None, right):
                where = f"{OF_ALL_PODS} of {name}"
                lines.append(otherwise(path, right, json.dumps(found, ensure_ascii=False), where))
    yield from lines
    if REGISTRY in locked and not any(line.startswith(REGISTRY) for line in lines):
        settings = shared_settings(merged_config(project))
        yield from images_elsewhere(settings, own, layers)


def locked_in_flow(project: Project, flow: FlowFacts) -> Iterator[str]:
    """Yield a line for each locked value that a step, or a pool of the project, has otherwise."""
    organisation = read_organisation(project)
    locked, own = organisation.locked, organisation.config(project.environment)
    if not locked:
        return
    config = merged_config(project)
    for name, step in flow["steps"].items():
        lines = [*locked_in_step(step, config, own, locked)]
        yield from (f"{name}: {line}" for line in lines)


def locked_in_step(
    step: StepFacts, config: Config, own: Config, locked: Collection[str]
) -> Iterator[str]:
    """Yield a line for each locked value that a step has otherwise than all steps.

    `own` is the organisation's part of `config`: its pools may change what it has locked.
    """
    pools, own_pools = config.get("pools", {}), own.get("pools", {})
    names = [override["pool"] for override in step["overrides"] if override["pool"]]
    base = shared_settings(config)
    for name in names:
        base = merge(base, own_pools.get(name, {}))
    layers: list[Layer] = [(f"pool {name}", pools.get(name, {})) for name in names]
    for override in step["overrides"]:
        layers.append((override.get("source", "the step"), from_texts(override["values"])))
    for path in locked:
        yield from first_change(path, base, base, layers)
    if REGISTRY in locked:
        settings = step_settings(config, step)
        yield from images_elsewhere(settings, own, layers, but=images_of(base))


def images_elsewhere(
    settings: Settings, own: Config, layers: Sequence[Layer], but: Collection[str] = ()
) -> Iterator[str]:
    """Yield a line for each image of settings that is not in the organisation's registry.

    `layers` are those that may have named it; images in `but` do not count.
    """
    registry = own.get(REGISTRY)
    for image in images_of(settings):
        if not image.startswith(f"{registry}/") and image not in but:
            named = [name for name, values in layers if image in images_of(values)]
            where = named[-1] if named else "a layer"
            yield otherwise(REGISTRY, registry, f"image = {image}", where)


def images_of(settings: Mapping[str, Any]) -> list[str]:
    """Return the images that settings name: of the container, and of those below [pod]."""
    pod = settings.get("pod") or {}
    containers = [settings, *(pod.get("containers") or ()), *(pod.get("init_containers") or ())]
    return [each["image"] for each in containers if isinstance(each.get("image"), str)]


def first_change(
    path: str, locked: Config, settings: Config, layers: Iterable[Layer]
) -> Iterator[str]:
    """Yield a line for the first layer over `settings` that has another value than `locked`."""
    right = value_at(locked, path)
    for name, values in layers:
        settings = merge(settings, values)
        if (value := value_at(settings, path)) != right:
            yield otherwise(path, right, json.dumps(value, ensure_ascii=False), name)
            return


def otherwise(path: str, right: Any, found: str, where: str) -> str:
    says = f"{FILE} says {json.dumps(right, ensure_ascii=False)}" if right else f"{FILE} sets none"
    return f"{path} is locked: {says}, and {where} says {found}: take it out there"


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """Return the value to which a path leads, like labels.cost-centre; None if there is none.

    A key may have dots itself, as labels have.
    """
    for key, value in config.items():
        if key == path:
            return value
        if path.startswith(f"{key}.") and isinstance(value, Mapping):
            if (found := value_at(value, path.removeprefix(f"{key}."))) is not None:
                return found
    return None
