"""One Python file of a project: its imports, and what its names stand for."""

import ast
import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import CommandError
from ..project.project import Project, shown_path
from .names import METAFLOW, Imported, NameUse, imports, modules, name_use, named_in, statements


class Definition(NamedTuple):
    """What a name stands for in the end: a name of Metaflow's, or one that a file defines."""

    source: "Source | None"  # None for Metaflow
    name: str


@dataclass(frozen=True, eq=False)
class Source:
    """One file, read but not run."""

    file: Path
    content: bytes
    tree: ast.Module
    imported: dict[str, Imported]
    stars: dict[Imported, int]  # of `from module import *`, with their lines
    constants: dict[str, ast.expr]  # of names that the module binds once, at its top
    functions: dict[str, ast.FunctionDef]
    classes: dict[str, ast.ClassDef]
    use: NameUse
    # Of a converted file: each line's number in the file on disk, and the tree of that file.
    lines: Sequence[int] = ()
    original: ast.Module | None = None

    def place(self, line: int) -> str:
        line = self.lines[line - 1] if self.lines else line
        return f"{shown_path(self.file)}:{line}"


class Sources:
    """The files of a project, each read once, and where their names come from."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.read: dict[Path, Source] = {}
        self.reached: dict[Path, list[Source]] = {}

    def load(self, file: Path) -> Source:
        """Return a file; raise CommandError if it cannot be read, or is not Python."""
        if file not in self.read:
            self.read[file] = read_source(file)
        return self.read[file]

    def definition(self, source: Source, expression: ast.expr) -> Definition | None:
        """Return what `name` or `module.name` stands for; None if this project does not say."""
        path = dotted(expression)
        return self.lookup(source, path, frozenset()) if path else None

    def lookup(
        self, source: Source, path: list[str], seen: frozenset[tuple[Path, str]]
    ) -> Definition | None:
        name, rest = path[0], path[1:]
        if (source.file, name) in seen:
            return None
        seen |= {(source.file, name)}
        if name in source.use.rebound and name not in source.classes:
            return None
        if found := source.imported.get(name):
            names = [*([found.name] if found.name else []), *rest]
            return self.of_module(source, found._replace(name=None), names, seen)
        candidates = [] if rest else [*self.defined_in(source, name, seen)]
        of_metaflow, unknown = None, [0]
        for star, line in source.stars.items():
            definition = self.of_module(source, star, path, seen)
            if definition and definition.source:
                candidates.append((line, definition))
            elif definition:
                of_metaflow = definition
            elif not self.module_file(source, star.module, star.level):
                unknown.append(line)  # it may define any name
        if len(candidates) == 1 and max(unknown) < candidates[0][0]:
            return candidates[0][1]
        return None if candidates else of_metaflow

    def defined_in(
        self, source: Source, name: str, seen: frozenset[tuple[Path, str]]
    ) -> Iterator[tuple[int, Definition]]:
        """Yield the line in which a file defines a name, and what it stands for."""
        for defined in (source.constants, source.functions, source.classes):
            if node := defined.get(name):
                path = dotted(node) if isinstance(node, ast.expr) else []
                followed = self.lookup(source, path, seen) if path else None
                yield node.lineno, followed or Definition(source, name)

    def of_module(
        self, source: Source, module: Imported, names: list[str], seen: frozenset[tuple[Path, str]]
    ) -> Definition | None:
        """Return what a module's name stands for; the module may be a package above others."""
        if not module.level and module.module.split(".")[0] == METAFLOW:
            return Definition(None, names[-1]) if names else None
        for end in range(len(names)):
            inner = ".".join(filter(None, [module.module, *names[:end]]))
            if file := self.module_file(source, inner, module.level):
                if found := self.lookup(self.load(file), names[end:], seen):
                    return found
        return None

    def module_file(self, source: Source, module: str, level: int) -> Path | None:
        """Return the file of a module, if it is in this project."""
        parts = module.split(".") if module else []
        roots = [source.file.parent, self.project.source, self.project.root]
        if level:
            roots = [[source.file, *source.file.parents][level]]
        for root in roots:
            base = root.joinpath(*parts)
            for file in (base.with_suffix(".py") if parts else base, base / "__init__.py"):
                if file.is_file() and file.resolve().is_relative_to(self.project.root):
                    return file.resolve()
        return None

    def reachable(self, source: Source) -> list[Source]:
        """Return a file, and those of this project that it imports."""
        if source.file not in self.reached:
            found = {source.file: source}
            waiting = [source]
            while waiting:
                each = waiting.pop()
                for module, level in dict.fromkeys(modules(each.tree)):
                    file = self.module_file(each, module, level) if module or level else None
                    with contextlib.suppress(CommandError):  # a run may not need it
                        if file and file not in found:
                            found[file] = self.load(file)
                            waiting.append(found[file])
            self.reached[source.file] = [*found.values()]
        return self.reached[source.file]

    def may_be(self, source: Source, expression: ast.expr, decorator: str) -> bool:
        """Return whether an expression, or what it names, names a decorator of Metaflow's."""
        names, waiting = set(), named_in(expression)
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                for each in self.reachable(source):
                    waiting |= each.use.refers.get(name, set())
        return f"{METAFLOW}.{decorator}" in names


def read_source(file: Path) -> Source:
    try:
        return source_of(file, file.read_bytes())
    except OSError as error:
        raise CommandError(f"{shown_path(file)} cannot be read: {error.strerror}") from error


@functools.cache  # a command reads a project's files more than once
def source_of(file: Path, content: bytes) -> Source:
    """Return a file that has this content; raise CommandError if it is not Python."""
    try:
        tree = ast.parse(content, str(file))
    except SyntaxError as error:
        where = f"{shown_path(file)}:{error.lineno}" if error.lineno else shown_path(file)
        raise CommandError(f"{where}: not valid Python: {error.msg}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # a null byte; an expression of thousands of parts
        raise CommandError(f"{shown_path(file)}: not valid Python: {error}") from error
    use = name_use(tree)
    imported, stars = read_imports(tree)
    constants = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id not in use.rebound:
            constants[target.id] = value
    functions = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name not in use.rebound
    }
    classes = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and written_once(tree, node.name)
    }
    return Source(file, content, tree, imported, stars, constants, functions, classes, use)


def written_once(tree: ast.Module, name: str) -> bool:
    """Return whether one class has this name, as far as conditions go; it may be bound again."""
    found = [each for each in statements(tree) if isinstance(each, ast.ClassDef)]
    return [each.name for each in found].count(name) == 1


def read_imports(tree: ast.Module) -> tuple[dict[str, Imported], dict[Imported, int]]:
    """Return what each imported name of a module stands for, and the modules of `import *`."""
    found = [*imports(tree)]
    imported = {name: origin for name, origin, _ in found if name != "*"}
    return imported, {origin: line for name, origin, line in found if name == "*"}


def dotted(expression: ast.expr) -> list[str]:
    """Return `["metaflow", "step"]` for `metaflow.step`; an empty list for another expression."""
    if isinstance(expression, ast.Name):
        return [expression.id]
    if isinstance(expression, ast.Attribute):
        parts = dotted(expression.value)
        return [*parts, expression.attr] if parts else []
    return []
