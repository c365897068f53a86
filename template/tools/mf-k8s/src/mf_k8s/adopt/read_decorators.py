"""Each @kubernetes of a step, as it is written or as a name or a helper stands for it."""

import ast
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..project.project import Project
from .bound_names import called, dotted
from .evaluate import Unreadable, Values
from .python_file import Source
from .resolve_names import Defined, Sources

DEEPEST = 5  # helpers that call helpers


@dataclass
class Argument:
    """One argument of a @kubernetes."""

    text: str  # in the source
    values: dict[str, Any]  # the parameters of @kubernetes that it gives
    readable: bool = True  # or else only a run can tell its value, and `values` is empty


@dataclass(eq=False)
class Decorator:
    """A @kubernetes of a step."""

    source: Source
    step: str
    node: ast.expr
    written_here: bool  # as @kubernetes(…), not by a name or a helper that stands for it
    arguments: list[Argument]

    @property
    def place(self) -> str:
        return self.source.place(self.node.lineno)

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
        self.arguments = [Argument("", {}, readable=False)]

    @property
    def unreadable(self) -> list[str]:
        if self.stays:
            return [f"all of @{ast.unparse(self.node)}"]
        return [argument.text for argument in self.arguments if not argument.readable]


class DecoratorReader:
    """Reads the decorators in a project's files."""

    def __init__(self, project: Project) -> None:
        self.sources = Sources(project)
        self.values = Values(self.sources)

    def is_metaflows(self, source: Source, expression: ast.expr, name: str) -> bool:
        """Return whether an expression is a name of Metaflow's, or a call of it."""
        return self.sources.meaning(source, called(expression)) == name

    def stands_for_batch(self, source: Source, expression: ast.expr, depth: int = 0) -> bool:
        """Return whether a decorator is @batch, by a name or a helper that stands for it too."""
        meaning = self.sources.meaning(source, called(expression))
        if not isinstance(meaning, Defined) or depth > DEEPEST:
            return meaning == "batch"
        return any(
            self.stands_for_batch(meaning.source, each, depth + 1) for each in made_of(meaning.node)
        )

    def kubernetes(
        self, source: Source, step: str, expression: ast.expr, scope: Mapping[str, Any]
    ) -> Decorator | None:
        """Return a step's decorator if it is @kubernetes, or may be in a way that is not readable.

        `scope` are the names of the class.
        """
        arguments = self.arguments(source, expression, scope)
        if arguments is not None:
            here = self.is_metaflows(source, expression, "kubernetes")
            return Decorator(source, step, expression, here, arguments)
        if not self.sources.may_be(source, expression, "kubernetes"):
            return None
        decorator = Decorator(source, step, expression, False, [])
        decorator.leave()
        return decorator

    def arguments(
        self, source: Source, expression: ast.expr, local: Mapping[str, Any], depth: int = 0
    ) -> list[Argument] | None:
        """Return the arguments of what stands for @kubernetes(…); None if that is not readable.

        A name may stand for it, or a helper: a function whose only statement returns it.
        """
        if local.keys() & dotted(called(expression))[:1]:  # it is what a class calls so
            return None
        if not self.is_metaflows(source, expression, "kubernetes"):
            return self.followed(source, expression, local, depth) if depth <= DEEPEST else None
        if not isinstance(expression, ast.Call):
            return []
        if expression.args:
            return None
        return [self.argument(source, each, local) for each in expression.keywords]

    def followed(
        self, source: Source, expression: ast.expr, local: Mapping[str, Any], depth: int
    ) -> list[Argument] | None:
        """Return the arguments of what a name or a call of a helper stands for; None if unknown."""
        meaning = self.sources.meaning(source, called(expression))
        if not isinstance(meaning, Defined):
            return None
        if not isinstance(expression, ast.Call):
            if not isinstance(meaning.node, ast.expr):
                return None
            return self.arguments(meaning.source, meaning.node, {}, depth + 1)
        match meaning.node:
            case ast.FunctionDef(
                decorator_list=[],
                body=[ast.Return(value=ast.expr() as returned)]
                | [ast.Expr(value=ast.Constant()), ast.Return(value=ast.expr() as returned)],
            ):
                with contextlib.suppress(Unreadable):
                    bound = self.values.parameters(meaning, source, expression, local)
                    return self.arguments(meaning.source, returned, bound, depth + 1)
        return None

    def argument(self, source: Source, keyword: ast.keyword, local: Mapping[str, Any]) -> Argument:
        text = ast.unparse(keyword.value)
        text = f"{keyword.arg}={text}" if keyword.arg else f"**{text}"
        try:
            value = self.values.evaluate(source, keyword.value, local)
            return Argument(text, {keyword.arg: value} if keyword.arg else dict(value))
        except (Unreadable, TypeError, ValueError):
            return Argument(text, {}, readable=False)


def made_of(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expression that a name is bound to, or those that a function returns."""
    if isinstance(node, ast.expr):
        yield node
    for inner in ast.walk(node) if isinstance(node, ast.FunctionDef) else ():
        if isinstance(inner, ast.Return) and inner.value:
            yield inner.value
