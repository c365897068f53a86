"""What Metaflow's own configuration gives to pods: the lowest layer, below k8s.toml.

The rules are those of KubernetesDecorator.init, in
metaflow/plugins/kubernetes/kubernetes_decorator.py, written here a second time.
"""

import functools
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..project.merge_settings import Settings
from .flow_facts import FlowFacts

PYTHON_IMAGE = f"python:{sys.version_info[0]}.{sys.version_info[1]}"  # where nothing names an image
TABLES = ("labels", "annotations")  # merged by key, below the step's own
REGISTRY = "registry"  # is put before the image; it is no parameter of @kubernetes


@dataclass(frozen=True)
class MetaflowDefault:
    """A value that a setting of Metaflow's configuration gives to steps."""

    variable: str
    key: str  # the parameter of @kubernetes, or REGISTRY
    value: Any


def with_defaults(settings: Mapping[str, Any], defaults: Iterable[MetaflowDefault]) -> Settings:
    """Return a step's settings with Metaflow's defaults laid under them."""
    return functools.reduce(lay_under, defaults, dict(settings))


def lay_under(settings: Settings, default: MetaflowDefault) -> Settings:
    """Return a step's settings with one default under them: the same if it has no effect."""
    key, value = default.key, default.value
    own = settings.get(key)
    if key in TABLES:
        value = {**value, **(own or {})}
    elif key == "secrets":
        value = [*(own or ()), *(name for name in value if name not in (own or ()))]
    elif key == REGISTRY:
        key, image = "image", settings.get("image") or PYTHON_IMAGE
        value = image if names_registry(image) else f"{value.rstrip('/')}/{image}"
    elif own:
        # also a size that equals Metaflow's default: Metaflow compares text, k8s.toml has numbers
        value = own
    return {**settings, key: value}


def names_registry(image: str) -> bool:
    """Return whether Metaflow sees a registry in an image's name (get_docker_registry)."""
    return bool(re.match(r".+?[:.].+?/", image))


def default_sources(
    steps: Iterable[Mapping[str, Any]], defaults: Sequence[MetaflowDefault]
) -> list[str]:
    """Return a line for each default that changes the settings of one of the steps."""
    lines = set()
    for settings in map(dict, steps):
        for default in defaults:
            below, settings = settings, lay_under(settings, default)
            if settings != below:
                key = "image" if default.key == REGISTRY else default.key
                lines.add(f"{key}: from {default.variable}")
    return sorted(lines)


def override_sources(flow: FlowFacts) -> list[str]:
    """Return a line for each setting that something else than its step's own code gives a step."""
    return sorted(
        {
            f"{key}: from {override['source']}"
            for step in flow["steps"].values()
            for override in step["overrides"]
            if "source" in override
            for key in override["values"]
        }
    )
