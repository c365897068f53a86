"""Reads and validates TOML: k8s.toml by the project's own schema."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from .merge_conflicts import conflict_in
from .project import Project

Config = dict[str, Any]  # what is in a k8s.toml


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
        reason = f"cannot be read: {error}"
    except ValueError as error:  # of the encoding, of TOML or of JSON
        reason = conflict_in(text) or f"is not {language}: {error}"
    raise CommandError(Finding("file-unreadable", f"{file.name} {reason}", file.name))


def read_config(file: Path) -> Config:
    """Return what is in k8s.toml, or in the file of TOML or JSON that K8S_CONFIG names.

    As for BaseFlow, JSON's nulls do not count. Raise CommandError if the file is missing or is
    neither TOML nor JSON.
    """
    config = read_toml(file, or_json=True)
    return {key: value for key, value in config.items() if value is not None}


def read_schema(project: Project) -> dict[str, Any]:
    """Return the schema of a project's k8s.toml."""
    file = project.settings_file.with_name("k8s.schema.json")
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def schema_findings(value: Any, schema: dict[str, Any], where: str) -> Iterator[Finding]:
    """Yield each thing in `value` that does not fit the schema, in the order of the value.

    The schema's `description` of what is wrong is the remedy. Where a value does not fit two rules,
    it is that of the later one: `properties` follow `patternProperties`, and say more.
    """
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match

    errors = Draft7Validator(schema).iter_errors(value)  # in any order
    findings: dict[tuple[str, str], Finding] = {}  # by a place, and what is wrong there
    for whole in sorted(errors, key=lambda error: position(value, error.absolute_path)):
        error: Any = best_match([whole])  # of the alternatives of an anyOf, the nearest
        path = ".".join(map(str, error.absolute_path))
        at = f"{where}: {path}" if path else where
        if error.validator == "additionalProperties":
            unknown = unknown_keys(error.instance, error.schema, at)
            findings |= {(at, finding.what): finding for finding in unknown}
            continue
        found = json.dumps(error.instance, default=str, ensure_ascii=False)
        remedy = error.schema.get("description", error.message)
        findings[at, found] = Finding("value-not-valid", f"{at} = {found}", at, remedy)
    yield from findings.values()


def position(value: Any, path: Iterable[str | int]) -> list[int]:
    """Return which key or item of `value` a path leads through, on each level."""
    numbers = []
    for part in path:
        numbers.append([*value].index(part) if isinstance(value, dict) else int(part))
        value = value[part]
    return numbers


def unknown_keys(table: Mapping[str, Any], rule: dict[str, Any], where: str) -> Iterator[Finding]:
    """Yield the keys of a table that a schema of objects does not have."""
    known, patterns = rule.get("properties", {}), rule.get("patternProperties", {})
    titles = [others["title"] for others in patterns.values() if "title" in others]
    for name in table:
        if name not in known and not any(re.search(pattern, name) for pattern in patterns):
            near = difflib.get_close_matches(name, known, 1, 0.6 if patterns else 0.4)
            keys = ", ".join([*known, *titles])
            hint = f"did you mean {near[0]}?" if near else f"the keys are {keys}"
            yield Finding("key-unknown", f"no key {name}; {hint}", where)


def camel_case(name: str) -> str:
    """Return `runAsUser` for `run_as_user`: Kubernetes' spelling of a key of @kubernetes."""
    return re.sub("_(.)", lambda match: match[1].upper(), name)
