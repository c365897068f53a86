"""In which order flows are tested on a cluster."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import own_target
from mf_k8s.kind import flow_tests
from mf_k8s.kind.cluster import Cluster
from mf_k8s.project.project import Project


def test_the_flow_with_most_steps_is_first(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"hello": ["start", "end"], "train": ["start", "train", "choose", "end"]}
    compiled = [
        SimpleNamespace(file=example / f"flows/{name}.py", error=None, flow={"steps": steps[name]})
        for name in steps
    ]
    begun: list[str] = []
    monkeypatch.setattr(flow_tests, "compile_flows", lambda *_: compiled)
    monkeypatch.setattr(flow_tests, "passes_by", lambda way, run: not begun.append(run.name))
    monkeypatch.setattr(flow_tests, "FLOWS_AT_ONCE", 1)
    cluster = Cluster("churn-model", example / ".kind")
    assert flow_tests.test_flows(Project(example, "churn_model"), cluster, own_target(), (), ())
    assert begun == ["train-run", "train-argo", "hello-run", "hello-argo"]
