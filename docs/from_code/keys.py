"""The keys of a project's files, from the schemas and lists by which `k8s` validates them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mf_k8s.pods.expected_pods import DEFAULTS
from mf_k8s.pods.metaflow_defaults import PYTHON_IMAGE
from mf_k8s.project import kind_toml
from mf_k8s.project.tool_table import KEYS

from .markdown import code, table

TEMPLATE = Path(__file__).parents[2] / "template"
TOOL = TEMPLATE / "tools/mf-k8s/src/mf_k8s"
TYPES = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "table",
    "string": "text",
}
Rule = Mapping[str, Any]


def config() -> str:
    """Return the keys of k8s.toml, with what Metaflow takes where nothing gives a value."""
    schema = read(TEMPLATE / "src/{{ package_name }}/k8s.schema.json")
    rows = [
        [code(key), kind(rule), rule["description"], default(key, rule)]
        for key, rule in with_nested(schema, ("workflow",))
        if rule.get("enum") != []  # which is refused
    ]
    return table(["key", "type", "what it is", "Metaflow's default"], rows)


def default(key: str, rule: Rule) -> str:
    """Return what Metaflow takes where nothing gives a value; the image is of your own Python."""
    value = "python:3.X" if DEFAULTS.get(key) == PYTHON_IMAGE else DEFAULTS.get(key)
    spelt = [choice for choice in rule.get("enum", ()) if choice.lower() == value]
    return "" if value is None else code(json.dumps(spelt[0] if spelt else value))


def environments() -> str:
    """Return the keys of environments/NAME.json."""
    schema = read(TOOL / "environment.schema.json")
    others = {
        rule["title"]: rule for rule in schema["patternProperties"].values() if "title" in rule
    }
    named = schema["properties"] | others
    rows = [[code(key), kind(rule), rule["description"]] for key, rule in named.items()]
    return table(["key", "type", "what it is"], rows)


def tool_table() -> str:
    """Return the keys of [tool.mf-k8s]."""
    rows = [
        [code(key), f"{text[0].upper()}{text[1:]}.", code(default) if default else ""]
        for key, (text, default) in KEYS.items()
    ]
    return table(["key", "what it is", "default"], rows)


def kind_tests() -> str:
    """Return the keys of tests/kind.toml: of a flow's table, and the tables of no flow."""
    schema: Rule = kind_toml.SCHEMA
    of_flow = {f"[FLOW] {key}": rule for key, rule in schema["properties"].items()}
    others = {f"[{name}]": rule for name, rule in kind_toml.NOT_OF_FLOWS.items()}
    rows = [
        [
            code(key),
            kind(rule),
            f"{rule['title'][0].upper()}{rule['title'][1:]}.",
            rule["description"],
        ]
        for key, rule in (of_flow | others).items()
    ]
    return table(["key", "type", "what it is", "value"], rows)


def with_nested(schema: Rule, tables: tuple[str, ...]) -> Iterator[tuple[str, Rule]]:
    """Yield the keys of a schema, and behind those of `tables` the keys in them."""
    for key, rule in schema["properties"].items():
        yield key, rule
        if key in tables:
            yield from ((f"{key}.{name}", each) for name, each in rule["properties"].items())


def kind(rule: Rule) -> str:
    if choices := [choice for choice in rule.get("enum", ()) if choice]:
        return ", ".join(code(json.dumps(choice)) for choice in choices)
    return TYPES[rule["type"]]


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
