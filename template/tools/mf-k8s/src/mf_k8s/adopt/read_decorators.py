"""Each @kubernetes of a step, as it is written or as a name or a helper stands for it."""

import ast
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..project.project import Project
from .source import Source, Sources, dotted
from .values import Unreadable, Values, constant_expression

DEEPEST = 5  # helpers that call helpers


@dataclass
class Argument:
    """One argument of a @kubernetes."""

    text: str  # in the source
    name: str | None  # None for `**table`
    values: dict[str, Any]  # the parameters of @kubernetes that it gives
    readable: bool = True  # or else only a run can tell its value, and `values` is empty


@dataclass
class Decorator:
    """A @kubernetes of a step."""

    node: ast.expr
    written_here: bool  # as @kubernetes(…), not by a name or a helper that stands for it
    arguments: list[Argument]

    @property
    def line(self) -> int:
        return self.node.lineno

    @property
    def text(self) -> str:
        return ast.unparse(self.node)

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters that can be read."""
        found: dict[str, Any] = {}
        for argument in self.arguments:
            found |= argument.values
        return found

    @property
    def stays(self) -> bool:
        """Return whether it stays as it is: part of it is written elsewhere and cannot be read."""
        return not (self.written_here or all(argument.readable for argument in self.arguments))

    def leave(self) -> None:
        """Take it for one that cannot be read at all."""
        self.written_here = False
        self.arguments = [Argument(self.text, None, {}, readable=False)]

    @property
    def unreadable(self) -> list[str]:
        if self.stays:
            return [f"all of @{self.text}"]
        return [argument.text for argument in self.arguments if not argument.readable]


class DecoratorReader:
    """Reads the decorators in a project's files."""

    def __init__(self, project: Project) -> None:
        self.sources = Sources(project)
        self.values = Values(self.sources)

    def is_metaflows(self, source: Source, expression: ast.expr, name: str) -> bool:
        """Return whether an expression is a name of Metaflow's, or a call of it."""
        called = expression.func if isinstance(expression, ast.Call) else expression
        definition = self.sources.definition(source, called)
        return bool(definition and not definition.source and definition.name == name)

    def stands_for_batch(self, source: Source, expression: ast.expr, depth: int = 0) -> bool:
        """Return whether a decorator is @batch, by a name or a helper that stands for it too."""
        if self.is_metaflows(source, expression, "batch"):
            return True
        called = expression.func if isinstance(expression, ast.Call) else expression
        definition = self.sources.definition(source, called)
        if depth > 5 or not definition or not definition.source:
            return False
        constant = constant_expression(definition)
        function = definition.source.functions.get(definition.name)
        found = [constant] if constant else []
        for node in ast.walk(function) if function else ():
            found += [node.value] if isinstance(node, ast.Return) and node.value else []
        return any(self.stands_for_batch(definition.source, each, depth + 1) for each in found)

    def kubernetes_arguments(
        self, source: Source, expression: ast.expr, local: Mapping[str, Any], depth: int = 0
    ) -> list[Argument] | None:
        """Return the arguments of what stands for @kubernetes(…), None for another decorator.

        A name may stand for it, or a helper: a function whose only statement returns it. If it may
        stand for it in another way, that is an argument that cannot be read.
        """
        called = expression.func if isinstance(expression, ast.Call) else expression
        found: list[Argument] | None = None
        if not local.keys() & dotted(called)[:1]:  # or it is what a class calls so
            if not self.is_metaflows(source, called, "kubernetes"):
                found = self.followed(source, expression, local, depth)
            elif not isinstance(expression, ast.Call):
                found = []
            elif not expression.args:
                found = [self.argument(source, each, local) for each in expression.keywords]
        if found is None and self.sources.may_be(source, expression, "kubernetes"):
            return [Argument(ast.unparse(expression), None, {}, readable=False)]
        return found

    def followed(
        self, source: Source, expression: ast.expr, local: Mapping[str, Any], depth: int
    ) -> list[Argument] | None:
        """Return the arguments of what a name or a call of a helper stands for; None if unknown."""
        if depth > DEEPEST:
            return None
        with contextlib.suppress(Unreadable):
            if isinstance(expression, ast.Call):
                helper = self.values.call_of_helper(source, expression, local)
                return self.kubernetes_arguments(*helper, depth + 1) if helper else None
            definition = self.sources.definition(source, expression)
            constant = definition and constant_expression(definition)
            if definition and definition.source and constant:
                return self.kubernetes_arguments(definition.source, constant, {}, depth + 1)
        return None

    def argument(self, source: Source, keyword: ast.keyword, local: Mapping[str, Any]) -> Argument:
        text = ast.unparse(keyword.value)
        text = f"{keyword.arg}={text}" if keyword.arg else f"**{text}"
        try:
            value = self.values.evaluate(source, keyword.value, local)
            values = {keyword.arg: value} if keyword.arg else dict(value)
        except (Unreadable, TypeError, ValueError):
            return Argument(text, keyword.arg, {}, readable=False)
        return Argument(text, keyword.arg, values)
