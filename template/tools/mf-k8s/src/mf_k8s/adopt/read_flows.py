"""The flows of files as they are written, and each @kubernetes of their steps."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..project.project import Project, shown_path
from .names import METAFLOW, bindings, statements
from .read_decorators import Decorator, DecoratorReader
from .source import Source, dotted


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
    plain_bases: list[ast.expr]  # FlowSpec among its bases
    parents: list["FlowClass"]
    derives: bool  # from BaseFlow
    foreign_base: str  # a base that is in no file of the project, or empty
    steps: list[Step]
    unproven: list[tuple[int, str]]  # the lines and names of steps that depend on a condition

    @property
    def file(self) -> Path:
        return self.source.file


class FlowReader(DecoratorReader):
    """Finds the flows of a project's files; a class is read once."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
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
        plain: list[ast.expr] = []
        parents, foreign = [], ""
        names = Counter(bindings(node.body))
        derives = (source.file, node.name) == (self.base_file, "BaseFlow")
        for base in node.bases:
            definition = self.sources.definition(source, base)
            if is_imported(source, base, "FlowSpec"):
                plain.append(base)
            elif definition and not definition.source:
                plain += [base] if definition.name == "FlowSpec" else []
            elif definition and definition.source and definition.name in definition.source.classes:
                parent = self.flow_class(definition.source, definition.name)
                parents += [parent] if parent else []
            elif not definition and dotted(base) != ["object"]:
                foreign = ast.unparse(base)
        functions = [item for item in statements(node) if isinstance(item, ast.FunctionDef)]
        functions = [item for item in functions if self.is_step(source, item)]
        scope = self.values.scope(source, node) if functions else {}
        steps, unproven = [], []
        for item in functions:
            once = names[item.name] == 1 and item.name not in source.use.stored
            if once and item in node.body:
                steps.append(self.step(source, item, scope))
            else:
                unproven.append((item.lineno, item.name))
        derives = derives or any(parent.derives for parent in parents)
        if not (plain or parents or derives or (foreign and (steps or unproven))):
            return None
        known = plain or parents
        foreign = "" if known else foreign
        return FlowClass(
            source, node.name, node.lineno, plain, parents, derives, foreign, steps, unproven
        )

    def hidden_flows(self, source: Source) -> Iterator[str]:
        """Yield where a function or a condition makes a flow, which stays as it is."""
        for node, place in classes_with_place(source.tree, ""):
            if source.classes.get(node.name) is not node:
                flow = self._flow_class(source, node)
                if flow and not flow.derives:
                    yield (
                        f"{source.place(node.lineno)}: class {node.name} is made"
                        f" {place or 'twice'}:"
                        " it stays, and its pods are not compared; let it derive from BaseFlow"
                        " yourself"
                    )

    def is_step(self, source: Source, function: ast.FunctionDef) -> bool:
        return any(
            self.is_metaflows(source, each, "step") or is_imported(source, each, "step")
            for each in function.decorator_list
        )

    def step(self, source: Source, function: ast.FunctionDef, scope: Mapping[str, Any]) -> Step:
        """Return a step; `scope` are the names of its class."""
        step = Step(function.name)
        for expression in function.decorator_list:
            arguments = self.kubernetes_arguments(source, expression, scope)
            if arguments is not None:
                whole = [argument.text for argument in arguments] == [ast.unparse(expression)]
                here = not whole and self.is_metaflows(source, expression, "kubernetes")
                step.kubernetes.append(Decorator(expression, here, arguments))
            elif self.stands_for_batch(source, expression):
                step.batch = expression.lineno
        return step


def is_imported(source: Source, expression: ast.expr, name: str) -> bool:
    """Return whether a name is imported from Metaflow, though the file may bind it again."""
    path = dotted(expression.func if isinstance(expression, ast.Call) else expression)
    origin = source.imported.get(path[0]) if len(path) == 1 else None
    return bool(origin and origin.module.split(".")[0] == METAFLOW and origin.name == name)


def classes_with_place(node: ast.AST, place: str) -> Iterator[tuple[ast.ClassDef, str]]:
    """Yield each class below a node, and what it stands in if that is not the top of a module."""
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.ClassDef):
            yield child, place
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"in {child.name}"
        elif isinstance(child, ast.stmt) and not place:
            inner = "below a condition"
        yield from classes_with_place(child, inner)


def hidden_flows(project: Project, files: Sequence[Path]) -> dict[Path, list[str]]:
    """Return what is to be said of the flows that a function or a condition makes, by file."""
    reader = FlowReader(project)
    notes = {file: [*reader.hidden_flows(reader.sources.load(file))] for file in files}
    return {file: of_file for file, of_file in notes.items() if of_file}


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
        hidden = [note for of_file in hidden_flows(project, files).values() for note in of_file]
        raise CommandError(
            "; ".join(hidden) or f"no flow in {names}: no class there derives from FlowSpec"
        )
    return [flow for flow in flows.values() if flow.file != reader.base_file]


def with_parents(flow: FlowClass) -> Iterator[FlowClass]:
    for parent in flow.parents:
        yield from with_parents(parent)
    yield flow
