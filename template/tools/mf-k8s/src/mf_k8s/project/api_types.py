"""The fields of Argo's and Kubernetes' objects: their types, and their names in snake_case.

Argo's are in argo_types.json: of each type that a WorkflowSpec leads to, the fields of
api/jsonschema/schema.json in argo-workflows 3.7.12, 4.0.5 and 4.1.4 together. Kubernetes' are those
of its Python client. Its files are only read: to import them takes more than a second.
"""

import ast
import difflib
import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import Finding

ARGO_TYPES = Path(__file__).with_name("argo_types.json")
WORKFLOW_SPEC, POD_SPEC = "WorkflowSpec", "V1PodSpec"
SCALARS: dict[str, tuple[tuple[type, ...], str]] = {  # what they are in Python, and in words
    "str": ((str,), "text"),
    "datetime": ((str,), "text"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
}
ANYTHING = "object"  # like a port, which is a number or a name


class Field(NamedTuple):
    """A field of an object."""

    name: str  # as Argo and Kubernetes spell it
    type: str  # a scalar, `object`, list[TYPE], dict[str, TYPE], or the name of a type


@functools.cache
def fields_of(name: str) -> Mapping[str, Field]:
    """Return the fields of a type by their names in snake_case; none if the type is unknown."""
    if own := argo_types().get(name):
        return {snake_case(field): Field(field, kind) for field, kind in own.items()}
    package = importlib.util.find_spec("kubernetes")
    folders = package.submodule_search_locations if package else None
    file = Path(next(iter(folders or [""])), "client/models", f"{snake_case(name)}.py")
    if not file.is_file():
        return {}
    text = file.read_text(encoding="utf-8")
    types, names = literal(text, "openapi_types"), literal(text, "attribute_map")
    return {key.lstrip("_"): Field(names[key], kind) for key, kind in types.items()}


@functools.cache
def argo_types() -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = json.loads(ARGO_TYPES.read_text(encoding="utf-8"))
    return types


def literal(text: str, name: str) -> dict[str, str]:
    """Return a dictionary of texts that a file of Python has under a name."""
    found = re.search(rf"^ +{name} = (\{{[^}}]*\}})", text, re.MULTILINE)
    value: dict[str, str] = ast.literal_eval(found[1]) if found else {}
    return value


def snake_case(name: str) -> str:
    """Return `pod_gc` for `podGC`, as the client spells the names of its fields and files."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def item_type(kind: str, of: str) -> str:
    """Return the type of what is in a list, or in a `dict` of texts; empty for another type."""
    found = re.fullmatch(r"list\[(.*)\]" if of == "list" else r"dict[\[(]str, (.*)[\])]", kind)
    return found[1] if found else ""


def spelled(value: Any, kind: str) -> Any:
    """Return a value of a type with its fields as Argo and Kubernetes spell them.

    Names that are no fields, like those of labels, stay as they are.
    """
    if isinstance(value, list):
        return [spelled(item, item_type(kind, "list")) for item in value]
    if not isinstance(value, dict):
        return value
    if of_dict := item_type(kind, "dict"):
        return {key: spelled(item, of_dict) for key, item in value.items()}
    fields = fields_of(kind)
    known = {key: fields.get(key, Field(key, ANYTHING)) for key in value}
    return {field.name: spelled(value[key], field.type) for key, field in known.items()}


def type_findings(value: Any, kind: str, where: str, path: str) -> Iterator[Finding]:
    """Yield what in a value, at `path` of a file, its type does not allow; None is for nothing."""
    of_list, of_dict = item_type(kind, "list"), item_type(kind, "dict")
    if value is None or kind == ANYTHING:
        return
    if of_list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from type_findings(item, of_list, where, f"{path}.{index}")
    elif of_dict and isinstance(value, dict):
        for key, item in value.items():
            yield from type_findings(item, of_dict, where, f"{path}.{key}")
    elif kind in SCALARS or of_list or not isinstance(value, dict):
        classes, right = SCALARS.get(kind, ((), "a list" if of_list else "a table"))
        if not isinstance(value, classes) or isinstance(value, bool) != (kind == "bool"):
            found = json.dumps(value, default=str, ensure_ascii=False)
            what = f"{where}: {path} = {found}"
            yield Finding("field-not-valid", what, where, f"write {right}")
    else:
        yield from table_findings(value, fields_of(kind), where, path)


def table_findings(
    table: Mapping[str, Any], fields: Mapping[str, Field], where: str, path: str
) -> Iterator[Finding]:
    """Yield what is wrong in a table with these fields; anything goes where they are not known."""
    for key, value in table.items() if fields else ():
        if key in fields:
            yield from type_findings(value, fields[key].type, where, f"{path}.{key}")
        else:
            near = difflib.get_close_matches(snake_case(key), fields, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
            yield Finding("field-unknown", f"{where}: {path} has no field {key}", where, hint)
