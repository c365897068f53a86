"""Tells files that start a flow from helpers and scripts, without running any of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from ..errors import Finding


def starts_flow(file: Path) -> bool:
    """Return whether a file calls a class that looks like a flow, or cannot be read as Python.

    A flow has a step, or a base class that is a flow. A class from another file is one if its name
    ends in Flow or FlowSpec.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return True  # so that it is run, and Python says what is wrong
    flows = set(imported_flows(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {last_name(base) for base in node.bases}
            if has_step(node) or bases & flows or any(map(looks_like_flow, bases)):
                flows.add(node.name)
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        last_name(name) in flows
        or (isinstance(name, ast.Attribute) and looks_like_flow(name.attr))  # team.ScoreFlow()
        for name in called
    )


def no_flow_started(names: str) -> Finding:
    """Return what is wrong with named files that start no flow, and what to do."""
    remedy = 'end a flow\'s file with `if __name__ == "__main__":` and a line that calls the class'
    return Finding("no-flow-started", f"no flow is started in {names}", names, remedy)


def imported_flows(tree: ast.AST) -> Iterator[str]:
    """Yield the names that classes of other files have here, if they look like flows there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if looks_like_flow(alias.name):
                    yield alias.asname or alias.name


def looks_like_flow(name: str) -> bool:
    return name.endswith(("Flow", "FlowSpec")) and name != "Flow"  # of Metaflow's client


def has_step(node: ast.ClassDef) -> bool:
    decorators = [
        decorator
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        for decorator in method.decorator_list
    ]
    return "step" in map(last_name, decorators)


def last_name(node: ast.expr) -> str:
    """Return `step` for `step`, `metaflow.step` and `step(start=True)`."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
