"""The source of adopted flows: base classes, decorators and imports, and no other change."""

import ast
from collections.abc import Sequence
from pathlib import Path

from ..project.project import Project
from .calls import argument_texts, literal, new_call
from .imports import with_new_imports
from .names import bindings
from .propose import Rewrite
from .read_flows import FlowClass
from .source import Source
from .text_edits import TextEdits


def rewritten(
    project: Project, flows: Sequence[FlowClass], rewrites: Sequence[Rewrite]
) -> dict[Path, bytes]:
    """Return the new content of each file that changes."""
    files: dict[Path, RewrittenFile] = {}

    def rewritten_file(source: Source) -> RewrittenFile:
        if source.file not in files:
            files[source.file] = RewrittenFile(source)
        return files[source.file]

    for flow in flows:
        if flow.plain_bases and not flow.derives:
            file = rewritten_file(flow.source)
            for base in flow.plain_bases:
                file.edits.replace(base, file.name("BaseFlow"))
    for rewrite in rewrites:
        rewritten_file(rewrite.decorator.source).rewrite(rewrite)
    return {name: file.content(project) for name, file in sorted(files.items())}


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
        decorator = rewrite.decorator
        node, done = decorator.node, len(self.edits.edits)
        if decorator.stays:
            return
        if not rewrite.own and not rewrite.pool and not decorator.unreadable:
            self.edits.remove_decorator(node)
            return
        texts: list[list[str]] = []
        if decorator.written_here and isinstance(node, ast.Call):
            pairs = zip(node.keywords, decorator.arguments, strict=True)
            texts = [argument_texts(self.edits, *pair, rewrite.own) for pair in pairs]
        if isinstance(node, ast.Call) and any(texts):
            self.change_call(node, texts, rewrite)
        else:
            indent = self.edits.indentation(node)
            new = new_call(self.name("k8s"), rewrite, indent, self.edits.line_end)
            self.edits.replace(node, new)
        self.edits.keep_comments(node, self.edits.edits[done:])

    def change_call(self, call: ast.Call, texts: list[list[str]], rewrite: Rewrite) -> None:
        """Change a call of which arguments stay."""
        if not rewrite.decorator.unreadable:
            self.edits.replace(call.func, self.name("k8s"))
        if rewrite.pool:
            first = next(text for text in texts if text)
            first.insert(0, literal(rewrite.pool))
        self.edits.write_arguments(call, texts)


def free_names(source: Source) -> dict[str, str]:
    """Return the names under which a file imports BaseFlow and k8s: others if these are taken."""
    taken = {*source.imported, *bindings(source.tree.body)}
    taken |= {name for node in source.nodes_of(ast.ClassDef) for name in bindings(node.body)}
    others = {"BaseFlow": "SharedBaseFlow", "k8s": "k8s_settings"}
    return {name: other if name in taken else name for name, other in others.items()}
