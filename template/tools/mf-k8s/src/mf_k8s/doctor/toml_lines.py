"""Lines of k8s.toml, for remedies."""

import json
import re

from ..pods.node_labels import Taint


def toml_key(*parts: str) -> str:
    """Return a dotted key: `node_selector.pool`, `node_selector."example.com/pool"`."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part) for part in parts
    )


def write_line(value: object, *key: str) -> str:
    """Return the advice to write a key of k8s.toml."""
    return f"write {toml_key(*key)} = {json.dumps(value)} into k8s.toml"


def toleration_line(taint: Taint) -> str:
    """Return a toleration of a taint as k8s.toml has it."""
    operator = f'"Equal", value = {json.dumps(taint.value)}' if taint.value else '"Exists"'
    return f'{{ key = "{taint.key}", operator = {operator}, effect = "{taint.effect}" }}'
