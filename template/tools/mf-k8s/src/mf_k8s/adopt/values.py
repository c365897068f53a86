"""Evaluates expressions from the source alone: nothing is run."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from .source import Definition, Source, Sources, dotted

OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.BitOr: operator.or_,
}
DEEPEST = 50  # names that refer to names


class Unreadable(Exception):
    """An expression whose value only a run can tell."""


class Values:
    """Evaluates the expressions of a project's files."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.depth = 0

    def evaluate(
        self, source: Source, node: ast.expr, local: Mapping[str, Any] | None = None
    ) -> Any:
        """Return an expression's value; `local` are the arguments of a function around it.

        Raise Unreadable if it is not made of literals and names that are bound once.
        """
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise Unreadable
            return self._evaluate(source, node, local or {})
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise Unreadable from error
        finally:
            self.depth -= 1

    def _evaluate(self, source: Source, node: ast.expr, local: Mapping[str, Any]) -> Any:
        def value(part: ast.expr) -> Any:
            return self.evaluate(source, part, local)

        match node:
            case ast.Constant():
                return node.value
            case ast.Name(id=name) if name in local:
                return local[name]
            case ast.Name() | ast.Attribute():
                return self.constant(source, node)
            case ast.List() | ast.Tuple():
                return [value(item) for item in node.elts]
            case ast.Dict():
                return self.table(source, node, local)
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

    def table(self, source: Source, node: ast.Dict, local: Mapping[str, Any]) -> dict[Any, Any]:
        table: dict[Any, Any] = {}
        for key, item in zip(node.keys, node.values, strict=True):
            item = self.evaluate(source, item, local)
            table |= {self.evaluate(source, key, local): item} if key else item
        return table

    def keywords(self, source: Source, node: ast.Call, local: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments of a call; raise Unreadable for one that is not readable."""
        found: dict[str, Any] = {}
        for keyword in node.keywords:
            item = self.evaluate(source, keyword.value, local)
            found |= {keyword.arg: item} if keyword.arg else item
        return found

    def constant(self, source: Source, node: ast.expr) -> Any:
        """Return the value of a name, or of an attribute of a class, which is bound once."""
        if definition := self.sources.definition(source, node):
            expression = constant_expression(definition)
            if definition.source and expression:
                return self.evaluate(definition.source, expression)
        if isinstance(node, ast.Attribute) and dotted(node.value):
            owner = self.sources.definition(source, node.value)
            if owner and owner.source and owner.name in owner.source.classes:
                body = owner.source.classes[owner.name].body
                found = [value for item in body if (value := bound_value(item, node.attr))]
                if len(found) == 1:
                    return self.evaluate(owner.source, found[0])
        raise Unreadable

    def call_of_helper(
        self, source: Source, node: ast.Call
    ) -> tuple[Source, ast.expr, dict[str, Any]] | None:
        """Return what a function of one `return` gives back: its file, expression and arguments.

        Return None for another function; raise Unreadable for arguments that are not readable.
        """
        definition = self.sources.definition(source, node.func)
        if not definition or not definition.source:
            return None
        function = definition.source.functions.get(definition.name)
        if not function or function.decorator_list:
            return None
        body = [
            statement
            for statement in function.body
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        ]
        match body:
            case [ast.Return(value=ast.expr() as returned)]:
                return definition.source, returned, self.bind(source, node, definition, function)
        return None

    def bind(
        self, source: Source, node: ast.Call, definition: Definition, function: ast.FunctionDef
    ) -> dict[str, Any]:
        """Return the parameters of a function in a call of it."""
        assert definition.source
        parameters = function.args
        positional = [parameter.arg for parameter in parameters.posonlyargs + parameters.args]
        defaults = dict(zip(reversed(positional), reversed(parameters.defaults), strict=False))
        names = [parameter.arg for parameter in parameters.kwonlyargs]
        defaults |= {
            name: default
            for name, default in zip(names, parameters.kw_defaults, strict=True)
            if default
        }
        bound = {
            name: self.evaluate(definition.source, default) for name, default in defaults.items()
        }
        given = [self.evaluate(source, argument) for argument in node.args]
        bound |= dict(zip(positional, given, strict=False))
        keywords = self.keywords(source, node, {})
        known = {*positional, *names}
        bound |= {name: item for name, item in keywords.items() if name in known}
        if parameters.kwarg:
            rest = {name: item for name, item in keywords.items() if name not in known}
            bound[parameters.kwarg.arg] = rest
        return bound


def constant_expression(definition: Definition) -> ast.expr | None:
    return definition.source.constants.get(definition.name) if definition.source else None


def bound_value(statement: ast.stmt, name: str) -> ast.expr | None:
    """Return the value in a statement `name = value`, None for another."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=bound)], value=value) if bound == name:
            return value
    return None
