"""The rules limit-range, quota-requests, quota-size and quota-now.

What the cluster's own admission says of such pods is in tests/tool/pods/test_limits.py.
"""

import json
from typing import Any

from cluster_manifests import healthy, manifest
from examinations import answers, examination, flow_pod, shown
from mf_k8s.doctor.answers import FlowPod
from simulated_api import refusal
from simulated_cluster import Cluster, Simulate

CODES = ("limit-range", "quota-requests", "quota-size", "quota-now")


def limit_range(name: str, kind: str = "Container", **item: Any) -> dict[str, Any]:
    return manifest("LimitRange", name, spec={"limits": [{"type": kind, **item}]})


def quota(name: str, hard: dict[str, str], used: dict[str, str] | None = None) -> dict[str, Any]:
    status = {"hard": hard, "used": used or dict.fromkeys(hard, "0")}
    return manifest("ResourceQuota", name, spec={"hard": hard}, status=status)


def without_create(simulate: Simulate, *objects: dict[str, Any]) -> Cluster:
    return simulate(*healthy(), *objects, lacking={"create pods"})


def patch_of(remedy: str) -> Any:
    """Return what a remedy merges into an object."""
    return json.loads(remedy.partition(" -p '")[2].partition("'")[0])


def sized(name: str, cpu: str = "1", memory: str = "4096M", **limits: str) -> FlowPod:
    pod = flow_pod(f"TrainFlow/{name}", requests={"cpu": cpu, "memory": memory})
    if limits:
        pod.spec["containers"][0]["resources"]["limits"] = limits
    return pod


def with_argo(pod: FlowPod) -> FlowPod:
    """Return a pod with Argo's own containers, which ask for nothing."""
    pod.spec["containers"].append({"name": "wait", "image": "argoexec:1"})
    pod.spec["initContainers"] = [{"name": "init", "image": "argoexec:1"}]
    return pod


def test_nothing_limits(simulate: Simulate) -> None:
    case = examination(without_create(simulate))
    assert [shown(case, code) for code in CODES] == [[], [], [], []]


def test_a_default_limit_below_the_request(simulate: Simulate) -> None:
    """Two steps are above it; the patch lets the larger in."""
    cluster = without_create(simulate, limit_range("cap", default={"memory": "512Mi"}))
    pods = [sized("start", memory="100M"), sized("train"), sized("large", memory="8G")]
    fault, fine = answers(examination(cluster, *pods), "limit-range")
    assert fault.what == (
        "LimitRange cap gives a container without a memory limit that of 512Mi: container main"
        " asks for 8000M"
    )
    assert [pod.name for pod in fault.pods] == ["train", "large"]
    assert [pod.name for pod in fine.pods] == ["start"] and fine.what == "LimitRange cap"
    assert fault.remedy.startswith("kubectl -n default patch limitrange cap --type=merge -p '{")
    assert patch_of(fault.remedy) == {
        "spec": {"limits": [{"type": "Container", "default": {"memory": "8000M"}}]}
    }


def test_a_maximum_is_named_before_the_default_that_follows_from_it(simulate: Simulate) -> None:
    item = {"max": {"memory": "2Gi"}, "default": {"memory": "2Gi"}}
    cluster = without_create(simulate, limit_range("cap", **item))
    (fault,) = answers(examination(cluster, sized("train")), "limit-range")
    assert fault.what == (
        "LimitRange cap allows a container at most 2Gi of memory: container main asks for 4096M"
    )
    limits = {"max": {"memory": "4096M"}, "default": {"memory": "4096M"}}
    assert patch_of(fault.remedy) == {"spec": {"limits": [{"type": "Container", **limits}]}}


def test_what_the_cluster_accepts_is_within_its_limits(simulate: Simulate) -> None:
    """A webhook may have changed the pod before."""
    cluster = simulate(*healthy(), limit_range("cap", max={"memory": "2Gi"}))
    assert shown(examination(cluster, sized("train")), "limit-range") == [
        "ok: LimitRange cap | TrainFlow/train"
    ]


def test_a_quota_demands_requests(simulate: Simulate) -> None:
    cluster = without_create(
        simulate, quota("team", {"requests.cpu": "8", "requests.memory": "32Gi", "pods": "9"})
    )
    case = examination(cluster, with_argo(sized("train")), sized("gang/worker"))
    fine, fault = answers(case, "quota-requests")
    assert fault.what == (
        "quota team demands of each container requests.cpu and requests.memory: init, wait lack it"
    )
    assert [pod.name for pod in fault.pods] == ["train"]
    assert (fine.what, [pod.name for pod in fine.pods]) == ("quota team", ["gang/worker"])
    applied = json.loads(fault.remedy.removeprefix("echo '").partition("' | ")[0])
    assert applied["spec"] == {
        "limits": [{"type": "Container", "defaultRequest": {"cpu": "100m", "memory": "64Mi"}}]
    }
    cluster.add(applied)
    after = examination(cluster, *case.pods)
    assert [answer.state for answer in answers(after, "quota-requests")] == ["ok"]


def test_a_quota_demands_limits(simulate: Simulate) -> None:
    """A default limit is not below what a step requests, which would be refused."""
    cluster = without_create(simulate, quota("team", {"limits.memory": "64Gi"}))
    case = examination(cluster, with_argo(sized("train")), sized("limited", memory="4096M"))
    (fault,) = answers(case, "quota-requests")
    assert fault.what.endswith("of each container limits.memory: init, main, wait lack it")
    assert [pod.name for pod in fault.pods] == ["train", "limited"]
    applied = json.loads(fault.remedy.removeprefix("echo '").partition("' | ")[0])
    item = {"defaultRequest": {"memory": "64Mi"}, "default": {"memory": "4096M"}}
    assert applied["spec"] == {"limits": [{"type": "Container", **item}]}
    cluster.add(applied)
    after = examination(cluster, *case.pods)
    states = [answer.state for code in CODES for answer in answers(after, code)]
    assert states == ["ok"] * 4


