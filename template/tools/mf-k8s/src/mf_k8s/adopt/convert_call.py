"""Changes each call of Metaflow's batch in one file into a call of its kubernetes."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import CommandError, Finding
from ..pods.metaflow_defaults import names_registry
from .batch_parameters import CONVERTED, DROPPED, SAME, SIZES, converted, larger
from .bound_names import dotted, last_part
from .evaluate import UNKNOWN, Unreadable
from .python_file import METAFLOW, Source
from .read_decorators import Argument
from .read_flows import FlowReader
from .text_edits import TextEdits, literal

BATCH, KUBERNETES = "batch", "kubernetes"
# Settings of Metaflow that give @batch an image, and one without a registry a registry.
IMAGE = ("BATCH_CONTAINER_IMAGE", "DEFAULT_CONTAINER_IMAGE")
REGISTRY = ("BATCH_CONTAINER_REGISTRY", "DEFAULT_CONTAINER_REGISTRY")
UNREADABLE = object()
TABLE = "**"  # the name of an unpacked table that cannot be read


class Use(NamedTuple):
    """A place that reads Metaflow's batch."""

    node: ast.expr  # `batch` or `metaflow.batch`
    call: ast.Call | None  # of it
    function: ast.FunctionDef | None  # that it decorates
    local: Mapping[str, Any]  # what names of the class and of functions stand for there


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

    def convert_file(self) -> None:
        """Change each use of batch. It is another's where a function binds that name."""
        for node in self.source.nodes_of(ast.Name, ast.Attribute):
            if self.reader.is_metaflows(self.source, node, BATCH):
                bound, owner = self.source.surroundings(node)
                scope = self.reader.values.scope(self.source, owner) if owner else {}
                if dotted(node)[0] not in bound:
                    self.convert(self.use(node, scope | dict.fromkeys(bound, UNKNOWN)))
        self.convert_imports()

    def use(self, node: ast.expr, local: Mapping[str, Any]) -> Use:
        parent = self.source.parents[node]
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        function = self.source.parents[call or node]
        if isinstance(function, ast.FunctionDef) and (call or node) in function.decorator_list:
            return Use(node, call, function, local)
        return Use(node, call, None, local)

    def convert(self, use: Use) -> None:
        """Change one use of batch, with its arguments and the step's @resources."""
        self.rename(use.node)
        keywords = use.call.keywords if use.call else []
        read = [self.reader.argument(self.source, each, use.local) for each in keywords]
        values = [self.converted(use, *pair) for pair in zip(keywords, read, strict=True)]
        parameters = {name: value for each in values for name, value in each.items()}
        sizes = self.fold_resources(use, parameters)
        if self.image and not parameters.keys() & {"image", TABLE}:
            sizes["image"] = literal(self.image)
            self.uses_default_image = True
        texts = [self.texts(*each, sizes) for each in zip(keywords, read, values, strict=True)]
        added = [f"{name}={text}" for name, text in sizes.items() if name not in parameters]
        self.write(use, texts, added)

    def rename(self, node: ast.expr) -> None:
        """Name Metaflow's kubernetes; raise CommandError for a name that another file imports."""
        if isinstance(node, ast.Attribute):
            end = self.edits.span(node)[1]
            self.edits.change(end - len(node.attr), end, KUBERNETES)
            return
        name = last_part(node)
        imported = self.source.imported.get(name)
        if imported and imported.module.split(".")[0] != METAFLOW:
            place = self.source.place(node.lineno)
            module = "." * imported.level + imported.module
            what = f"{name} is Metaflow's batch, imported from {module}"
            remedy = "import it from metaflow in this file"
            raise CommandError(Finding("batch-imported-elsewhere", what, place, remedy))
        if name == BATCH:  # or else convert_imports keeps the name
            self.edits.replace(node, self.name)

    def converted(self, use: Use, keyword: ast.keyword, argument: Argument) -> dict[str, Any]:
        """Return the parameters of @kubernetes that take an argument's place, perhaps none.

        Their values may be UNREADABLE. Note what is dropped.
        """
        found: dict[str, Any] = {}
        unreadable = {keyword.arg or TABLE: UNREADABLE}
        for name, value in (argument.values if argument.readable else unreadable).items():
            text = self.edits.source(keyword.value) if keyword.arg else literal(value)
            place = self.source.place(keyword.value.lineno)
            if name in DROPPED:
                if value or (value == 0 and name in ("max_swap", "swappiness")):
                    step = f"step {use.function.name}: " if use.function else ""
                    self.notes.append(f"{place}: {step}{name}={text} is dropped: {DROPPED[name]}")
            elif name in CONVERTED:
                if value is UNREADABLE:
                    what = (
                        f"only a run knows {name}={text}, and @kubernetes has another parameter"
                        " for it"
                    )
                    raise CommandError(Finding("value-unknown", what, place, "write its value"))
                found |= converted(name, value)
            elif name == "image" and isinstance(value, str):
                found[name] = self.in_registry(value)
            elif value is not None or name not in SAME:  # None is the default
                found[name] = value
        return found

    def in_registry(self, image: str) -> str:
        """Return an image with the registry of Metaflow's configuration, if it names none."""
        if not image or not self.registry or names_registry(image):
            return image
        return f"{self.registry}/{image}"

    def fold_resources(self, use: Use, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Take a step's @resources off it; return the source of what is larger there.

        It stays where a value cannot be read.
        """
        found = [
            each
            for each in (use.function.decorator_list if use.function else ())
            if isinstance(each, ast.Call)
            and self.reader.is_metaflows(self.source, each, "resources")
        ]
        if len(found) != 1 or TABLE in parameters:
            return {}
        if any(parameters.get(key) is UNREADABLE for key in SIZES):
            return {}
        try:
            own = self.reader.values.keywords(self.source, found[0], use.local)
        except Unreadable:
            return {}
        own = {key: value for key, value in own.items() if value is not None}
        try:
            sizes = larger(parameters, own)
        except (TypeError, ValueError):
            place = self.source.place(found[0].lineno)
            what = "a size of @resources, or of @batch beside it, is no number"
            raise CommandError(Finding("size-not-a-number", what, place, "correct it")) from None
        self.edits.remove_decorator(found[0])
        texts = {each.arg: self.edits.source(each.value) for each in found[0].keywords}
        return {
            key: texts[key] if key in own and key in texts else literal(value)
            for key, value in sizes.items()
        }

    def texts(
        self,
        keyword: ast.keyword,
        argument: Argument,
        values: Mapping[str, Any],
        sizes: Mapping[str, str],
    ) -> list[str]:
        """Return the source of what takes an argument's place: itself, if that is the same."""
        same = values == argument.values if argument.readable else bool(values)
        if same and not values.keys() & sizes.keys():
            return [self.edits.source(keyword)]
        return [f"{key}={sizes.get(key) or literal(value)}" for key, value in values.items()]

    def write(self, use: Use, texts: Sequence[list[str]], added: Sequence[str]) -> None:
        """Write a call's arguments, and those that are added to it."""
        start = self.edits.span(use.node)[1]
        stays = [text for text in texts if text]
        if use.call and stays:
            stays[-1] += added
            self.edits.write_arguments(use.call, texts)
        elif use.call or added:
            end = self.edits.span(use.call)[1] if use.call else start
            self.edits.change(start, end, f"({', '.join(added)})")

    def convert_imports(self) -> None:
        """Import kubernetes where batch was imported from Metaflow."""
        for node in self.source.nodes_of(ast.ImportFrom):
            found = [alias for alias in node.names if alias.name == BATCH]
            if not found or node.level or (node.module or "").split(".")[0] != METAFLOW:
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
