"""`k8s doctor --run`: why a run is pending or has failed, on clusters as they were recorded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import VIEW, healthy, in_namespace
from conftest import own_target
from examinations import line
from mf_k8s.doctor.explain_run import Explained, explain_run
from mf_k8s.errors import CommandError
from mf_k8s.project.project import Project
from recorded_runs import events, everything, recorded
from simulated_cluster import Cluster, Simulate

PROJECT = Project(Path("/nowhere/churn-model"), "churn_model")


def of_run(name: str, pods: bool = True) -> list[Any]:
    """Return all that was recorded of a run."""
    kinds = ("Pod", "Job", "Workflow") if pods else ("Workflow",)
    return [
        item
        for item in everything()
        if item["kind"] in kinds and item["metadata"]["name"].startswith(name)
    ] + [e for e in events() if pods and e["involvedObject"]["name"].startswith(name)]


def explained(cluster: Cluster, run: str) -> Explained:
    return explain_run(PROJECT, own_target(**cluster.variables), run)


def lines(answers: Iterable[Any]) -> list[str]:
    return [f"{answer.code} {line(answer)}" for answer in answers]


def explain(simulate: Simulate, name: str, run: str = "", **options: Any) -> list[str]:
    pods, namespace = options.pop("pods", True), options.pop("namespace", "team-a")
    given = of_run(name, pods)
    cluster = simulate(*healthy(namespace), *given, namespace=namespace, **options)
    found = lines(explained(cluster, run or f"argo-{name}-aaaaa").answers)
    assert not cluster.written
    return found


SECRET = (
    "secret-exists problem: there is no Secret missing in namespace team-a | NosecretFlow/train"
    " | kubectl -n team-a create secret generic missing --from-literal=KEY=VALUE"
)
NOTE = "  # one --from-literal for each variable of the pods, like AWS_ACCESS_KEY_ID"  # of the rule


@pytest.mark.parametrize("run", ["argo-nosecretflow-aaaaa", "nosecretflow-aaaaa"])
def test_a_pending_pod(simulate: Simulate, run: str) -> None:
    """By the ID of the run, and by the name that Argo shows."""
    assert explain(simulate, "nosecretflow", run) == [SECRET + NOTE]


def test_a_pod_that_is_gone(simulate: Simulate) -> None:
    """What Argo has kept of its state is said in the same words."""
    assert explain(simulate, "nosecretflow", pods=False) == [SECRET]


def test_a_rule_says_more_than_the_message(simulate: Simulate) -> None:
    """It looks at the nodes, which the message only counts; without the right, that is all."""
    (found,) = explain(simulate, "selectorflow")
    assert found.startswith("node-selector problem: no node") and "pool=nowhere" in found
    assert "cordoned" not in found
    (counted,) = explain(simulate, "selectorflow", lacking={"list nodes"})
    assert counted.startswith(
        "node-selector problem: no node takes it: 1 not selected by pool=nowhere, 1 with a taint"
    )


def test_a_failed_pod_and_its_log(simulate: Simulate) -> None:
    cluster = simulate(*healthy("team-a"), *of_run("moduleflow"), namespace="team-a")
    pod = recorded("Pod", "moduleflow")["metadata"]["name"]
    module = "ModuleNotFoundError: No module named 'xgboost'"
    cluster.logs[f"{pod}/main"] = (
        "Task is starting.\nTraceback (most recent call last):\n"
        f'  File "/metaflow/train.py", line 3, in start\n    import xgboost\n{module}\n'
        'time=2026-11-29T20:29:54.934Z level=INFO msg="sub-process exited" argo=true\n'
    )
    found = explained(cluster, "argo-moduleflow-aaaaa")
    (answer,) = found.answers
    assert (answer.code, answer.what) == (
        "module-missing",
        "its image busybox:stable has no module xgboost",
    )
    assert found.logs == {
        "ModuleFlow/train": "Error, exit code 1\nTraceback (most recent call last):\n"
        f'  File "/metaflow/train.py", line 3, in start\n    import xgboost\n{module}'
    }
    cluster.lacking = {"get pods/log"}
    (unread,) = explained(cluster, "argo-moduleflow-aaaaa").answers
    assert (unread.code, unread.what) == ("step-failed", "it failed: Error, exit code 1")


def test_only_the_last_try_counts(simulate: Simulate) -> None:
    cluster = simulate(*healthy("team-a"), *of_run("retriedflow"), namespace="team-a")
    found = explained(cluster, "retriedflow-aaaaa")
    (answer,) = found.answers
    last = recorded("Pod", "retriedflow-aaaaa-train-2190504276")["metadata"]["name"]
    assert answer.what == "it failed: Error, exit code 3" and last in answer.remedy


STATES = {
    "healthyflow": "run ok: run argo-healthyflow-aaaaa has ended well",
    "runningflow": "run ok: train: at work | RunningFlow/train",
    "memoryflow": (
        "out-of-memory problem: out of memory: it asked for memory 20M, its limit is 20M"
        " | MemoryFlow/train"
        " | give it more, by memory in k8s.toml or by @k8s(memory=…) on the step"
    ),
    "unwatchedflow": (
        "argo-watches problem: Argo has not taken up the workflow unwatchedflow-aaaaa"
        " | its controller may be down, or may not watch namespace team-a:"
        " `uv run k8s doctor` says so under argo-watches"
    ),
    "lockeflow": (
        "semaphore not now: it waits for the lock team-a/ConfigMap/limit1/train, which other runs"
        " hold | wait for them, or raise the number in its ConfigMap"
    ),
    "noaccountflow": (
        "account-exists problem: there is no service account nobody in namespace team-a"
        " | NoaccountFlow/train | kubectl -n team-a create serviceaccount nobody"
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_states_of_runs(simulate: Simulate, name: str) -> None:
    found = explain(simulate, name)
    assert STATES[name] in found and len(found) <= 2, found


def test_a_pod_that_argo_deleted_after_a_timeout(simulate: Simulate) -> None:
    """What the pod waited for is known from the events about it, which stay for an hour."""
    message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    pod = recorded("Pod", "pendtimeoutflow")["metadata"]["name"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "a", "namespace": "team-a"},
        "involvedObject": {"kind": "Pod", "name": pod, "namespace": "team-a"},
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": message,
    }
    workflow = recorded("Workflow", "pendtimeoutflow")
    cluster = simulate(*healthy("team-a"), workflow, event, namespace="team-a")
    (answer,) = explained(cluster, "pendtimeoutflow-aaaaa").answers
    assert (answer.code, answer.what) == (
        "pending-timeout",
        "it was pending for longer than its timeout: no node takes it: 3 not selected by"
        " pool=nowhere",
    )
    assert "kubectl label node NODE pool=nowhere" in answer.remedy


def test_a_join_that_waits_for_ever(simulate: Simulate) -> None:
    """As Argo leaves it: without a node, and the workflow running."""
    workflow = recorded("Workflow", "hole2flow")
    nodes = workflow["status"]["nodes"].values()
    left = {node["id"]: node for node in nodes if node["displayName"] != "c"}
    workflow["status"]["nodes"] = left
    pods = recorded("Pod", "hole2flow-aaaaa-a")
    cluster = simulate(*healthy("team-a"), workflow, pods, namespace="team-a")
    assert lines(explained(cluster, "hole2flow-aaaaa").answers) == [
        "argo-release problem: no step is at work, and Argo starts none: a join waits for a branch"
        " that was skipped | deploy the flow by `uv run k8s deploy`, which corrects that, and"
        " trigger it again",
        "run ok: a: ended well | HoleFlow/a",
    ]


def test_a_run_with_kubernetes(simulate: Simulate) -> None:
    """Its ID is a number; a Job without a pod says why by its events."""
    job = recorded("Job", "t-quota")
    run = job["metadata"]["annotations"]["metaflow/run_id"]
    (found,) = explain(simulate, "t-quota", run, namespace="quota-a")
    assert found.startswith(
        "quota-size problem: the quota team is too small: the pod asks for requests.memory 20M,"
        " and it allows 1Mi | QuotaFlow/train"
    )
    pod = recorded("Job", "t-memory")["metadata"]["annotations"]["metaflow/run_id"]
    (out_of_memory,) = explain(simulate, "t-memory", pod)
    assert out_of_memory.startswith("out-of-memory problem: out of memory")


def test_several_pods_of_one_reason_are_one_answer(simulate: Simulate) -> None:
    pod = recorded("Pod", "nosecretflow")
    other = recorded("Pod", "nosecretflow")
    other["metadata"]["name"] += "2"
    other["metadata"]["annotations"] |= {
        "metaflow/step_name": "score",
        "workflows.argoproj.io/node-name": "nosecretflow-aaaaa.score",
    }
    cluster = simulate(*healthy("team-a"), pod, other, namespace="team-a")
    (answer,) = explained(cluster, "nosecretflow-aaaaa").answers
    assert [pod.name for pod in answer.pods] == ["train", "score"]


def test_runs_that_are_not_there(simulate: Simulate) -> None:
    cluster = simulate(*healthy("team-a"), *of_run("healthyflow"), namespace="team-a")
    with pytest.raises(CommandError) as unknown:
        explained(cluster, "argo-nothing")
    assert str(unknown.value) == (
        "there is no pod, Job or Workflow of a run argo-nothing in namespace team-a: its ID may be"
        " another, or its place, see --env; or it has been deleted, by `[workflow] ttl` or by hand"
    )
    cluster.lacking = {"get workflows.argoproj.io", "list pods"}
    with pytest.raises(CommandError) as unseen:
        explained(cluster, "argo-healthyflow-aaaaa")
    assert "that you may see (you may not list pods, get workflows.argoproj.io)" in str(
        unseen.value
    )


def test_a_run_of_another_project(simulate: Simulate) -> None:
    workflow = recorded("Workflow", "nosecretflow")
    workflow["metadata"]["labels"] = {"mf-k8s/project": "other-team"}
    cluster = simulate(*healthy("team-a"), workflow, namespace="team-a")
    with pytest.raises(CommandError) as of_another:
        explained(cluster, "nosecretflow-aaaaa")
    assert str(of_another.value) == (
        "run nosecretflow-aaaaa in namespace team-a is of another project: other-team; ask there"
    )


def test_with_a_viewers_rights(simulate: Simulate) -> None:
    """All that --run reads, `view` allows."""
    rights = [in_namespace(VIEW, "team-a")]
    assert explain(simulate, "nosecretflow", rights=rights) == [SECRET]


def test_without_rights(simulate: Simulate) -> None:
    """What may be seen is said, and which rights are missing."""
    lacking = {"list events", "list jobs.batch", "get workflows.argoproj.io"}
    assert explain(simulate, "nosecretflow", lacking=lacking) == [
        "run cannot tell: for want of the right to list jobs.batch",
        "run cannot tell: for want of the right to get workflows.argoproj.io",
        "run cannot tell: for want of the right to list events",
        SECRET + NOTE,
    ]
