"""Evaluates expressions from the source alone: nothing is run."""

import ast
import contextlib
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from .names import bindings, last_part
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
UNKNOWN: Any = object()  # the value of a local name that only a run can tell


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
                if local[name] is UNKNOWN:
                    raise Unreadable
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
                value = self.evaluate(definition.source, expression)
                return self.kept(source, {last_part(node), definition.name}, value)
        if isinstance(node, ast.Attribute) and dotted(node.value):
            owner = self.sources.definition(source, node.value)
            if owner and owner.source and owner.name in owner.source.classes:
                expression = attributes(owner.source.classes[owner.name]).get(node.attr)
                if expression and owner.name not in owner.source.use.rebound:
                    value = self.evaluate(owner.source, expression)
                    return self.kept(source, {node.attr}, value)
        raise Unreadable

    def kept(self, source: Source, names: set[str], value: Any) -> Any:
        """Return the value of a constant; raise Unreadable if what `source` imports may change it.

        `names` are those of the constant.
        """
        changeable = isinstance(value, dict | list)
        for use in (each.use for each in self.sources.reachable(source)):
            if names & use.stored or (changeable and names & use.handed_on):
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
                found[name] = self.kept(source, {name}, value)
        return found

    def call_of_helper(
        self, source: Source, node: ast.Call, local: Mapping[str, Any]
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
                given = [self.evaluate(source, argument, local) for argument in node.args]
                keywords = self.keywords(source, node, local)
                return definition.source, returned, self.bind(definition, function, given, keywords)
        return None

    def bind(
        self,
        definition: Definition,
        function: ast.FunctionDef,
        given: list[Any],
        keywords: dict[str, Any],
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
        bound: dict[str, Any] = dict.fromkeys([*positional, *names], UNKNOWN)
        bound |= {
            name: self.evaluate(definition.source, default) for name, default in defaults.items()
        }
        bound |= dict(zip(positional, given, strict=False))
        known = {*positional, *names}
        bound |= {name: item for name, item in keywords.items() if name in known}
        if parameters.vararg:
            bound[parameters.vararg.arg] = UNKNOWN
        if parameters.kwarg:
            rest = {name: item for name, item in keywords.items() if name not in known}
            bound[parameters.kwarg.arg] = rest
        return bound


def constant_expression(definition: Definition) -> ast.expr | None:
    return definition.source.constants.get(definition.name) if definition.source else None


def attributes(node: ast.ClassDef) -> dict[str, ast.expr]:
    """Return the expression of each attribute that a class binds once, by `name = value`."""
    times = Counter(bindings(node.body))
    return {
        statement.targets[0].id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and isinstance(statement.targets[0], ast.Name)
        and times[statement.targets[0].id] == 1
    }
