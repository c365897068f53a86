"""The flows of files as they are written, and each @kubernetes of their steps."""

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding, raise_if
from ..project.project import Project, shown_path
from .bound_names import FUNCTIONS, bindings, called, dotted, statements
from .python_file import METAFLOW, Source
from .read_decorators import Decorator, DecoratorReader
from .resolve_names import Defined


@dataclass
class Step:
    """A step, where its function is written."""

    name: str
    kubernetes: list[Decorator]
    batch: int  # the line of @batch, or 0


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
        found = (self.flow_class(source, node) for node in source.classes.values())
        return [flow for flow in found if flow]

    def flow_class(self, source: Source, node: ast.ClassDef) -> FlowClass | None:
        """Return a class, or None if it is not a flow."""
        key = source.file, node.name
        if key not in self.read:
            self.read[key] = None  # until it is known: a class may name itself
            self.read[key] = self.read_class(source, node)
        return self.read[key]

    def read_class(self, source: Source, node: ast.ClassDef) -> FlowClass | None:
        plain: list[ast.expr] = []
        parents, foreign = [], ""
        for base in node.bases:
            meaning = self.sources.meaning(source, base)
            if meaning == "FlowSpec" or is_imported(source, base, "FlowSpec"):
                plain.append(base)
            elif isinstance(meaning, Defined) and isinstance(meaning.node, ast.ClassDef):
                parent = self.flow_class(meaning.source, meaning.node)
                parents += [parent] if parent else []
            elif not meaning and dotted(base) != ["object"]:
                foreign = ast.unparse(base)
        derives = (source.file, node.name) == (self.base_file, "BaseFlow")
        derives = derives or any(parent.derives for parent in parents)
        steps, unproven = self.steps(source, node)
        known = bool(plain or parents)
        if not (known or derives or (foreign and (steps or unproven))):
            return None
        foreign = "" if known else foreign
        return FlowClass(
            source, node.name, node.lineno, plain, parents, derives, foreign, steps, unproven
        )

    def steps(self, source: Source, node: ast.ClassDef) -> tuple[list[Step], list[tuple[int, str]]]:
        """Return the steps of a class, and the lines and names of those that are not proven."""
        functions = [each for each in statements(node) if isinstance(each, ast.FunctionDef)]
        functions = [each for each in functions if self.is_step(source, each)]
        scope = self.values.scope(source, node) if functions else {}
        times = Counter(bindings(node.body))
        steps, unproven = [], []
        for function in functions:
            once = times[function.name] == 1 and function.name not in source.stored
            if once and function in node.body:
                steps.append(self.step(source, function, scope))
            else:
                unproven.append((function.lineno, function.name))
        return steps, unproven

    def is_step(self, source: Source, function: ast.FunctionDef) -> bool:
        return any(
            self.is_metaflows(source, each, "step") or is_imported(source, each, "step")
            for each in function.decorator_list
        )

    def step(self, source: Source, function: ast.FunctionDef, scope: Mapping[str, Any]) -> Step:
        """Return a step; `scope` are the names of its class."""
        step = Step(function.name, [], batch=0)
        for expression in function.decorator_list:
            if decorator := self.kubernetes(source, function.name, expression, scope):
                step.kubernetes.append(decorator)
            elif self.stands_for_batch(source, expression):
                step.batch = expression.lineno
        return step

    def hidden_flows(self, source: Source) -> Iterator[str]:
        """Yield where a function or a condition makes a flow, which stays as it is."""
        for node in source.nodes_of(ast.ClassDef):
            if source.classes.get(node.name) is not node:
                flow = self.read_class(source, node)
                if flow and not flow.derives:
                    yield (
                        f"{source.place(node.lineno)}: class {node.name} is made"
                        f" {where_made(source, node)}: it stays, and its pods are not compared; let"
                        " it derive from BaseFlow yourself"
                    )


def is_imported(source: Source, expression: ast.expr, name: str) -> bool:
    """Return whether a name is imported from Metaflow, though the file may bind it again."""
    path = dotted(called(expression))
    origin = source.imported.get(path[0]) if len(path) == 1 else None
    return bool(origin and origin.module.split(".")[0] == METAFLOW and origin.name == name)


def where_made(source: Source, node: ast.ClassDef) -> str:
    """Return in what a class is made that is not the only one of its name at the top."""
    around = [*source.ancestors(node)]
    for each in around:
        if isinstance(each, FUNCTIONS | ast.ClassDef):
            return f"in {each.name}"
    return "below a condition" if len(around) > 1 else "twice"


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
    raise_if(outside(project, files))
    flows = flows_and_parents(reader, files)
    if not flows:
        names = ", ".join(map(shown_path, files))
        hidden = [note for of_file in hidden_flows(project, files).values() for note in of_file]
        raise_if(Finding("flow-hidden", note) for note in hidden)
        what = f"no flow in {names}: no class there derives from FlowSpec"
        raise CommandError(Finding("no-flow-to-adopt", what, names))
    return [flow for flow in flows if flow.file != reader.base_file]


def outside(project: Project, files: Iterable[Path]) -> Iterator[Finding]:
    """Yield the files that are not in the project, whose git could not undo a change of them."""
    for file in files:
        if not file.is_relative_to(project.root):
            where, root = shown_path(file), project.root
            what = f"{where} is outside the project {root}, whose git could not undo a change of it"
            yield Finding("flow-outside-project", what, where, "move it there first")


def flows_and_parents(reader: FlowReader, files: Sequence[Path]) -> list[FlowClass]:
    """Return the flows of files, each below those that it derives from."""
    found = (each for file in files for flow in reader.flows_of(file) for each in lineage(flow))
    return [*dict.fromkeys(found)]


def lineage(flow: FlowClass) -> Iterator[FlowClass]:
    """Yield the flows that a flow derives from, and itself."""
    for parent in flow.parents:
        yield from lineage(parent)
    yield flow


def steps_on_batch(flow: FlowClass) -> list[tuple[Step, str]]:
    """Return the steps of a flow that have @batch, and where they have it."""
    steps = [step for step in flow.steps if step.batch]
    return [(step, f"{flow.source.place(step.batch)} (step {step.name})") for step in steps]
