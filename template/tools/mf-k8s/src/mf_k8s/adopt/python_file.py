"""One Python file, read but not run: what its names stand for, and what may change that."""

import ast
import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..errors import CommandError, Finding
from ..project.flow_files import has_step
from ..project.project import shown_path
from .bound_names import SCOPES, bindings, bound_in, imports, last_part, named_in, statements

METAFLOW = "metaflow"
DECORATORS = ("batch", "kubernetes")
CHANGING = {"append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse"}
CHANGING |= {"setdefault", "sort", "update"}  # methods of tables and lists
# Functions that keep no hold of a table or a list that they are given.
PURE = {"bool", "dict", "dumps", "float", "int", "kubernetes", "len", "list", "max", "min"}
PURE |= {"partial", "print", "resources", "set", "sorted", "str", "sum", "tuple"}
T = TypeVar("T", bound=ast.stmt | ast.expr)
Definition = ast.expr | ast.FunctionDef | ast.ClassDef  # what binds a name


class Source:
    """A file, and what it does with names, its own and those of others."""

    def __init__(
        self,
        file: Path,
        content: bytes,
        lines: Sequence[int] = (),
        original: ast.Module | None = None,
    ) -> None:
        """Raise CommandError if it is not Python.

        `lines` and `original` are of a converted file: the number of each line in the file on
        disk, and the tree of that file.
        """
        self.file, self.content, self.tree = file, content, parsed(file, content)
        self.lines, self.original = lines, original or self.tree
        self.nodes = [*ast.walk(self.tree)]
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        found = [*imports(self.tree)]
        self.imported = {name: origin for name, origin, _ in found if name != "*"}
        self.stars = {origin: line for name, origin, line in found if name == "*"}

    def place(self, line: int) -> str:
        line = self.lines[line - 1] if self.lines else line
        return f"{shown_path(self.file)}:{line}"

    @functools.cached_property
    def rebound(self) -> set[str]:
        """Return the names that are bound more than once, or perhaps: a condition may decide.

        An import counts once for one origin.
        """
        counts = Counter(bindings(self.tree.body))
        counts.update(
            name for name, _ in {(name, origin) for name, origin, _ in imports(self.tree)}
        )
        for node in self.nodes:
            counts.update(node.names if isinstance(node, ast.Global) else ())
        used = {node.id for node in self.nodes if isinstance(node, ast.Name)}
        least = 1 if used & {"exec", "globals"} else 2
        return {name for name, count in counts.items() if count >= least}

    @functools.cached_property
    def definitions(self) -> dict[str, Definition]:
        """Return what defines each name that the module binds once, at its top.

        A class may be bound again, by something else than a class.
        """
        found: dict[str, Definition] = {}
        for statement in self.tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    found[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = value
                case ast.FunctionDef(name=name):
                    found[name] = statement
        found = {name: node for name, node in found.items() if name not in self.rebound}
        return found | self.classes

    @functools.cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """Return the classes at the top of the module of which there is one of that name."""
        found = [each for each in statements(self.tree) if isinstance(each, ast.ClassDef)]
        times = Counter(each.name for each in found)
        top = [each for each in found if each in self.tree.body and times[each.name] == 1]
        return {each.name: each for each in top}

    @functools.cached_property
    def stored(self) -> set[str]:
        """Return the attributes that are set from outside, as by `settings.MEMORY = 1`."""
        stored = set()
        for node in self.nodes:
            match node:
                case ast.Attribute(ctx=ast.Store() | ast.Del()):
                    if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                        stored.add(node.attr)
                case ast.Call(args=[_, ast.Constant(value=str() as name), *_]):
                    stored |= {name} if last_part(node.func) == "setattr" else set()
        return stored

    @functools.cached_property
    def handed_on(self) -> set[str]:
        """Return the names of which a table or a list may be changed where it is used."""
        decorators = {part for node in self.nodes for part in decorator_parts(node)}
        return {
            last_part(node)
            for node in self.nodes
            if isinstance(node, ast.Name | ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and node not in decorators
            and not self.only_read(node)
        }

    def only_read(self, node: ast.expr) -> bool:
        """Return whether an expression is used in a way that leaves no other name for its value."""
        parent = self.parents[node]
        match parent:
            case ast.Subscript() if node is parent.value:
                return isinstance(parent.ctx, ast.Load) and self.only_read(parent)
            case ast.Attribute():
                call = self.parents[parent]
                if isinstance(call, ast.Call) and call.func is parent:
                    return parent.attr not in CHANGING and self.only_read(call)
                return isinstance(parent.ctx, ast.Load) and self.only_read(parent)
            case ast.keyword(arg=str()):
                call = self.parents[parent]
                return isinstance(call, ast.Call) and last_part(call.func) in PURE
            case ast.Call():
                return node is parent.func or last_part(parent.func) in PURE
            case ast.Dict() | ast.List() | ast.Tuple():
                unpacked = isinstance(parent, ast.Dict) and None in parent.keys
                return unpacked or self.only_read(parent)
        return isinstance(parent, ONLY_READING)

    @functools.cached_property
    def refers(self) -> dict[str, set[str]]:
        """Return which names stand in what binds each name, however conditions go.

        `metaflow.step` is Metaflow's step.
        """
        found: dict[str, set[str]] = defaultdict(set)
        for name, origin, _ in imports(self.tree):
            of_metaflow = not origin.level and origin.module.split(".")[0] == METAFLOW
            if origin.name:
                found[name].add(f"{METAFLOW}.{origin.name}" if of_metaflow else origin.name)
            elif of_metaflow:
                for decorator in DECORATORS:
                    found[decorator].add(f"{METAFLOW}.{decorator}")
        for statement in statements(self.tree):
            found_here = [statement]
            if isinstance(statement, ast.ClassDef):
                outer = [] if has_step(statement) else [statement]  # a flow is no decorator's part
                found_here = [*outer, *statements(statement)]
            for each in found_here:
                for name in bindings([each]):
                    found[name] |= named_in(each)
        return found

    def surroundings(self, node: ast.AST) -> tuple[set[str], ast.ClassDef | None]:
        """Return the names that functions around a node bind, and the class whose names it sees."""
        bound: set[str] = set()
        owner, in_function = None, False  # which sees no names of a class around it
        for around in self.ancestors(node):
            if isinstance(around, ast.FunctionDef | ast.ClassDef) and node not in around.body:
                pass  # a decorator, a default value or a base
            elif isinstance(around, ast.ClassDef):
                owner = owner or (None if in_function else around)
            elif isinstance(around, SCOPES):
                bound |= bound_in(around)
                in_function = in_function or isinstance(around, ast.FunctionDef)
            node = around
        return bound, owner

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, from the inside to the module."""
        while around := self.parents.get(node):
            yield around
            node = around

    def nodes_of(self, *kinds: type[T]) -> list[T]:
        """Return the nodes of these kinds, from the top of the file downwards."""
        found = [node for node in self.nodes if isinstance(node, kinds)]
        return sorted(found, key=lambda node: (node.lineno, node.col_offset))


ONLY_READING = (
    *(ast.Assert, ast.BinOp, ast.ClassDef, ast.Compare, ast.Expr, ast.FormattedValue, ast.If),
    *(ast.Subscript, ast.UnaryOp, ast.While, ast.keyword),
)


def decorator_parts(node: ast.AST) -> Iterator[ast.AST]:
    for decorator in getattr(node, "decorator_list", ()):
        yield from ast.walk(decorator)


def parsed(file: Path, content: bytes) -> ast.Module:
    try:
        return ast.parse(content, str(file))
    except SyntaxError as error:
        where = f"{shown_path(file)}:{error.lineno}" if error.lineno else shown_path(file)
        raise CommandError(not_python(where, error.msg)) from error
    except (ValueError, RecursionError) as error:  # a null byte; thousands of parts
        raise CommandError(not_python(shown_path(file), error)) from error


def not_python(where: str, reason: object) -> Finding:
    return Finding("not-python", f"not valid Python: {reason}", where)


source_of = functools.cache(Source)  # a command reads a project's files more than once


def read_source(file: Path) -> Source:
    """Return a file; raise CommandError if it cannot be read, or is not Python."""
    try:
        return source_of(file, file.read_bytes())
    except OSError as error:
        where = shown_path(file)
        what = f"{where} cannot be read: {error.strerror}"
        raise CommandError(Finding("flow-unreadable", what, where)) from error
