"""Finds values of a project that differ from what its organisation has locked."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..pods.flow_facts import FlowFacts, StepFacts
from ..project.environment_layer import Layer, merged_config, shared_layers
from ..project.k8s_toml import Config
from ..project.merge_settings import from_texts, merge, shared_settings, step_settings
from ..project.organisation_layer import FILE, organisation_config, read_organisation
from ..project.project import Project

REGISTRY = "registry"  # locked, it holds for every image, however that is named


def locked_in_files(project: Project) -> Iterator[str]:
    """Yield a line for each locked value that k8s.toml or the environment has otherwise."""
    locked, own = read_organisation(project).locked, organisation_config(project)
    layers = [layer for layer in shared_layers(project) if not layer[0].startswith(FILE)]
    for path in locked:
        yield from first_change(path, own, own, layers)
    image, registry = shared_settings(merged_config(project)).get("image"), own.get(REGISTRY)
    if REGISTRY in locked and image and not is_in(image, registry):
        yield otherwise(REGISTRY, registry, f"image = {image}", project.config_file.name)


def locked_in_flow(project: Project, flow: FlowFacts) -> Iterator[str]:
    """Yield a line for each locked value that a step, or a pool of the project, has otherwise."""
    locked, own = read_organisation(project).locked, organisation_config(project)
    if not locked:
        return
    config = merged_config(project)
    for name, step in flow["steps"].items():
        lines = [*locked_in_step(step, config, own, locked)]
        yield from (f"{name}: {line}" for line in lines)


def locked_in_step(
    step: StepFacts, config: Config, own: Config, locked: Iterable[str]
) -> Iterator[str]:
    """Yield a line for each locked value that a step has otherwise than all steps.

    `own` is the organisation's part of `config`: its pools may change what it has locked.
    """
    pools = [override["pool"] for override in step["overrides"] if override["pool"]]
    base = shared_settings(config)
    for pool in pools:
        base = merge(base, own.get("pools", {}).get(pool, {}))
    layers: list[Layer] = [
        (f"pool {name}", config.get("pools", {}).get(name, {})) for name in pools
    ]
    for override in step["overrides"]:
        layers.append((override.get("source", "the step"), from_texts(override["values"])))
    for path in locked:
        yield from first_change(path, base, base, layers)
    image, registry = step_settings(config, step).get("image"), own.get(REGISTRY)
    if REGISTRY in locked and image != base.get("image") and not is_in(image, registry):
        where = next(name for name, values in reversed(layers) if "image" in values)
        yield otherwise(REGISTRY, registry, f"image = {image}", where)


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


def is_in(image: Any, registry: Any) -> bool:
    """Return whether an image is in a registry, or in a folder of it."""
    return isinstance(image, str) and image.startswith(f"{registry}/")


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
