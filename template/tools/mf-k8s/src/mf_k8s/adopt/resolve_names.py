"""The files of a project, and what a name of one of them stands for in another."""

import ast
import contextlib
from pathlib import Path
from typing import NamedTuple

from ..errors import CommandError
from ..project.project import Project
from .bound_names import Imported, dotted, modules, named_in
from .python_file import METAFLOW, Definition, Source, read_source


class Defined(NamedTuple):
    """A name that a file of the project defines."""

    source: Source
    name: str
    node: Definition


Meaning = Defined | str | None  # a text is a name of Metaflow's; None: this project does not say
Seen = frozenset[tuple[Path, str]]


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

    def meaning(self, source: Source, expression: ast.AST) -> Meaning:
        """Return what `name` or `module.name` stands for."""
        path = dotted(expression)
        return self.lookup(source, path, frozenset()) if path else None

    def lookup(self, source: Source, path: list[str], seen: Seen) -> Meaning:
        name, rest = path[0], path[1:]
        if (source.file, name) in seen:
            return None
        seen |= {(source.file, name)}
        if name in source.rebound and name not in source.classes:
            return None
        if found := source.imported.get(name):
            names = [*([found.name] if found.name else []), *rest]
            return self.of_module(source, found._replace(name=None), names, seen)
        node = None if rest else source.definitions.get(name)
        candidates: list[tuple[int, Meaning]] = []
        if node:
            other = dotted(node)
            same = self.lookup(source, other, seen) if other else None
            candidates.append((node.lineno, same or Defined(source, name, node)))
        of_metaflow, unknown = None, [0]
        for star, line in source.stars.items():
            meaning = self.of_module(source, star, path, seen)
            if isinstance(meaning, str):
                of_metaflow = meaning
            elif meaning:
                candidates.append((line, meaning))
            elif not self.module_file(source, star.module, star.level):
                unknown.append(line)  # it may define any name
        if len(candidates) == 1 and max(unknown) < candidates[0][0]:
            return candidates[0][1]
        return None if candidates else of_metaflow

    def of_module(self, source: Source, module: Imported, names: list[str], seen: Seen) -> Meaning:
        """Return what a module's name stands for; the module may be a package above others."""
        if not module.level and module.module.split(".")[0] == METAFLOW:
            return names[-1] if names else None
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
                    waiting |= each.refers.get(name, set())
        return f"{METAFLOW}.{decorator}" in names
