"""The flows of files as they are written, and each @kubernetes of their steps."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..project import Project, shown_path
from .source import Source, Sources, dotted
from .values import Unreadable, Values, constant_expression


@dataclass
class Argument:
    """One argument of a @kubernetes."""

    text: str  # in the source
    name: str | None  # None for `**table`
    values: dict[str, Any]  # the parameters of @kubernetes that it gives
    readable: bool = True  # or else only a run can tell its value, and `values` is empty


@dataclass
class Decorator:
    """A @kubernetes of a step."""

    index: int  # among the step's decorators
    line: int
    written_here: bool  # as @kubernetes(…), not by a name or a helper that stands for it
    arguments: list[Argument]

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters that can be read."""
        found: dict[str, Any] = {}
        for argument in self.arguments:
            found |= argument.values
        return found

    @property
    def unreadable(self) -> list[str]:
        return [argument.text for argument in self.arguments if not argument.readable]


@dataclass
class Step:
    """A step, where its function is written."""

    name: str
    kubernetes: list[Decorator] = field(default_factory=list)
    batch: int = 0  # the line of @batch, if it has one


@dataclass(eq=False)
class FlowClass:
    """A class that is a flow, or a base of flows."""

    source: Source
    name: str
    line: int
    plain_bases: list[int]  # the positions of FlowSpec among its bases
    parents: list["FlowClass"]
    derives: bool  # from BaseFlow
    foreign_base: str  # a base that is in no file of the project, or empty
    steps: list[Step]

    @property
    def file(self) -> Path:
        return self.source.file


