"""How a flow is run on a cluster: workflows that Argo does not start, runs that do not end."""

import signal
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.kind import run_flows
from stand_ins import STUBBORN, Clock


def test_a_workflow_that_argo_does_not_take_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its controller does not run, or watches another namespace."""
    monkeypatch.setattr(run_flows, "time", Clock())
    workflow = {"metadata": {"name": "hello-x"}, "status": {}}
    found = {"metadata.name=hello-x": [workflow]}
    target: Any = SimpleNamespace(
        namespace="team-a", list=lambda path, fieldSelector: found.get(fieldSelector, [])
    )
    end = run_flows.WorkflowEnd(target, "hello-x")
    with pytest.raises(CommandError) as stopped:
        for _ in range(1000):
            assert end() is None
    assert str(stopped.value) == (
        "Argo has not taken up the workflow hello-x in 60 s: its controller may be down, or may"
        " not watch namespace team-a: `uv run k8s doctor` says so under argo-watches"
    )
    workflow["status"] = {"phase": "Running"}
    late = run_flows.WorkflowEnd(target, "hello-x")
    assert [late() for _ in range(1000)] == [None] * 1000  # taken up, it may take its time


def test_a_template_that_argo_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is deployed once and triggered five times at most (argoproj/argo-workflows#14615).

    Its schedule is deleted first, by which it would run again and again on a laptop, and its pods
    are kept, because they are compared when the run has ended.
    """
    missing = 'workflowtemplates.argoproj.io "helloflow" not found'
    done: list[str] = []
    ended = {
        "metadata": {"name": "hello-x", "namespace": "a"},
        "spec": {},
        "status": {"phase": "Error", "message": missing},
    }
    watch = SimpleNamespace(until_end=lambda end: ended)
    cluster = SimpleNamespace(kubectl=lambda *command: done.append(" ".join(command)))
    target = SimpleNamespace(namespace="a")
    parts = {"project": None, "compiled": None, "target": target, "cluster": cluster}
    flow_run: Any = SimpleNamespace(watch=lambda: watch, **parts)
    monkeypatch.setattr(run_flows, "time", Clock())
    template = {
        "metadata": {"name": "helloflow"},
        "spec": {"podGC": {"strategy": "OnPodCompletion"}},
    }
    monkeypatch.setattr(run_flows, "deploy_flows", lambda *_: done.append("deploy") or [template])
    monkeypatch.setattr(run_flows, "trigger", lambda run: done.append("trigger") or "hello-x")
    monkeypatch.setattr(run_flows, "list_pods", lambda *_: [])
    with pytest.raises(CommandError) as stopped:
        run_flows.run_on_argo(flow_run)
    assert str(stopped.value) == (
        "the workflow hello-x: Error\n"
        "its WorkflowTemplate is not deployed in namespace a: uv run k8s deploy"
    )
    delete = "delete cronworkflow helloflow --namespace a --ignore-not-found"
    patch = (
        'workflowtemplate helloflow --namespace a --type=merge --patch {"spec": {"podGC": null}}'
    )
    assert done == ["deploy", delete, f"patch {patch}", *["trigger"] * 5]


def test_a_run_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_flows, "END_TIMEOUT_S", 0.5)
    process = subprocess.Popen(["sh", "-c", STUBBORN], start_new_session=True)
    time.sleep(0.2)
    run_flows.end_with_tasks(process)
    assert process.returncode == -signal.SIGKILL
