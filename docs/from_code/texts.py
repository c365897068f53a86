"""What an expression of the source may say: texts, with … for what is known only when it runs."""

import ast
import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

HOLE = "…"
DEPTH = 4  # of calls that give a text to a function that makes the message
MANY = 8  # of so many different texts, a part of a message is a hole
Function = ast.FunctionDef


@dataclass(frozen=True)
class Module:
    """A file of source, with what stands around each node of it."""

    file: Path

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.file.read_text(encoding="utf-8"))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return [*ast.walk(self.tree)]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """Return the values of the module's own names."""
        return {
            name: value.node
            for statement in self.tree.body
            if isinstance(statement, ast.Assign)
            for name, value in pairs(statement)
            if value.node and value.part is None
        }

    @cached_property
    def imports(self) -> dict[str, str]:
        """Return the names that are imported, with the last part of the module they are from."""
        return {
            alias.name: (node.module or "").split(".")[-1]
            for node in self.nodes
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, from the inside to the outside."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function(self, node: ast.AST) -> Function | None:
        return next((each for each in self.around(node) if isinstance(each, Function)), None)

    @cached_property
    def calls(self) -> dict[str, list[ast.Call]]:
        """Return the calls by the last name of the function, or class, that is called."""
        found: dict[str, list[ast.Call]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                found.setdefault(name, []).append(node)
        return found


@functools.cache
def module_of(file: Path) -> Module:
    """Return a module, which is parsed once."""
    return Module(file)


class Source:
    """Modules whose functions may give each other texts."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.modules = [module_of(file) for file in sorted(files)]
        self.functions: dict[str, list[tuple[Module, Function]]] = {}
        for module in self.modules:
            for node in module.nodes:
                if isinstance(node, Function):
                    self.functions.setdefault(node.name, []).append((module, node))

    def texts(self, module: Module, node: ast.expr | None, depth: int = DEPTH) -> list[str]:
        """Return what an expression may say; HOLE where nothing of it is known."""
        if node is None:
            return [""]
        if isinstance(node, ast.Constant):
            is_shown = isinstance(node.value, str | int) and not isinstance(node.value, bool)
            return [str(node.value) if is_shown else HOLE]
        if isinstance(node, ast.JoinedStr):
            return joined(self.part(module, part, depth) for part in node.values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = [self.texts(module, side, depth) for side in (node.left, node.right)]
            return [HOLE] if any(side[0].isdigit() for side in sides) else joined(sides)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):  # a text, or nothing
            found = self.texts(module, node.left, depth)
            return [HOLE] if found == [HOLE] or found[0].isdigit() else [*found, ""]
        if isinstance(node, ast.IfExp):
            return [*self.texts(module, node.body, depth), *self.texts(module, node.orelse, depth)]
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return [text for part in node.values for text in self.texts(module, part, depth)]
        if isinstance(node, ast.Name):
            return self.of_name(module, node, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.returned(node.func.id, None, depth)
        return [HOLE]

    def part(self, module: Module, part: ast.expr, depth: int) -> list[str]:
        """Return what a part of an f-string may say; a call or a value from outside is a hole."""
        if not isinstance(part, ast.FormattedValue):
            return self.texts(module, part, depth)
        found = self.texts(module, part.value, 0)
        return found if len(found) <= MANY else [HOLE]

    def of_name(self, module: Module, name: ast.Name, depth: int) -> list[str]:
        function = module.function(name)
        if not function:
            return self.of_constant(module, name.id)
        if values := [*assigned(module, function, name)]:
            return self.of_assigned(module, values, depth)
        arguments = [each.arg for each in function.args.args]
        if name.id in arguments:
            return self.given(function.name, arguments.index(name.id), name.id, depth - 1)
        return self.of_constant(module, name.id)

    def of_assigned(self, module: Module, values: Sequence["Value"], depth: int) -> list[str]:
        """Return what a name may be, whose values are the last first; one may add to another."""
        found: list[str] = []
        endings = [""]
        for value in values:
            if value.part is not None and isinstance(value.node, ast.Call):
                texts = self.returned(ast.unparse(value.node.func), value.part, depth)
            else:
                texts = self.texts(module, value.node, depth)
            if value.adds:
                endings += [text + end for text in texts for end in endings]
            else:
                found += [text + end for text in texts for end in endings]
        return found or [HOLE]

    def of_constant(self, module: Module, name: str) -> list[str]:
        """Return what a name of a module says, of its own or imported."""
        if name in module.constants:
            return self.texts(module, module.constants[name], 0)
        other = next((m for m in self.modules if module.imports.get(name) == m.file.stem), None)
        return self.of_constant(other, name) if other and other is not module else [HOLE]

    def returned(self, function: str, index: int | None, depth: int) -> list[str]:
        """Return what a function returns, or a part of it; HOLE unless its name is the only one."""
        if depth < 0 or len(self.functions.get(function, ())) != 1:
            return [HOLE]
        ((module, node),) = self.functions[function]
        values = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
        if index is not None:
            values = [each.elts[index] for each in values if isinstance(each, ast.Tuple)]
        found = [text for value in values for text in self.texts(module, value, depth - 1)]
        return [*filter(None, found)] or [HOLE]

    def given(self, function: str, position: int, name: str, depth: int) -> list[str]:
        """Return what calls of a function give to one of its parameters."""
        if depth < 0:
            return [HOLE]
        found = [
            text
            for module in self.modules
            for call in module.calls.get(function, ())
            for text in self.texts(module, argument(call, position, name), depth)
        ]
        return found or [HOLE]


class Value(NamedTuple):
    """What a name is given: an expression, perhaps a part of what it returns, or added to it."""

    node: ast.expr | None
    part: int | None = None
    adds: bool = False


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    """Return what a call gives to a parameter, by its name or in its place."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    return named.get(name) or (call.args[position] if position < len(call.args) else None)


def joined(parts: Iterable[list[str]]) -> list[str]:
    """Return the texts that parts make together, where each part may say several things."""
    found = [""]
    for part in parts:
        found = [before + text for before in found for text in part]
    return found


def assigned(module: Module, function: Function, name: ast.Name) -> Iterator[Value]:
    """Yield what a name may have been given before it is used, the last first.

    It ends with the value that it surely has; those before are in a branch, or are added.
    """
    around = {*module.around(name)}
    statements = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.NamedExpr)
        and node not in around
        and node.lineno <= name.lineno
    ]
    for statement in sorted(statements, key=lambda each: each.lineno, reverse=True):
        values = dict(pairs(statement))
        if name.id in values:
            yield values[name.id]
            if module.parents[statement] in around and not values[name.id].adds:
                return


def pairs(statement: ast.Assign | ast.AugAssign | ast.NamedExpr) -> Iterator[tuple[str, Value]]:
    """Yield the names that a statement sets, and their values."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if not isinstance(target, ast.Tuple):
            adds = isinstance(statement, ast.AugAssign)
            yield ast.unparse(target), Value(statement.value, None, adds)
        elif isinstance(statement.value, ast.Tuple):
            for each, part in zip(target.elts, statement.value.elts, strict=True):
                yield ast.unparse(each), Value(part)
        else:
            for index, each in enumerate(target.elts):
                yield ast.unparse(each), Value(statement.value, index)
