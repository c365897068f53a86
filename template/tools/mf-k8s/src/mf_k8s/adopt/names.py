"""What a module does with its names: which of them may stand for something else than is written."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..project.flow_files import has_step

METAFLOW = "metaflow"
DECORATORS = ("batch", "kubernetes")
CHANGING = {"append", "clear", "extend", "insert", "pop", "popitem", "remove", "reverse"}
CHANGING |= {"setdefault", "sort", "update"}  # methods of tables and lists
# Functions that keep no hold of a table or a list that they are given.
PURE = {
    "bool",
    "dict",
    "dumps",
    "float",
    "int",
    "kubernetes",
    "len",
    "list",
    "max",
    "min",
    "partial",
}
PURE |= {"print", "resources", "set", "sorted", "str", "sum", "tuple"}


class Imported(NamedTuple):
    """Where an imported name comes from."""

    module: str
    name: str | None  # None for the module itself
    level: int  # of a relative import: the number of its dots


@dataclass(frozen=True)
class NameUse:
    """What a module does with names, its own and those of others."""

    rebound: frozenset[str]  # bound more than once, or perhaps: a condition may decide which counts
    stored: frozenset[str]  # attributes that are set from outside, as by `settings.MEMORY = 1`
    handed_on: frozenset[str]  # a table or list of this name may be changed where it is used
    refers: dict[str, set[str]]  # what a name may be made of; `metaflow.step` is Metaflow's step


def name_use(tree: ast.Module) -> NameUse:
    """Return what a module does with names."""
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    nodes = [*ast.walk(tree)]
    decorators = {id(part) for node in nodes for part in decorator_parts(node)}
    stored, handed_on = set(), set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                stored.add(node.attr)
        if isinstance(node, ast.Call) and last_part(node.func) == "setattr":
            names = [each.value for each in node.args[1:2] if isinstance(each, ast.Constant)]
            stored |= {name for name in names if isinstance(name, str)}
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            if id(node) not in decorators and not only_read(node, parents):
                handed_on.add(last_part(node))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    rebound = frozenset(rebound_names(tree))
    if "exec" in used or "globals" in handed_on:
        rebound |= {*bindings(tree.body)}
    return NameUse(rebound, frozenset(stored), frozenset(handed_on), references(tree))


def decorator_parts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for decorator in node.decorator_list:
            yield from ast.walk(decorator)


def only_read(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    """Return whether an expression is used in a way that leaves no other name for its value."""
    parent = parents[node]
    match parent:
        case ast.Subscript() if node is parent.value:
            return isinstance(parent.ctx, ast.Load) and only_read(parent, parents)
        case ast.Attribute():
            grandparent = parents[parent]
            if isinstance(grandparent, ast.Call) and grandparent.func is parent:
                return parent.attr not in CHANGING and only_read(grandparent, parents)
            return isinstance(parent.ctx, ast.Load) and only_read(parent, parents)
        case ast.keyword(arg=None):  # **table
            return True
        case ast.keyword():
            call = parents[parent]
            return isinstance(call, ast.Call) and last_part(call.func) in PURE
        case ast.Call() if node is parent.func:
            of_result = isinstance(parents[parent], ast.Attribute | ast.Subscript)  # globals()["x"]
            return not of_result or only_read(parent, parents)
        case ast.Call():
            return last_part(parent.func) in PURE
        case ast.Dict() | ast.List() | ast.Tuple():
            unpacked = isinstance(parent, ast.Dict) and None in parent.keys
            return unpacked or only_read(parent, parents)
        case ast.BinOp() | ast.Compare() | ast.Expr() | ast.FormattedValue() | ast.UnaryOp():
            return True
        case ast.ClassDef() | ast.Subscript() | ast.If() | ast.While() | ast.Assert():
            return True
    return False


def references(tree: ast.Module) -> dict[str, set[str]]:
    """Return which names stand in what binds each name, however conditions go."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, origin, _ in imports(tree):
        of_metaflow = not origin.level and origin.module.split(".")[0] == METAFLOW
        if origin.name:
            found[name].add(f"{METAFLOW}.{origin.name}" if of_metaflow else origin.name)
        elif of_metaflow:
            for decorator in DECORATORS:
                found[decorator].add(f"{METAFLOW}.{decorator}")
    for statement in statements(tree):
        if isinstance(statement, ast.ClassDef):
            for inner in statements(statement):
                for name in bindings([inner]):
                    found[name] |= named_in(inner)
            if has_step(statement):  # a flow is no part of a decorator
                continue
        for name in bindings([statement]):
            found[name] |= named_in(statement)
    return found


def named_in(node: ast.AST) -> set[str]:
    """Return the names that stand in an expression or statement, without those that it binds."""
    parts = [each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]
    bound = {last_part(each) for each in parts if not isinstance(each.ctx, ast.Load)}
    bound |= {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
    return {last_part(each) for each in parts} - bound


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a module or class, those below conditions too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from statements(node)


def last_part(expression: ast.expr) -> str:
    """Return `kubernetes` for `kubernetes` and `metaflow.kubernetes`."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def rebound_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module binds more than once; an import counts once for one origin."""
    counts = Counter(bindings(tree.body))
    counts.update(name for name, _ in {(name, origin) for name, origin, _ in imports(tree)})
    for node in ast.walk(tree):
        counts.update(node.names if isinstance(node, ast.Global) else ())
    yield from (name for name, count in counts.items() if count > 1)


def imports(tree: ast.Module) -> Iterator[tuple[str, Imported, int]]:
    """Yield each imported name, or `*`, with its origin and line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or module, Imported(module, None, 0), node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = None if alias.name == "*" else alias.name
                origin = Imported(node.module or "", name, node.level)
                yield alias.asname or alias.name, origin, node.lineno


def modules(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each module that is imported, or may be, with the number of dots before it."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module or ''}.{alias.name}".strip(".") for alias in node.names]
        for name in names:
            parts = name.split(".")
            for end in range(len(parts) + 1):
                yield ".".join(parts[:end]), getattr(node, "level", 0)


def bindings(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Yield each name that statements bind, as often as they do; not what functions bind inside."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name
        waiting.extend(ast.iter_child_nodes(node))
