"""Evaluates expressions from the source alone: nothing is run."""

import ast
import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .bound_names import bindings, last_part
from .python_file import Source
from .resolve_names import Defined, Sources

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
}
UNKNOWN: Any = object()  # the value of a local name that only a run can tell


class Unreadable(Exception):
    """An expression whose value only a run can tell."""


class Values:
    """Evaluates the expressions of a project's files."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def evaluate(
        self, source: Source, node: ast.expr, local: Mapping[str, Any] | None = None
    ) -> Any:
        """Return an expression's value; `local` are the arguments of a function around it.

        Raise Unreadable if it is not made of literals and names that are bound once.
        """
        try:
            return self._evaluate(source, node, local or {})
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Unreadable from error

    def _evaluate(self, source: Source, node: ast.expr, local: Mapping[str, Any]) -> Any:
        def value(part: ast.expr) -> Any:
            return self.evaluate(source, part, local)

        match node:
            case ast.Constant():
                return node.value
            case ast.Name(id=name) if name in local:
                if local[name] is UNKNOWN:
                    raise Unreadable
                return local[name]
            case ast.Name() | ast.Attribute():
                return self.constant(source, node)
            case ast.List() | ast.Tuple():
                return [value(item) for item in node.elts]
            case ast.Dict():
                table: dict[Any, Any] = {}
                for key, item in zip(node.keys, node.values, strict=True):
                    table |= {value(key): value(item)} if key else value(item)
                return table
            case ast.UnaryOp(op=ast.USub()):
                return -value(node.operand)
            case ast.BinOp() if type(node.op) in OPERATORS:
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
            case ast.Subscript():
                return value(node.value)[value(node.slice)]
            case ast.JoinedStr():
                return "".join(value(part) for part in node.values)
            case ast.FormattedValue(conversion=-1, format_spec=None):
                return str(value(node.value))
            case ast.Call(func=ast.Name(id="dict"), args=[]):
                return self.keywords(source, node, local)
        raise Unreadable

    def keywords(self, source: Source, node: ast.Call, local: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of a call; raise Unreadable for one that is not readable."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            item = self.evaluate(source, keyword.value, local)
            found |= {keyword.arg: item} if keyword.arg else item
        return found

    def constant(self, source: Source, node: ast.Name | ast.Attribute) -> Any:
        """Return the value of a name, or of an attribute of a class, which is bound once."""
        meaning = self.sources.meaning(source, node)
        if isinstance(meaning, Defined) and isinstance(meaning.node, ast.expr):
            value = self.evaluate(meaning.source, meaning.node)
            return self.unchanged(source, {last_part(node), meaning.name}, value)
        if isinstance(node, ast.Attribute):
            owner = self.sources.meaning(source, node.value)
            if isinstance(owner, Defined) and isinstance(owner.node, ast.ClassDef):
                expression = attributes(owner.node).get(node.attr)
                if expression and owner.name not in owner.source.rebound:
                    value = self.evaluate(owner.source, expression)
                    return self.unchanged(source, {node.attr}, value)
        raise Unreadable

    def unchanged(self, source: Source, names: set[str], value: Any) -> Any:
        """Return the value of a constant; raise Unreadable if what `source` imports may change it.

        `names` are those of the constant.
        """
        changeable = isinstance(value, dict | list)
        for each in self.sources.reachable(source):
            if names & each.stored or (changeable and names & each.handed_on):
                raise Unreadable
        return value

    def scope(self, source: Source, node: ast.ClassDef) -> dict[str, Any]:
        """Return what each name is that a class binds, for the decorators of its functions.

        It is UNKNOWN for all but constants.
        """
        found: dict[str, Any] = dict.fromkeys(bindings(node.body), UNKNOWN)
        for name, expression in attributes(node).items():
            with contextlib.suppress(Unreadable):
                value = self.evaluate(source, expression, found)
                found[name] = self.unchanged(source, {name}, value)
        return found

    def parameters(
        self, helper: Defined, source: Source, call: ast.Call, local: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the parameters of a function in a call of it.

        Raise Unreadable for an argument that is not readable.
        """
        assert isinstance(helper.node, ast.FunctionDef)
        arguments = helper.node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults = [
            *zip(reversed(positional), reversed(arguments.defaults), strict=False),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        names = [each.arg for each in [*positional, *arguments.kwonlyargs]]
        bound: dict[str, Any] = dict.fromkeys(names, UNKNOWN)
        bound |= {each.arg: self.evaluate(helper.source, item) for each, item in defaults if item}
        values = [self.evaluate(source, argument, local) for argument in call.args]
        bound |= zip(names[: len(positional)], values, strict=False)
        keywords = self.keywords(source, call, local)
        bound |= {name: item for name, item in keywords.items() if name in names}
        if arguments.vararg:
            bound[arguments.vararg.arg] = UNKNOWN
        if arguments.kwarg:
            rest = {name: item for name, item in keywords.items() if name not in names}
            bound[arguments.kwarg.arg] = rest
        return bound


def attributes(node: ast.ClassDef) -> dict[str, ast.expr]:
    """Return the expression of each attribute that a class binds once, by `name = value`."""
    times = Counter(bindings(node.body))
    found = {}
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) if times[name] == 1:
                found[name] = statement.value
    return found
