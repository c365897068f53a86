"""Reads and validates TOML, and works out a step's settings from k8s.toml.

Nothing of the project's base.py is used: its merging is written here a second time, so that a
mistake in either shows as a difference in `k8s check`.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CommandError
from .conflicts import conflict_in

NOT_OF_STEPS = ("pools", "workflow")  # tables of k8s.toml

Config = dict[str, Any]  # what is in a k8s.toml
Settings = dict[str, Any]  # the parameters of one @kubernetes


def read_toml(file: Path, or_json: bool = False) -> dict[str, Any]:
    """Return what is in a TOML file; raise CommandError if it is missing or not TOML.

    With `or_json`, a file that begins with a brace is JSON.
    """
    language, loads, text = "TOML", tomllib.loads, ""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if or_json and text.lstrip().startswith("{"):
            language, loads = "JSON", json.loads
        return loads(text)
    except OSError as error:
        raise CommandError(f"{file.name} cannot be read: {error}") from error
    except ValueError as error:  # of the encoding, of TOML or of JSON
        reason = conflict_in(text) or f"is not {language}: {error}"
        raise CommandError(f"{file.name} {reason}") from error


def read_config(file: Path) -> Config:
    """Return what is in k8s.toml, or in the file of TOML or JSON that K8S_CONFIG names.

    As for BaseFlow, JSON's nulls do not count. Raise CommandError if the file is missing or is
    neither TOML nor JSON.
    """
    config = read_toml(file, or_json=True)
    return {key: value for key, value in config.items() if value is not None}


def validate(value: Any, schema: dict[str, Any], where: str) -> None:
    """Raise CommandError for the first thing in `value` that does not fit the schema.

    The schema's `description` of what is wrong is the remedy.
    """
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft7Validator(schema).iter_errors(value))
    if error is None:
        return
    rule: Any = error.schema
    path = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known, patterns = rule.get("properties", {}), rule.get("patternProperties", {})
        unknown = next(
            name
            for name in error.instance
            if name not in known and not any(re.search(pattern, name) for pattern in patterns)
        )
        near = difflib.get_close_matches(unknown, known, 1, 0.6 if patterns else 0.4)
        titles = [others["title"] for others in patterns.values() if "title" in others]
        keys = ", ".join([*known, *titles])
        hint = f"did you mean {near[0]}?" if near else f"the keys are {keys}"
        raise CommandError(f"{where}: no key {unknown}; {hint}")
    at = f"{where}: {path}" if path else where
    found = json.dumps(error.instance, default=str, ensure_ascii=False)
    raise CommandError(f"{at} = {found}: {rule.get('description', error.message)}")


def shared_settings(config: Mapping[str, Any]) -> Settings:
    """Return what k8s.toml gives to every step."""
    return {key: value for key, value in config.items() if key not in NOT_OF_STEPS}


def step_settings(config: Mapping[str, Any], step: Mapping[str, Any]) -> Settings:
    """Return a step's settings: k8s.toml, then its pools, then its own values."""
    pools = config.get("pools", {})
    overrides = step["overrides"]
    layers = [pools.get(override["pool"], {}) for override in overrides]
    layers += [override["values"] for override in overrides]
    settings = shared_settings(config)
    for layer in layers:
        settings = merge(settings, layer)
    return settings


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> Settings:
    """Return `low` with `high` laid over it: tables merge by key, lists append, None removes."""
    merged = {key: value for key, value in low.items() if key not in high}
    for key, value in high.items():
        if isinstance(value, str):
            value = from_text(key, value)
        if isinstance(value, dict):
            merged[key] = merge(low.get(key, {}), value)
        elif isinstance(value, list):
            present = low.get(key, [])
            merged[key] = present + [item for item in value if item not in present]
        elif value is not None:
            merged[key] = value
    return merged


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
        raise CommandError(f'@kubernetes: {key} = "{text}" cannot be read') from None
    return text


def camel_case(name: str) -> str:
    """Return `runAsUser` for `run_as_user`: Kubernetes' spelling of a key of @kubernetes."""
    return re.sub("_(.)", lambda match: match[1].upper(), name)


def argo_spelling(value: Any) -> Any:
    """Return a value of [workflow] with the keys of its tables as Argo spells them."""
    if isinstance(value, dict):
        return {camel_case(key): argo_spelling(item) for key, item in value.items()}
    return [argo_spelling(item) for item in value] if isinstance(value, list) else value
