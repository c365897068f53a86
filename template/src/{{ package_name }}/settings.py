"""k8s.toml: how it is read, validated and merged.

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

PACKAGE = Path(__file__).resolve().parent
CONFIG = os.path.normpath(PACKAGE / "../../k8s.toml")


class ConfigurationError(MetaflowException):
    """Says in one line where the configuration is wrong and what would be right."""

    headline = "Kubernetes configuration"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # a key may hold a line break


def parse(text: str) -> dict[str, Any]:
    """Give the configuration in the text of a k8s.toml, or raise ConfigurationError."""
    import tomllib  # not in Python 3.9; a pod never gets here, Metaflow ships it the result

    chosen = re.search(r"--config[ =]k8s (\S+)", " ".join(sys.argv))
    where = chosen[1] if chosen else "k8s.toml"
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: not TOML: {error}") from None
    validate(config, schema("#"), where)
    return config


@functools.cache
def whole_schema() -> dict[str, Any]:
    return json.loads((PACKAGE / "k8s.schema.json").read_text(encoding="utf-8"))


def schema(pointer: str) -> dict[str, Any]:
    """Give the part of k8s.schema.json at a JSON pointer."""
    return functools.reduce(lambda node, name: node[name], pointer.split("/")[1:], whole_schema())


def validate(value: Any, rule: dict[str, Any], where: str, key: str = "") -> None:
    """Raise ConfigurationError unless `value` fits `rule`, in the keywords of k8s.schema.json.

    A few lines of our own because a pod has no JSON Schema library.
    """
    rule = schema(rule["$ref"]) if "$ref" in rule else rule
    kinds = {"array": list, "boolean": bool, "integer": int, "number": (int, float)}
    kind: Any = {**kinds, "object": dict, "string": str}[rule["type"]]
    if (
        not isinstance(value, kind)
        or isinstance(value, bool) != (kind is bool)
        or value not in rule.get("enum", [value])
        or ("minimum" in rule and not value >= rule["minimum"])
        or ("maximum" in rule and not value <= rule["maximum"])
        or ("pattern" in rule and not re.fullmatch(rule["pattern"], value))
    ):
        found = json.dumps(value, default=str, ensure_ascii=False)
        raise ConfigurationError(f"{where}: {key} = {found}: {rule['description']}")
    for index, item in enumerate(value if kind is list else ()):
        validate(item, rule["items"], where, f"{key}[{index}]")
    for name, item in value.items() if kind is dict else ():
        path = f"{key}.{name}" if key else name
        if "propertyNames" in rule:
            validate(name, rule["propertyNames"], where, key)
        known, other = rule.get("properties", {}), rule["additionalProperties"]
        if name not in known and other is False:
            near = difflib.get_close_matches(name, known, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}"
            raise ConfigurationError(f"{where}: no key {path}; {hint}")
        if item is not None:  # TOML has no null: only a step's own None, which takes a value away
            validate(item, known.get(name, other), where, path)


def merge(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Lay `own` on `shared`: tables merge by key, lists append, None takes a value away."""
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
