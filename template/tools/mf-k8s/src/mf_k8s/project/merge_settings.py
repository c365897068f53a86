"""Lays values over values: a step's settings over k8s.toml, and an environment's.

Nothing of the project's settings.py is used: its merging is written here a second time, so that a
mistake in either shows as a difference in `k8s check`.
"""

from collections.abc import Mapping
from typing import Any

from ..errors import CommandError, Finding

NOT_OF_STEPS = ("pools", "registry", "workflow")  # keys of k8s.toml

Settings = dict[str, Any]  # the parameters of one @kubernetes


def shared_settings(config: Mapping[str, Any]) -> Settings:
    """Return what k8s.toml gives to every step."""
    shared = {key: value for key, value in config.items() if key not in NOT_OF_STEPS}
    return with_registry(shared, config)


def step_settings(config: Mapping[str, Any], step: Mapping[str, Any]) -> Settings:
    """Return a step's settings: k8s.toml, then its pools, then its own values."""
    pools = config.get("pools", {})
    overrides = step["overrides"]
    layers = [pools.get(override["pool"], {}) for override in overrides]
    layers += [from_texts(override["values"]) for override in overrides]
    settings = shared_settings(config)
    for layer in layers:
        settings = merge(settings, layer)
    return with_registry(settings, config)


def with_registry(settings: Settings, config: Mapping[str, Any]) -> Settings:
    """Return settings with the registry of k8s.toml before an image that is named without one."""
    image, registry = settings.get("image"), config.get("registry")
    if registry and isinstance(image, str) and "/" not in image:
        return {**settings, "image": f"{registry}/{image}"}
    return settings


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> Settings:
    """Return `low` with `high` laid over it: tables merge by key, lists append, None removes."""
    merged = {key: value for key, value in low.items() if key not in high}
    for key, value in high.items():
        old = low.get(key)
        if isinstance(value, dict):
            merged[key] = merge(old if isinstance(old, dict) else {}, value)
        elif isinstance(value, list):
            present = old if isinstance(old, list) else []
            merged[key] = present + [item for item in value if item not in present]
        elif value is not None:
            merged[key] = value
    return merged


def without_nulls(value: Any) -> Any:
    """Return a value without what has the value None in its tables: it takes a value away."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def from_texts(values: Mapping[str, Any]) -> Settings:
    """Return a step's values, of which Metaflow takes some as text."""
    return {
        key: from_text(key, value) if isinstance(value, str) else value
        for key, value in values.items()
    }


def from_text(key: str, text: str) -> Any:
    """Return what a text stands for that @kubernetes takes: `a`, `label=value,…` or `16000`.

    A number is what Python's float reads, as for Metaflow.
    """
    if key == "secrets":
        return [text]
    if key == "qos":
        return text.capitalize()
    if key == "gpu_vendor":
        return text.lower()
    try:
        if key == "node_selector":
            return dict(pair.split("=", 1) for pair in text.split(","))
        if key in ("cpu", "memory", "disk", "gpu", "port", "tmpfs_size"):
            number = float(text)
            return int(number) if number.is_integer() else number
    except ValueError:
        what = f'{key} = "{text}" cannot be read'
        raise CommandError(Finding("decorator-unreadable", what, "@kubernetes")) from None
    return text
