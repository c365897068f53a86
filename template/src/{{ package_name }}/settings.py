"""Reads, validates and merges k8s.toml.

Like base.py this also runs in pods, so it needs the standard library and Python 3.9, no more.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from metaflow.exception import MetaflowException

# The command k8s works with this number alone, and compares it (project.py in mf_k8s).
CONTRACT = 1
PACKAGE = Path(__file__).resolve().parent
CONFIG = os.path.normpath(PACKAGE / "../../k8s.toml")
SCHEMA = "k8s.schema.json"
# JSON Schema's names of types.
TYPES: dict[str, Any] = {"array": list, "boolean": bool, "object": dict, "string": str}
TYPES |= {"integer": int, "number": (int, float)}


class ConfigurationError(MetaflowException):
    """Says in one line where the configuration is wrong, and what would be right."""

    headline = "Kubernetes configuration"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # a key may hold a line break


def parse(text: str) -> dict[str, Any]:
    """Return the configuration in text that is TOML or JSON, or raise ConfigurationError."""
    import tomllib  # not in Python 3.9: a pod never parses, Metaflow ships it the result

    language = "JSON" if text.lstrip("\ufeff \t\r\n").startswith("{") else "TOML"  # \ufeff: a BOM
    option = re.search(r"--config-value[ =]k8s|(?<=--config[ =]k8s )\S+", " ".join(sys.argv))
    file = option[0] if option else "k8s.toml"
    try:
        config = (json if language == "JSON" else tomllib).loads(text.lstrip("\ufeff"))
    except ValueError as error:
        raise ConfigurationError(f"{file} is not {language}: {error}") from None
    validate(config, schema("#"), file)
    return {key: value for key, value in config.items() if value is not None}  # JSON has null


@functools.cache
def whole_schema() -> dict[str, Any]:
    return json.loads((PACKAGE / SCHEMA).read_text(encoding="utf-8"))


def schema(pointer: str) -> dict[str, Any]:
    """Return the part of k8s.schema.json at a JSON pointer."""
    return functools.reduce(lambda node, name: node[name], pointer.split("/")[1:], whole_schema())


def validate(value: Any, rule: dict[str, Any], where: str, key: str = "") -> None:
    """Raise ConfigurationError unless `value` fits `rule`, in the keywords of k8s.schema.json.

    Written here because a pod has no JSON Schema library.
    """
    rule = schema(rule["$ref"]) if "$ref" in rule else rule
    if not fits(value, rule):
        text = json.dumps(value, default=str, ensure_ascii=False)
        raise ConfigurationError(f"{where}: {key} = {text}: {rule['description']}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            validate(item, rule["items"], where, f"{key}[{index}]")
    if isinstance(value, dict):
        known, others = rule.get("properties", {}), rule["additionalProperties"]
        for name, item in value.items():
            path = f"{key}.{name}" if key else name
            if "propertyNames" in rule:
                validate(name, rule["propertyNames"], where, key)
            if name not in known and others is False:
                near = difflib.get_close_matches(name, known, 1, 0.4)
                hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(known)}"
                raise ConfigurationError(f"{where}: no key {path}; {hint}")
            if item is not None:  # TOML has no null: it is a step's own, which removes a value
                validate(item, known.get(name, others), where, path)


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """Return whether a value, without what is in it, fits a rule."""
    kind = TYPES[rule["type"]]
    return (
        isinstance(value, kind)
        and isinstance(value, bool) == (kind is bool)  # True is an int in Python
        and value in rule.get("enum", [value])
        and ("minimum" not in rule or value >= rule["minimum"])
        and ("maximum" not in rule or value <= rule["maximum"])
        and ("pattern" not in rule or bool(re.fullmatch(rule["pattern"], value)))
    )


def merge(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return `own` laid over `shared`: tables merge by key, lists append, None removes a value."""
    merged = {key: dict(old) if isinstance(old, dict) else old for key, old in shared.items()}
    for key, value in own.items():
        old = merged.pop(key, None)
        if isinstance(value, dict):
            merged[key] = merge(old or {}, value)
        elif isinstance(value, list):
            merged[key] = [*(old or []), *(item for item in value if item not in (old or []))]
        elif value is not None:
            merged[key] = value
    return merged
