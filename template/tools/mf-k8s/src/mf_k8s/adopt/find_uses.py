"""Where the code of a file reads names, and what hides their meaning there."""

import ast
from dataclasses import dataclass


@dataclass
class Use:
    """A place that reads a name, or an attribute of one."""

    node: ast.Name | ast.Attribute
    call: ast.Call | None  # of it
    function: ast.FunctionDef | None  # that it decorates
    hidden: frozenset[str]  # names that the functions around it bind for themselves
    owner: ast.ClassDef | None  # the class whose names it sees


def find_uses(tree: ast.Module) -> list[Use]:
    """Return each use of a name, but for those that functions bind: a step may have a `batch`."""
    finder = Finder()
    finder.visit(tree)
    return finder.found


class Finder(ast.NodeVisitor):
    """Collects uses."""

    def __init__(self) -> None:
        self.found: list[Use] = []
        self.hidden: frozenset[str] = frozenset()
        self.owner: ast.ClassDef | None = None

    def add(
        self, node: ast.expr, call: ast.Call | None = None, function: ast.FunctionDef | None = None
    ) -> None:
        if isinstance(node, ast.Name):
            if node.id not in self.hidden:
                self.found.append(Use(node, call, function, self.hidden, self.owner))
            return
        if isinstance(node, ast.Attribute):
            self.found.append(Use(node, call, function, self.hidden, self.owner))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.add(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.add(node)

    def visit_Call(self, node: ast.Call, function: ast.FunctionDef | None = None) -> None:
        if isinstance(node.func, ast.Name | ast.Attribute):
            self.add(node.func, node, function)
        else:
            self.visit(node.func)
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                self.visit_Call(decorator, node)
            else:
                self.add(decorator, None, node)
        self.visit(node.args)  # the defaults
        hidden, owner = self.hidden, self.owner
        self.hidden, self.owner = hidden | bound_in(node), None
        for statement in node.body:
            self.visit(statement)
        self.hidden, self.owner = hidden, owner

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        owner, self.owner = self.owner, node
        for statement in node.body:
            self.visit(statement)
        self.owner = owner

    def generic_visit(self, node: ast.AST) -> None:
        hidden = self.hidden
        if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp):
            self.hidden |= bound_in(node)
        elif isinstance(node, ast.GeneratorExp | ast.AsyncFunctionDef):
            self.hidden |= bound_in(node)
        super().generic_visit(node)
        self.hidden = hidden


def bound_in(node: ast.AST) -> frozenset[str]:
    """Return the names that a function binds, its parameters among them."""
    return frozenset(
        each.arg if isinstance(each, ast.arg) else each.id
        for each in ast.walk(node)
        if isinstance(each, ast.arg)
        or (isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load))
    )
