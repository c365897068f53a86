"""The source of adopted flows: base classes, decorators and imports, and no other change."""

import ast
from collections.abc import Sequence
from pathlib import Path

from ..project.project import Project
from .bound_names import bindings
from .imports import with_new_imports
from .propose_config import Leaves, Rewrite, leaves_of, normal_values, settings_of
from .python_file import Source
from .read_decorators import Argument
from .read_flows import FlowClass
from .text_edits import TextEdits, literal

WIDTH = 100


def rewritten(
    project: Project, flows: Sequence[FlowClass], rewrites: Sequence[Rewrite]
) -> dict[Path, bytes]:
    """Return the new content of each file that changes."""
    files = {flow.file: RewrittenFile(flow.source) for flow in flows}
    for flow in flows:
        for base in () if flow.derives else flow.plain_bases:
            files[flow.file].edits.replace(base, files[flow.file].name("BaseFlow"))
    for rewrite in rewrites:
        files[rewrite.decorator.source.file].rewrite(rewrite)
    changed = {name: file for name, file in sorted(files.items()) if file.edits.edits}
    return {name: file.content(project) for name, file in changed.items()}


class RewrittenFile:
    """A file whose base classes and decorators change."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.edits = TextEdits(source.content)
        self.names = free_names(source)
        self.used: set[str] = set()

    def name(self, name: str) -> str:
        """Return under which name the file uses BaseFlow or k8s, and import it."""
        self.used.add(name)
        return self.names[name]

    def content(self, project: Project) -> bytes:
        content, _ = self.edits.result()
        names = {name: own for name, own in self.names.items() if name in self.used}
        return with_new_imports(project, self.source, content, names)

    def rewrite(self, rewrite: Rewrite) -> None:
        """Change a @kubernetes, or take it off. Comments stay."""
        decorator, edits = rewrite.decorator, self.edits
        node, done = decorator.node, len(edits.edits)
        if decorator.stays:
            return
        if not rewrite.own and not rewrite.pool and not decorator.unreadable:
            edits.remove_decorator(node)
            return
        texts: list[list[str]] = []
        if decorator.written_here and isinstance(node, ast.Call):
            pairs = zip(node.keywords, decorator.arguments, strict=True)
            texts = [argument_texts(edits, *pair, rewrite.own) for pair in pairs]
        staying = [text for text in texts if text]
        if not isinstance(node, ast.Call) or not staying:
            call = new_call(self.name("k8s"), rewrite, edits.indentation(node), edits.line_end)
            edits.replace(node, call)
        else:
            if not decorator.unreadable:
                edits.replace(node.func, self.name("k8s"))
            if rewrite.pool:
                staying[0].insert(0, literal(rewrite.pool))
            edits.write_arguments(node, texts)
        edits.keep_comments(node, edits.edits[done:])


def argument_texts(
    edits: TextEdits, keyword: ast.keyword, argument: Argument, own: Leaves
) -> list[str]:
    """Return what takes an argument's place: itself if all of it stays, or new arguments."""
    leaves = leaves_of(normal_values(argument.values))
    # with what takes a shared value away from the table that it gives
    staying = {
        leaf: item
        for leaf, item in own.items()
        if leaf in leaves or (len(leaf) > 1 and leaf[0] in argument.values)
    }
    if not argument.readable or (leaves and staying.keys() == leaves.keys()):
        return [edits.source(keyword)]
    return arguments_of(staying)


def arguments_of(own: Leaves) -> list[str]:
    return [f"{key}={literal(value)}" for key, value in settings_of(own).items()]


def new_call(name: str, rewrite: Rewrite, indent: str, line_end: str) -> str:
    """Return `k8s("pool", key=value)`, on several lines if it is long."""
    pool = [literal(rewrite.pool)] if rewrite.pool else []
    parts = [*pool, *arguments_of(rewrite.own)]
    line = f"{name}({', '.join(parts)})"
    if len(f"{indent}@{line}") <= WIDTH:
        return line
    lines = (f"{indent}    {part},{line_end}" for part in parts)
    return f"{name}({line_end}{''.join(lines)}{indent})"


def free_names(source: Source) -> dict[str, str]:
    """Return the names under which a file imports BaseFlow and k8s: others if these are taken."""
    taken = {*source.imported, *bindings(source.tree.body)}
    taken |= {name for node in source.nodes_of(ast.ClassDef) for name in bindings(node.body)}
    others = {"BaseFlow": "SharedBaseFlow", "k8s": "k8s_settings"}
    return {name: other if name in taken else name for name, other in others.items()}
