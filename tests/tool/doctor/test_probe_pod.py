"""The rule datastore-from-pod: which pods are started, what they are, and what becomes of them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cluster_manifests import account, healthy, manifest
from examinations import answers, examination, flow_pod, shown
from mf_k8s.doctor import probe_pod
from mf_k8s.doctor.answers import FlowPod
from mf_k8s.doctor.examination import Examination
from simulated_cluster import Cluster, Simulate

ROOT = "s3://bucket/metaflow"
SETTINGS = {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": ROOT}
Status = dict[str, Any]


def step_pod(name: str, image: str = "ghcr.io/acme/a:1", *secrets: str, **spec: Any) -> FlowPod:
    """Return a step's pod: a hook's has no datastore."""
    pod = flow_pod(name, secrets=secrets, **spec)
    pod.spec["containers"][0] |= {
        "name": "main",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in SETTINGS.items()],
    }
    return pod


def case_of(cluster: Cluster, *pods: FlowPod, **more: str) -> Examination:
    cluster.variables |= SETTINGS | more
    return examination(cluster, *pods, probe_pod=True)


def in_state(**state: Status) -> Status:
    return {"name": "main", "state": state}


def ended(message: str, code: int = 0) -> Status:
    state = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
    return {
        "phase": "Failed",
        "containerStatuses": [{"name": "main", "state": {"terminated": state}}],
    }


def failure(**details: Any) -> Status:
    return ended(json.dumps({"step": "write", "status": 403, "text": "No", **details}))


WAITING = {"reason": "ErrImagePull", "message": "ghcr.io/acme/a:1: not found"}
PULLING = {
    "phase": "Pending",
    "containerStatuses": [{"name": "main", "state": {"waiting": WAITING}}],
}
FULL = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
NO_NODE = {
    "phase": "Pending",
    "conditions": [FULL | {"message": "0/1 nodes are available: 1 Insufficient cpu."}],
}


@pytest.fixture
def kubelet(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster, Status], list[Any]]:
    """Return a function that gives each Job of a cluster a pod of some status, in its own time."""

    def run(cluster: Cluster, status: Status) -> list[Any]:
        made: list[Any] = []
        now = 0.0

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds
            jobs = [job for job in cluster.all_objects() if job["kind"] == "Job"]
            for job in jobs:
                template, name = job["spec"]["template"], job["metadata"]["name"]
                labels = {**template["metadata"]["labels"], "job-name": name}
                pod = manifest("Pod", f"{name}-x", spec=template["spec"], status=status)
                pod["metadata"]["labels"] = labels
                made.append(job)
                cluster.add(pod)

        clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now)
        monkeypatch.setattr(probe_pod, "time", clock)
        return made

    return run


def test_a_pod_for_all_that_are_alike(
    simulate: Simulate, kubelet: Callable[[Cluster, Status], list[Any]]
) -> None:
    """It has what decides about credentials and the node, and nothing of size or claims."""
    cluster = simulate(*healthy())
    jobs = kubelet(cluster, ended("{}"))
    place = {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"operator": "Exists"}]}
    first = step_pod(
        "TrainFlow/start", "ghcr.io/acme/a:1", "s3", requests={"nvidia.com/gpu": "8"},
        claims=["data"], imagePullSecrets=[{"name": "registry"}], **place,
    )  # fmt: skip
    first.manifest["metadata"]["labels"] = {
        "azure.workload.identity/use": "true", "metaflow/flow_name": "TrainFlow"
    }  # fmt: skip
    same = step_pod("TrainFlow/train", "ghcr.io/acme/a:1", "s3")
    hook = flow_pod("TrainFlow/hook")
    case = case_of(cluster, first, same, hook)
    assert shown(case, "datastore-from-pod") == [
        f"ok: {ROOT}: a pod of account metaflow wrote and read an object, and removed it"
        " | TrainFlow/start, TrainFlow/train"
    ]
    (job,) = jobs
    spec, metadata = job["spec"]["template"]["spec"], job["spec"]["template"]["metadata"]
    assert job["spec"]["activeDeadlineSeconds"] == 180 and job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 30
    (container,) = spec.pop("containers")
    assert spec == {
        "serviceAccountName": "metaflow",
        "imagePullSecrets": [{"name": "registry"}],
        "restartPolicy": "Never",
        **place,
    }
    assert metadata["labels"].keys() == {"azure.workload.identity/use", "mf-k8s/probe"}
    assert container["image"] == "ghcr.io/acme/a:1"
    assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert container["resources"]["limits"] == {"cpu": "200m", "memory": "512Mi"}
    assert not [item for item in cluster.all_objects() if item["kind"] == "Job"]
    assert [str(right) for right in cluster.written] == ["create jobs.batch", "delete jobs.batch"]


PATCH = (
    'kubectl -n default patch secret s3 --type=merge -p \'{"stringData": {"AWS_ACCESS_KEY_ID":'
    ' "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET"}}\'  # KEY and SECRET are those of the bucket'
)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            failure(code="SignatureDoesNotMatch"),
            f"problem: in a pod of account metaflow: {ROOT} does not accept the credentials"
            f" (SignatureDoesNotMatch: No) | TrainFlow/start | {PATCH}",
        ),
        (
            failure(code="AccessDenied", step="read", left="No"),
            f"problem: in a pod of account metaflow: the credentials may not read objects in {ROOT}"
            f" (AccessDenied: No); {ROOT}/k8s-doctor-",
        ),
        (
            failure(code="NoSuchBucket"),
            "problem: in a pod of account metaflow: there is no bucket bucket:",
        ),
        (
            failure(code="ModuleNotFoundError", step="library", status=0),
            "problem: in a pod of account metaflow: the image has no boto3 | TrainFlow/start"
            " | install boto3 in ghcr.io/acme/a:1, or unset METAFLOW_SKIP_INSTALL_DEPENDENCIES,",
        ),
        (
            failure(code="EndpointConnectionError", status=0),
            f"problem: in a pod of account metaflow: {ROOT} cannot be used"
            " (EndpointConnectionError: No) | TrainFlow/start | check the cluster's network,",
        ),
        (
            ended("WARNING: Retrying\nERROR: No matching distribution found for boto3", 4),
            "problem: pods of ghcr.io/acme/a:1 cannot install boto3 requests when they start:"
            " ERROR: No matching distribution found for boto3 | TrainFlow/start | install boto3",
        ),
        (
            ended('exec: "bash": not found', 128),
            "cannot tell: the probe of ghcr.io/acme/a:1 has no result: Error, exit code 128: exec:",
        ),
        (PULLING, "problem: the probe has not started: there is no image ghcr.io/acme/a:1 in its"),
        (NO_NODE, "cannot tell: the probe has not started: "),
        (
            {"phase": "Running"},
            "cannot tell: the probe of ghcr.io/acme/a:1 has no result: it has not",
        ),
    ],
)
def test_what_becomes_of_it(
    simulate: Simulate,
    kubelet: Callable[[Cluster, Status], list[Any]],
    status: Status,
    says: str,
) -> None:
    data = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "c2VzYW1l")
    cluster = simulate(*healthy(), manifest("Secret", "s3", data=data))
    kubelet(cluster, status)
    case = case_of(cluster, step_pod("TrainFlow/start", "ghcr.io/acme/a:1", "s3", "other"))
    (line,) = shown(case, "datastore-from-pod")
    assert line.startswith(says)
    assert not [item for item in cluster.all_objects() if item["kind"] == "Job"]


def test_more_than_five(
    simulate: Simulate, kubelet: Callable[[Cluster, Status], list[Any]]
) -> None:
    cluster = simulate(*healthy(), *account("other"))
    kubelet(cluster, ended("{}"))
    pods = [step_pod(f"TrainFlow/s{number}", f"ghcr.io/acme/a:{number}") for number in range(5)]
    pods.append(step_pod("TrainFlow/last", "ghcr.io/acme/a:0", serviceAccountName="other"))
    found = answers(case_of(cluster, *pods), "datastore-from-pod")
    assert [answer.state for answer in found] == [*["ok"] * 5, "cannot tell"]
    assert [str(pod) for pod in found[-1].pods] == ["TrainFlow/last"]
    assert found[-1].what.startswith("not probed: these pods differ from the 5 that were")


def test_who_may_not_start_pods(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), lacking={"create jobs.batch"})
    assert shown(case_of(cluster, step_pod("TrainFlow/start")), "datastore-from-pod") == [
        "cannot tell: for want of the right to create jobs.batch | TrainFlow/start"
    ]
    assert not cluster.written


def test_nothing_is_started_without_the_option(simulate: Simulate) -> None:
    cluster = simulate(*healthy())
    cluster.variables |= SETTINGS
    assert shown(examination(cluster, step_pod("TrainFlow/start")), "datastore-from-pod") == []
    assert not cluster.requests


def test_an_interruption_deletes_the_pods(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = simulate(*healthy())

    def interrupt(_: float) -> None:
        assert [item for item in cluster.all_objects() if item["kind"] == "Job"]
        raise KeyboardInterrupt

    clock = SimpleNamespace(sleep=interrupt, monotonic=lambda: 0.0)
    monkeypatch.setattr(probe_pod, "time", clock)
    with pytest.raises(KeyboardInterrupt):
        shown(case_of(cluster, step_pod("TrainFlow/start")), "datastore-from-pod")
    assert not [item for item in cluster.all_objects() if item["kind"] == "Job"]


@pytest.mark.parametrize(
    ("pip", "code", "message"),
    [
        ("echo no index >&2; exit 1", 4, "no index"),
        ("exit 0", 0, '{"step": "library"'),
        (None, 0, '{"step": "library"'),
    ],
)
def test_the_command_of_a_pod(tmp_path: Path, pip: str | None, code: int, message: str) -> None:
    """It installs first what Metaflow's pods do, unless they do not. Python is a stand-in."""
    log = tmp_path / "termination-log"
    (tmp_path / "python").write_text(
        f'#!/bin/bash\n[ "$1" = -m ] && {{ {pip or "exit 99"}; }}\n'
        f'echo \'{{"step": "library"}}\' "$3 $4 $5" > {log}\n'
    )
    (tmp_path / "python").chmod(0o755)
    command = probe_pod.COMMAND.replace("/dev/termination-log", str(log))
    skips = {"METAFLOW_SKIP_INSTALL_DEPENDENCIES": "1"} if pip is None else {}
    done = subprocess.run(
        ["bash", "-c", command, "SCRIPT", "s3", ROOT, "name"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **skips},
    )
    assert done.returncode == code
    assert log.read_text().startswith(message)
    if not code:
        assert log.read_text().endswith(f"s3 {ROOT} name\n")