class FlowReader:
    """Finds the flows of a project's files; a class is read once."""

    def __init__(self, project: Project) -> None:
        self.sources = Sources(project)
        self.values = Values(self.sources)
        self.base_file = (project.source / project.package / "base.py").resolve()
        self.read: dict[tuple[Path, str], FlowClass | None] = {}

    def flows_of(self, file: Path) -> list[FlowClass]:
        """Return the classes of a file that are flows; raise CommandError if it is not Python."""
        source = self.sources.load(file)
        found = (self.flow_class(source, name) for name in source.classes)
        return [flow for flow in found if flow]

    def flow_class(self, source: Source, name: str) -> FlowClass | None:
        """Return a class, or None if it is not a flow."""
        key = source.file, name
        if key not in self.read:
            self.read[key] = None  # until it is known: a class may name itself
            self.read[key] = self._flow_class(source, source.classes[name])
        return self.read[key]

    def _flow_class(self, source: Source, node: ast.ClassDef) -> FlowClass | None:
        plain, parents, foreign = [], [], ""
        derives = (source.file, node.name) == (self.base_file, "BaseFlow")
        for index, base in enumerate(node.bases):
            definition = self.sources.definition(source, base)
            if definition and not definition.source:
                plain += [index] if definition.name == "FlowSpec" else []
            elif definition and definition.source and definition.name in definition.source.classes:
                parent = self.flow_class(definition.source, definition.name)
                parents += [parent] if parent else []
            elif not definition and dotted(base) != ["object"]:
                foreign = ast.unparse(base)
        steps = [
            self.step(source, item)
            for item in node.body
            if isinstance(item, ast.FunctionDef) and self.is_step(source, item)
        ]
        derives = derives or any(parent.derives for parent in parents)
        if not (plain or parents or derives or (foreign and steps)):
            return None
        known = plain or parents
        foreign = "" if known else foreign
        return FlowClass(source, node.name, node.lineno, plain, parents, derives, foreign, steps)

    def is_step(self, source: Source, function: ast.FunctionDef) -> bool:
        return any(self.is_metaflows(source, each, "step") for each in function.decorator_list)

    def is_metaflows(self, source: Source, expression: ast.expr, name: str) -> bool:
        """Return whether an expression is a name of Metaflow's, or a call of it."""
        called = expression.func if isinstance(expression, ast.Call) else expression
        definition = self.sources.definition(source, called)
        return bool(definition and not definition.source and definition.name == name)

    def step(self, source: Source, function: ast.FunctionDef) -> Step:
        step = Step(function.name)
        for index, expression in enumerate(function.decorator_list):
            if arguments := self.kubernetes_arguments(source, expression):
                here = self.is_metaflows(source, expression, "kubernetes")
                step.kubernetes.append(Decorator(index, expression.lineno, here, arguments[0]))
            elif self.stands_for_batch(source, expression):
                step.batch = expression.lineno
        return step

    def stands_for_batch(self, source: Source, expression: ast.expr, depth: int = 0) -> bool:
        """Return whether a decorator is @batch, by a name or a helper that stands for it too."""
        if self.is_metaflows(source, expression, "batch"):
            return True
        called = expression.func if isinstance(expression, ast.Call) else expression
        definition = self.sources.definition(source, called)
        if depth > 5 or not definition or not definition.source:
            return False
        constant = constant_expression(definition)
        function = definition.source.functions.get(definition.name)
        found = [constant] if constant else []
        for node in ast.walk(function) if function else ():
            found += [node.value] if isinstance(node, ast.Return) and node.value else []
        return any(self.stands_for_batch(definition.source, each, depth + 1) for each in found)

    def kubernetes_arguments(
        self,
        source: Source,
        expression: ast.expr,
        local: Mapping[str, Any] | None = None,
        depth: int = 0,
    ) -> tuple[list[Argument]] | None:
        """Return the arguments of what stands for @kubernetes(…), None for another decorator.

        A name may stand for it, or a helper: a function whose only statement returns it.
        """
        if self.is_metaflows(source, expression, "kubernetes"):
            keywords = expression.keywords if isinstance(expression, ast.Call) else []
            return ([self.argument(source, keyword, local or {}) for keyword in keywords],)
        if depth > 5:
            return None
        if isinstance(expression, ast.Call):
            try:
                helper = self.values.call_of_helper(source, expression)
            except Unreadable:  # it stays as it is, if it stands for @kubernetes at all
                return None
            if helper:
                return self.kubernetes_arguments(*helper, depth + 1)
            return None
        definition = self.sources.definition(source, expression)
        constant = definition and constant_expression(definition)
        if definition and definition.source and constant:
            return self.kubernetes_arguments(definition.source, constant, {}, depth + 1)
        return None

    def argument(self, source: Source, keyword: ast.keyword, local: Mapping[str, Any]) -> Argument:
        text = ast.unparse(keyword.value)
        text = f"{keyword.arg}={text}" if keyword.arg else f"**{text}"
        try:
            value = self.values.evaluate(source, keyword.value, local)
            values = {keyword.arg: value} if keyword.arg else dict(value)
        except (Unreadable, TypeError, ValueError):
            return Argument(text, keyword.arg, {}, readable=False)
        return Argument(text, keyword.arg, values)


def read_flows(
    project: Project, files: Sequence[Path], sources: Mapping[Path, Source] | None = None
) -> list[FlowClass]:
    """Return the flows of files, and those that they derive from in other files of the project.

    `sources` are files that are to be read otherwise than they are. Raise CommandError if no file
    has a flow, or if a file is not Python.
    """
    reader = FlowReader(project)
    reader.sources.read |= sources or {}
    flows: dict[int, FlowClass] = {}
    for file in files:
        if not file.is_relative_to(project.root):
            raise CommandError(
                f"{shown_path(file)} is outside the project {project.root}, whose git could not"
                " undo a change of it: move it there first"
            )
        for flow in reader.flows_of(file):
            flows |= {id(each): each for each in with_parents(flow)}
    if not flows:
        names = ", ".join(map(shown_path, files))
        raise CommandError(f"no flow in {names}: no class there derives from FlowSpec")
    return [flow for flow in flows.values() if flow.file != reader.base_file]


def with_parents(flow: FlowClass) -> Iterator[FlowClass]:
    for parent in flow.parents:
        yield from with_parents(parent)
    yield flow