def test_the_defaults_of_a_quota_before_stay(simulate: Simulate) -> None:
    """The LimitRange of the command replaces the one of its name."""
    earlier = limit_range("k8s-defaults", defaultRequest={"memory": "64Mi"})
    hard = {"requests.memory": "32Gi", "requests.cpu": "8"}
    cluster = without_create(simulate, earlier, quota("team", hard))
    (fault,) = answers(examination(cluster, with_argo(sized("train"))), "quota-requests")
    assert fault.what.endswith("of each container requests.cpu: init, wait lack it")
    applied = json.loads(fault.remedy.removeprefix("echo '").partition("' | ")[0])
    assert applied["spec"] == {
        "limits": [{"type": "Container", "defaultRequest": {"memory": "64Mi", "cpu": "100m"}}]
    }


def test_a_quota_too_small_alone(simulate: Simulate) -> None:
    cluster = without_create(
        simulate, quota("team", {"requests.memory": "2Gi", "requests.nvidia.com/gpu": "1"})
    )
    case = examination(cluster, sized("start", memory="1G"), sized("train"))
    fault, fine = answers(case, "quota-size")
    assert fault.what == (
        "quota team is too small: requests.memory 2147 MB, and 4096 MB are needed at once"
    )
    assert [pod.name for pod in fault.pods] == ["train"] and not fault.passes
    assert patch_of(fault.remedy) == {"spec": {"hard": {"requests.memory": "4096M"}}}
    assert fine.what == "quota team: requests.memory 2Gi, requests.nvidia.com/gpu 1"


def test_a_gang_needs_its_quota_at_once(simulate: Simulate) -> None:
    """Its control, one worker and the pod that makes them; a flow's other steps wait."""
    cluster = without_create(simulate, quota("team", {"pods": "2"}))
    gang = [sized("train/creator"), sized("train/control"), sized("train/worker")]
    case = examination(cluster, sized("start"), *gang, sized("end"))
    fault, fine = answers(case, "quota-size")
    assert fault.what == "quota team is too small: pods 2, and 3 are needed at once"
    assert [*fault.pods] == gang
    assert [pod.name for pod in fine.pods] == ["start", "end"]


def test_a_quota_of_other_objects(simulate: Simulate) -> None:
    """A run is a Workflow, and a gang a JobSet of several Jobs."""
    runs = quota("runs", {"count/workflows.argoproj.io": "3"}, {"count/workflows.argoproj.io": "3"})
    jobs = quota("jobs", {"count/jobs.batch": "1"})
    gang = [sized("train/creator"), sized("train/control"), sized("train/worker")]
    case = examination(without_create(simulate, runs, jobs), sized("start"), *gang)
    fault, *_ = [answer for answer in answers(case, "quota-size") if answer.state == "problem"]
    assert fault.what == "quota jobs is too small: count/jobs.batch 1, and 2 are needed at once"
    assert [*fault.pods] == gang
    full, *_ = [answer for answer in answers(case, "quota-now") if answer.passes]
    assert full.what == (
        "quota runs is full now: 3 of 3 count/workflows.argoproj.io are used, and 1 are needed"
    )


def test_a_quota_full_now(simulate: Simulate) -> None:
    team = quota("team", {"requests.cpu": "4"}, used={"requests.cpu": "3500m"})
    case = examination(without_create(simulate, team), sized("start", cpu="500m"), sized("train"))
    assert [answer.state for answer in answers(case, "quota-size")] == ["ok"]
    fault, fine = answers(case, "quota-now")
    assert fault.passes and [pod.name for pod in fault.pods] == ["train"]
    assert fault.what == (
        "quota team is full now: 3.5 of 4 requests.cpu are used, and 1 are needed"
    )
    assert fault.remedy.endswith("'  # or wait for other pods to end")
    assert patch_of(fault.remedy) == {"spec": {"hard": {"requests.cpu": "4.5"}}}
    assert (fine.what, fine.state) == ("quota team: requests.cpu 3500m used", "ok")


def test_quotas_may_not_be_read(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), lacking={"list resourcequotas", "list limitranges"})
    case = examination(cluster)
    texts = [shown(case, code) for code in CODES]
    assert texts[0] == ["cannot tell: for want of the right to list limitranges | OneFlow/start"]
    assert (
        texts[1:]
        == [["cannot tell: for want of the right to list resourcequotas | OneFlow/start"]] * 3
    )


def test_the_pod_that_the_server_returns_counts(simulate: Simulate) -> None:
    """A webhook may give a container what a quota demands."""
    cluster = simulate(*healthy(), quota("team", {"requests.cpu": "8"}))

    def admit(pod: dict[str, Any]) -> dict[str, Any]:
        for container in pod["spec"]["containers"] + pod["spec"]["initContainers"]:
            container.setdefault("resources", {"requests": {"cpu": "100m"}})
        return pod

    pod = with_argo(sized("train"))
    cluster.admit = admit
    assert [answer.state for answer in answers(examination(cluster, pod), "quota-requests")] == [
        "ok"
    ]
    cluster.admit = lambda pod: refusal(500, "InternalError", "gone")
    assert [answer.state for answer in answers(examination(cluster, pod), "quota-requests")] == [
        "problem"
    ]
