"""The source of adopted flows: base classes, decorators and imports, and no other change."""

import ast
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libcst as cst

from ..errors import CommandError
from ..project.project import Project, shown_path
from .calls import comments, kept_arguments, literal, new_call
from .imports import add_imports, drop_unused_imports
from .names import bindings
from .propose import Rewrite
from .read_flows import FlowClass
from .source import Source, read_imports


@dataclass
class Edits:
    """What changes in one file."""

    source: Source
    bases: dict[str, list[int]] = field(default_factory=dict)  # positions of FlowSpec, by class
    decorators: dict[tuple[str, str], list[Rewrite]] = field(default_factory=dict)


def edits_of(flows: Sequence[FlowClass], rewrites: Sequence[Rewrite]) -> dict[Path, Edits]:
    """Return the changes of each file."""
    edits: dict[Path, Edits] = {}
    for flow in flows:
        if flow.plain_bases and not flow.derives:
            found = edits.setdefault(flow.file, Edits(flow.source))
            found.bases[flow.name] = flow.plain_bases
    for rewrite in rewrites:
        flow, step, _ = rewrite.usage
        found = edits.setdefault(flow.file, Edits(flow.source))
        found.decorators.setdefault((flow.name, step.name), []).append(rewrite)
    return edits


def rewritten(project: Project, edits: Edits) -> bytes:
    """Return a file's new content; raise CommandError if libcst would change the rest of it."""
    content = edits.source.content
    body = content.removeprefix(BOM_UTF8)
    try:
        module = cst.parse_module(body)
    except cst.ParserSyntaxError as error:
        where = f"{shown_path(edits.source.file)}:{error.raw_line}"
        raise CommandError(
            f"{where}: libcst cannot read it, so edit it by hand: {error.message}"
        ) from error
    if module.bytes != body:
        file = shown_path(edits.source.file)
        raise CommandError(f"{file}: libcst would not keep its formatting, so edit it by hand")
    names = free_names(edits.source)
    transformer = Adopter(edits, names)
    module = module.visit(transformer)
    wanted = [name for name in ("BaseFlow", "k8s") if name in transformer.used]
    if wanted:
        module = add_imports(module, import_lines(project, edits.source, wanted, names), project)
    module = drop_unused_imports(module, edits.source)
    return content[: len(content) - len(body)] + module.bytes


def free_names(source: Source) -> dict[str, str]:
    """Return the names under which a file imports BaseFlow and k8s: others if these are taken."""
    imported, _ = read_imports(source.tree)
    classes = [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    taken = {*imported, *bindings(source.tree.body)}
    taken |= {name for node in classes for name in bindings(node.body)}
    others = {"BaseFlow": "SharedBaseFlow", "k8s": "k8s_settings"}
    return {name: other if name in taken else name for name, other in others.items()}


def import_lines(
    project: Project, source: Source, wanted: Sequence[str], names: Mapping[str, str]
) -> str:
    """Return the imports of BaseFlow and k8s, from the package or, where need be, its base.py."""
    package = project.source / project.package
    inside = source.file.is_relative_to(package.resolve())
    exported: dict[str, Any] = {}
    if not inside and (package / "__init__.py").is_file():
        exported, _ = read_imports(ast.parse((package / "__init__.py").read_bytes()))
    whole = {"BaseFlow", "k8s"} <= exported.keys()
    module = project.package if whole else f"{project.package}.base"
    if all(names[name] == name for name in wanted):
        return f"from {module} import {', '.join(wanted)}\n"
    items = [name if names[name] == name else f"{name} as {names[name]}" for name in wanted]
    return "".join(f"from {module} import {item}\n" for item in items)


class Adopter(cst.CSTTransformer):
    """Changes base classes and decorators of the classes at the top of a module."""

    def __init__(self, edits: Edits, names: Mapping[str, str]) -> None:
        super().__init__()
        self.edits = edits
        self.names = names
        self.used: set[str] = set()
        self.inside: list[str] = []  # classes and functions around the current node

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self.inside.append(node.name.value)

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        self.inside.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> Any:
        self.inside.pop()
        positions = self.edits.bases.get(original_node.name.value, [])
        if self.inside or not positions:
            return updated_node
        self.used.add("BaseFlow")
        name = cst.Name(self.names["BaseFlow"])
        bases = [
            base.with_changes(value=name) if index in positions else base
            for index, base in enumerate(updated_node.bases)
        ]
        return updated_node.with_changes(bases=bases)

    def leave_FunctionDef(
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> Any:
        self.inside.pop()
        if len(self.inside) != 1:
            return updated_node
        key = self.inside[0], original_node.name.value
        for rewrite in reversed(self.edits.decorators.get(key, [])):
            updated_node = self.rewrite(updated_node, rewrite)
        return updated_node

    def rewrite(self, function: cst.FunctionDef, rewrite: Rewrite) -> cst.FunctionDef:
        """Return a step with its @kubernetes changed, or taken off. Comments stay."""
        index = rewrite.usage.decorator.index
        if rewrite.usage.decorator.stays:
            return function
        old = function.decorators[index]
        new = self.decorator(old, rewrite)
        kept = comments(new) if new else []
        written = [*comments(old.decorator), *comments(old.trailing_whitespace)]
        lost = [comment for comment in written if comment not in kept]
        lines = [cst.EmptyLine(comment=cst.Comment(comment)) for comment in lost]
        above = [*old.leading_lines, *lines]
        decorators = list(function.decorators)
        if new:
            decorators[index] = new.with_changes(leading_lines=above)
            return function.with_changes(decorators=decorators)
        del decorators[index]
        if index < len(decorators):
            below = decorators[index]
            decorators[index] = below.with_changes(leading_lines=[*above, *below.leading_lines])
            return function.with_changes(decorators=decorators)
        after = [*above, *function.lines_after_decorators]
        return function.with_changes(decorators=decorators, lines_after_decorators=after)

    def decorator(self, old: cst.Decorator, rewrite: Rewrite) -> cst.Decorator | None:
        """Return the decorator that takes the place of @kubernetes, or None for none."""
        decorator = rewrite.usage.decorator
        if not rewrite.own and not rewrite.pool and not decorator.unreadable:
            return None
        if not decorator.written_here:
            self.used.add("k8s")
            return old.with_changes(decorator=new_call(self.names["k8s"], rewrite))
        call = old.decorator
        assert isinstance(call, cst.Call)
        arguments = kept_arguments(call.args, decorator.arguments, rewrite.own)
        if decorator.unreadable:
            return old.with_changes(decorator=call.with_changes(args=arguments))
        self.used.add("k8s")
        if not arguments:
            return old.with_changes(decorator=new_call(self.names["k8s"], rewrite))
        if rewrite.pool:
            comma = call.args[0].comma
            if isinstance(comma, cst.Comma) and (len(call.args) == 1 or comments(comma)):
                comma = cst.MaybeSentinel.DEFAULT
            arguments.insert(0, cst.Arg(value=cst.SimpleString(literal(rewrite.pool)), comma=comma))
        name = cst.Name(self.names["k8s"])
        return old.with_changes(decorator=call.with_changes(func=name, args=arguments))
