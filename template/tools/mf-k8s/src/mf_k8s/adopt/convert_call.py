"""Changes each call of Metaflow's batch in one file into a call of its kubernetes."""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import CommandError
from ..pods.metaflow_defaults import names_registry
from .batch_parameters import CONVERTED, DROPPED, SAME, SIZES, converted, larger
from .calls import literal
from .find_uses import Use
from .names import METAFLOW
from .read_flows import FlowReader
from .source import Source
from .text_edits import TextEdits
from .values import UNKNOWN, Unreadable

BATCH, KUBERNETES = "batch", "kubernetes"
# Settings of Metaflow that give @batch an image, and one without a registry a registry.
IMAGE = ("BATCH_CONTAINER_IMAGE", "DEFAULT_CONTAINER_IMAGE")
REGISTRY = ("BATCH_CONTAINER_REGISTRY", "DEFAULT_CONTAINER_REGISTRY")
UNREADABLE = object()
TABLE = "**"  # the name of an unpacked table that stays as it is


class Given(NamedTuple):
    """A value that a call gives."""

    value: Any  # or UNREADABLE
    text: str  # its source


Arguments = dict[int, dict[str, Given]]  # what becomes of each argument of a call


class CallConverter:
    """Changes one file."""

    def __init__(self, reader: FlowReader, source: Source, settings: Mapping[str, str]) -> None:
        self.reader = reader
        self.source = source
        self.edits = TextEdits(source.content)
        self.notes: list[str] = []  # on what is dropped
        self.uses_default_image = False
        self.registry = settings.get(f"METAFLOW_{REGISTRY[0]}", "").rstrip("/")
        self.image = self.in_registry(settings.get(f"METAFLOW_{IMAGE[0]}", ""))
        found = source.imported.get(KUBERNETES)
        self.is_imported = bool(found and found.module == METAFLOW and found.name == KUBERNETES)
        taken = found and not self.is_imported
        self.name = "metaflow_kubernetes" if taken else KUBERNETES

    def local(self, use: Use) -> dict[str, Any]:
        """Return what names stand for where a use is."""
        scope = self.reader.values.scope(self.source, use.owner) if use.owner else {}
        return scope | dict.fromkeys(use.hidden, UNKNOWN)

    def convert(self, use: Use) -> None:
        """Change one use of batch, with its arguments and the step's @resources."""
        node = use.node
        if isinstance(node, ast.Attribute):
            end = self.edits.span(node)[1]
            self.edits.change(end - len(node.attr), end, KUBERNETES)
        else:
            self.rename(node)
        keywords = use.call.keywords if use.call else []
        arguments = {index: self.converted(use, each) for index, each in enumerate(keywords)}
        added = self.fold_resources(use, arguments)
        given = {name for parts in arguments.values() for name in parts}
        if self.image and not given & {"image", TABLE}:
            added["image"] = literal(self.image)
            self.uses_default_image = True
        self.write(use, arguments, added)

    def rename(self, node: ast.Name) -> None:
        """Name Metaflow's kubernetes; raise CommandError for a name that another file imports."""
        imported = self.source.imported.get(node.id)
        if imported and imported.module.split(".")[0] != METAFLOW:
            raise CommandError(
                f"{self.source.place(node.lineno)}: {node.id} is Metaflow's batch, imported from"
                f" {'.' * imported.level}{imported.module}: import it from metaflow in this file"
            )
        if node.id == BATCH:  # or else convert_imports keeps the name
            self.edits.replace(node, self.name)

    def converted(self, use: Use, argument: ast.keyword) -> dict[str, Given]:
        """Return what takes an argument's place; note what is dropped."""
        text = self.edits.source(argument.value)
        name = argument.arg
        try:
            value = self.reader.values.evaluate(self.source, argument.value, self.local(use))
        except Unreadable:
            if name in CONVERTED:
                raise CommandError(
                    f"{self.source.place(argument.value.lineno)}: only a run knows {name}={text},"
                    " and @kubernetes has another parameter for it: write its value"
                ) from None
            value = UNREADABLE
        if name:
            return self.converted_value(use, argument, name, Given(value, text))
        if not isinstance(value, dict):
            return {TABLE: Given(UNREADABLE, text)}
        new: dict[str, Given] = {}
        for key, item in value.items():
            new |= self.converted_value(use, argument, key, Given(item, literal(item)))
        unchanged = {key: each.value for key, each in new.items()} == value
        return {TABLE: Given(value, text)} if unchanged else new

    def converted_value(
        self, use: Use, argument: ast.keyword, name: str, given: Given
    ) -> dict[str, Given]:
        """Return what takes the place of one parameter; note what is dropped."""
        value, text = given
        if name in DROPPED:
            if value or (value == 0 and name in ("max_swap", "swappiness")):
                step = f"step {use.function.name}: " if use.function else ""
                place = self.source.place(argument.value.lineno)
                self.notes.append(f"{place}: {step}{name}={text} is dropped: {DROPPED[name]}")
            return {}
        if name in CONVERTED:
            return {key: Given(new, literal(new)) for key, new in converted(name, value).items()}
        if value is None and name in SAME:  # the default
            return {}
        if name == "image" and isinstance(value, str) and value != self.in_registry(value):
            return {name: Given(value, literal(self.in_registry(value)))}
        return {name: given}

    def in_registry(self, image: str) -> str:
        """Return an image with the registry of Metaflow's configuration, if it names none."""
        if not image or not self.registry or names_registry(image):
            return image
        return f"{self.registry}/{image}"

    def fold_resources(self, use: Use, arguments: Arguments) -> dict[str, str]:
        """Take a step's @resources off it; return the source of what the call lacks of it.

        It stays where a value cannot be read.
        """
        found = [
            each
            for each in (use.function.decorator_list if use.function else ())
            if isinstance(each, ast.Call)
            and self.reader.is_metaflows(self.source, each.func, "resources")
        ]
        if len(found) != 1:
            return {}
        try:
            own = self.reader.values.keywords(self.source, found[0], self.local(use))
        except Unreadable:
            return {}
        tables = {index: parts.pop(TABLE) for index, parts in arguments.items() if TABLE in parts}
        for index, table in tables.items():
            if table.value is UNREADABLE:
                arguments |= {key: {TABLE: each} for key, each in tables.items()}
                return {}
            arguments[index] = {key: Given(v, literal(v)) for key, v in table.value.items()}
        values = {key: each.value for parts in arguments.values() for key, each in parts.items()}
        if any(values.get(key) is UNREADABLE for key in SIZES):
            return {}
        own = {key: value for key, value in own.items() if value is not None}
        texts = {each.arg: self.edits.source(each.value) for each in found[0].keywords if each.arg}
        try:
            larger_ones = larger(values, own)
        except (TypeError, ValueError):
            place = self.source.place(found[0].lineno)
            raise CommandError(
                f"{place}: a size of @resources, or of @batch beside it, is no number: correct it"
            ) from None
        added = {}
        for key, value in larger_ones.items():
            text = texts[key] if key in own and key in texts else literal(value)
            holder = next((parts for parts in arguments.values() if key in parts), None)
            if holder:
                holder[key] = Given(value, text)
            else:
                added[key] = text
        self.edits.remove_decorator(found[0])
        return added

    def write(self, use: Use, arguments: Arguments, added: Mapping[str, str]) -> None:
        """Write what becomes of a call's arguments, and those that are `added` to it."""
        more = [f"{key}={text}" for key, text in added.items()]
        if not use.call:
            if more:
                self.edits.insert(self.edits.span(use.node)[1], f"({', '.join(more)})")
            return
        texts = [self.texts(each, arguments[i]) for i, each in enumerate(use.call.keywords)]
        stays = [text for text in texts if text]
        if stays:
            stays[-1] += more
            self.edits.write_arguments(use.call, texts)
        else:
            start, end = self.edits.span(use.node)[1], self.edits.span(use.call)[1]
            self.edits.change(start, end, f"({', '.join(more)})")

    def texts(self, argument: ast.keyword, parts: Mapping[str, Given]) -> list[str]:
        """Return the source of what takes an argument's place."""
        value = self.edits.source(argument.value)
        if [(key, part.text) for key, part in parts.items()] == [(argument.arg or TABLE, value)]:
            return [self.edits.source(argument)]
        return [
            TABLE + part.text if key == TABLE else f"{key}={part.text}"
            for key, part in parts.items()
        ]

    def convert_imports(self) -> None:
        """Import kubernetes where batch was imported from Metaflow."""
        for node in ast.walk(self.source.tree):
            if not (isinstance(node, ast.ImportFrom) and not node.level and node.module):
                continue
            found = [alias for alias in node.names if alias.name == BATCH]
            if node.module.split(".")[0] != METAFLOW or not found:
                continue
            if not found[0].asname and self.is_imported and len(node.names) > 1:
                self.edits.remove_items(node.names, found)
                continue
            name = found[0].asname or (self.name if self.name != KUBERNETES else None)
            new = f"{KUBERNETES} as {name}" if name else KUBERNETES
            old = [self.edits.source(alias) for alias in node.names]
            names = [new if alias is found[0] else self.edits.source(alias) for alias in node.names]
            if old == sorted(old, key=import_order):
                names.sort(key=import_order)
            for alias, text in zip(node.names, names, strict=True):
                if text != self.edits.source(alias):
                    self.edits.replace(alias, text)


def import_order(name: str) -> tuple[bool, str]:
    """Return by what imported names are sorted: classes before functions."""
    return not name[0].isupper(), name
