"""One Python file of a project: its imports, and what its names stand for."""

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..errors import CommandError
from ..project import Project, shown_path

METAFLOW = "metaflow"


class Imported(NamedTuple):
    """Where an imported name comes from."""

    module: str
    name: str | None  # None for the module itself
    level: int  # of a relative import: the number of its dots


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
    stars: list[Imported]  # of `from module import *`
    constants: dict[str, ast.expr]  # of names that the module binds once, at its top
    functions: dict[str, ast.FunctionDef]
    classes: dict[str, ast.ClassDef]
    # If this is not the file as it is: the number of each line there, and what is there.
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
        if found := source.imported.get(name):
            names = [*([found.name] if found.name else []), *rest]
            return self.of_module(source, found._replace(name=None), names, seen)
        if not rest and (
            name in source.constants or name in source.functions or name in source.classes
        ):
            return Definition(source, name)
        for star in source.stars:
            if definition := self.of_module(source, star, path, seen):
                return definition
        return None

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


def read_source(file: Path) -> Source:
    try:
        return source_of(file, file.read_bytes())
    except OSError as error:
        raise CommandError(f"{shown_path(file)} cannot be read: {error.strerror}") from error


def source_of(file: Path, content: bytes) -> Source:
    """Return a file that has this content; raise CommandError if it is not Python."""
    try:
        tree = ast.parse(content, str(file))
    except SyntaxError as error:
        where = f"{shown_path(file)}:{error.lineno}" if error.lineno else shown_path(file)
        raise CommandError(f"{where}: not valid Python: {error.msg}") from error
    except ValueError as error:  # a null byte
        raise CommandError(f"{shown_path(file)}: not valid Python: {error}") from error
    imported, stars = read_imports(tree)
    bound = Counter(bindings(tree.body))
    constants = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and bound[target.id] == 1 and target.id not in imported:
            constants[target.id] = value
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return Source(file, content, tree, imported, stars, constants, functions, classes)


def read_imports(tree: ast.Module) -> tuple[dict[str, Imported], list[Imported]]:
    """Return what each imported name of a module stands for, and the modules of `import *`."""
    imported: dict[str, Imported] = {}
    stars = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.split(".")[0]
                imported[alias.asname or module] = Imported(module, None, 0)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin = Imported(node.module or "", alias.name, node.level)
                if alias.name == "*":
                    stars.append(origin._replace(name=None))
                else:
                    imported[alias.asname or alias.name] = origin
    return imported, stars


def bindings(body: list[ast.stmt]) -> Iterator[str]:
    """Yield each name that statements bind, as often as they do; not what functions bind inside."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        waiting.extend(ast.iter_child_nodes(node))


def dotted(expression: ast.expr) -> list[str]:
    """Return `["metaflow", "step"]` for `metaflow.step`; an empty list for another expression."""
    if isinstance(expression, ast.Name):
        return [expression.id]
    if isinstance(expression, ast.Attribute):
        parts = dotted(expression.value)
        return [*parts, expression.attr] if parts else []
    return []
