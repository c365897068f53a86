"""Which steps are at work at once, in what Metaflow makes of flows."""

from pathlib import Path

import pytest
from conftest import ROOT
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.branches import branches
from mf_k8s.project.project import Project


@pytest.mark.parametrize(
    ("flow", "pairs"),
    [("branch", {frozenset({"left", "right"})}), ("conditional", set()), ("gang", set())],
)
def test_branches_of_flows(example: Path, flow: str, pairs: set[frozenset[str]]) -> None:
    """Of the branches of a switch one runs, and the pods of a gang are of one step."""
    file = ROOT / "tests/flows" / f"{flow}.py"
    (compiled,) = compile_flows(Project(example, "churn_model"), [file])
    assert compiled.template, compiled.error
    assert branches(compiled.template) == pairs
