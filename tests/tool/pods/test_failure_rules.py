"""What is said of pods that have failed. Their ends and logs were copied from a cluster."""

# ruff: noqa: E501  # what is printed has long lines

from typing import Any

import pytest
from mf_k8s.pods.failure_rules import explain_failures, failed_pods, why_failed
from recorded_runs import recorded

OF_METAFLOW = """Task is starting.
<flow EndsFlow step train> failed:
    Internal error
Traceback (most recent call last):
  File "/home/metaflow/metaflow/.mf_code/metaflow/cli.py", line 739, in main
    start(auto_envvar_prefix="METAFLOW", obj=state)
    ~~~~~^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/home/metaflow/metaflow/.mf_code/metaflow/task.py", line 113, in _exec_step_function
    step_function()
    ~~~~~~~~~~~~~^^
"""
SAVED = """
[save_logs] upload_start datastore=s3 files=[('stdout', '/home/metaflow/.logs/mflog_stdout', 412)]
[save_logs] upload_success datastore=s3 files=[('stdout', '/x', 412)] elapsed_seconds=4.719
"""
MODULE = """  File "/home/metaflow/metaflow/train.py", line 23, in train
    import not_there.part
ModuleNotFoundError: No module named 'not_there'
"""
SECRET = """  File "/home/metaflow/metaflow/train.py", line 28, in train
    print(os.environ["password"])
          ~~~~~~~~~~^^^^^^^^^^^^
  File "<frozen os>", line 716, in __getitem__
KeyError: 'password'
"""
SECRET_39 = """  File "/usr/local/lib/python3.9/os.py", line 679, in __getitem__
    raise KeyError(key) from None
KeyError: 'password'
"""
NO_VARIABLE = (
    "train: the pod has no variable password: a key of one of its secrets (db-password, kind-s3) or"
    " @environment must give it; on kind, [secrets.NAME] of tests/kind.toml gives a Secret values"
)
OTHER_KEY = """  File "/home/metaflow/metaflow/train.py", line 28, in train
    print({}["password"])
KeyError: 'password'
"""
TORCH = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU\n"
JAX = "INTERNAL: no supported devices found for platform CUDA: CUDA_ERROR_NO_DEVICE\n"
DATA = "FileNotFoundError: [Errno 2] No such file or directory: 'data/a.csv'\n"
LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container main was using 2Gi, request is 1Gi, has larger consumption of memory. "
KILLED = """Task is starting.
time=2026-11-29T14:18:30.909Z level=INFO msg="sub-process exited" argo=true error="exit status 137"
Error: exit status 137
bash: line 1:    38 Killed                  ( python -u ends.py --quiet --datastore s3 )
"""


def failed(
    step: str = "train", reason: str = "Error", code: int = 1, **more: Any
) -> dict[str, Any]:
    """Return a pod that has failed; on Argo, a container of its own is beside Metaflow's."""
    limits = {"nvidia.com/gpu": "1", **more.pop("limits", {})}
    main = {
        "name": "main",
        "image": "ghcr.io/acme/churn:1.2.3",
        "resources": {"requests": {"cpu": "1", "memory": "600M"}, "limits": limits},
        "envFrom": [{"secretRef": {"name": name}} for name in ("db-password", "kind-s3")],
    }
    end = {"terminated": {"reason": reason, "exitCode": code, "message": more.pop("message", "")}}
    beside = {"name": "wait", "state": {"terminated": {"reason": "Error", "exitCode": 64}}}
    return {
        "metadata": {
            "name": more.pop("name", f"{step}-pod"),
            "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
            "annotations": {"metaflow/step_name": step},
        },
        "spec": {"containers": [{"name": "wait", "image": "argoexec"}, main]},
        "status": {
            "phase": "Failed",
            "containerStatuses": [beside, {"name": "main", "state": end}],
            **more,
        },
    }


ENDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "memory": (
        failed(reason="OOMKilled", code=137, limits={"memory": "600M"}),
        KILLED,
        "train: out of memory: it asked for memory 600M, its limit is 600M; give it more, by memory in"
        " k8s.toml or by @k8s(memory=…) on the step",
    ),
    "memory of the node": (
        failed(code=137),
        KILLED,
        "train: killed, most likely because it was out of memory: it asked for memory 600M and has no"
        " limit but the node's memory; give it more, by memory in k8s.toml or by @k8s(memory=…) on the"
        " step",
    ),
    "module": (
        failed(),
        OF_METAFLOW + MODULE + SAVED,
        "train: its image ghcr.io/acme/churn:1.2.3 has no module not_there: `uv add` the package that"
        " has it, and use an image with it: `uv run k8s kind up` builds one where there is a"
        " Dockerfile; a module of the project belongs in src/",
    ),
    "secret": (failed(), OF_METAFLOW + SECRET + SAVED, NO_VARIABLE),
    "secret of Python 3.9": (failed(), OF_METAFLOW + SECRET_39, NO_VARIABLE),
    "another KeyError": (failed(), OF_METAFLOW + OTHER_KEY, ""),
    "an exit code": (failed(code=3), "bye\n", ""),
    "torch": (
        failed(),
        OF_METAFLOW + TORCH,
        "train: no GPU can be used: it asked for nvidia.com/gpu: 1",
    ),
    "jax": (
        failed(),
        JAX,
        "train: no GPU can be used: it asked for nvidia.com/gpu: 1, and kind only",
    ),
    "data": (
        failed(),
        OF_METAFLOW + DATA,
        "train: the pod has no file data/a.csv: pods get a flow's",
    ),
    "processor": (
        failed(),
        "exec /bin/bash: exec format error\n",
        "train: its image ghcr.io/acme/churn:1.2.3 is for another processor than the node's",
    ),
    "time": (
        failed() | {"status": {"phase": "Failed", "reason": "DeadlineExceeded"}},
        "",
        "train: it ran for longer than its @timeout",
    ),
    "evicted": (
        failed() | {"status": {"phase": "Failed", "reason": "Evicted", "message": LOW}},
        "",
        f"train: its node put it out: {LOW}",
    ),
    "only what the kubelet kept": (failed(message=JAX), "", "train: no GPU can be used"),
}


@pytest.mark.parametrize("what", ENDS)
def test_each_end_has_its_advice(what: str) -> None:
    """One line: the step, what it asked for and what to do."""
    pod, log, says = ENDS[what]
    text, *advice = explain_failures([pod], {"train-pod": log})
    assert len(advice) == (1 if says else 0)
    assert "".join(advice).startswith(says)
    assert (
        text.startswith("train: ")
        and "save_logs" not in text
        and "Killed  " not in text
        and "argo=" not in text
    )


def test_a_traceback_is_shown_once() -> None:
    """For each step that failed, that of its last pod, without Metaflow's own frames."""
    pods = [
        failed("b", name="b-2", created="2026-01-01T00:02:00Z"),
        failed("b", name="b-1", created="2026-01-01T00:01:00Z"),
        failed("a", name="a-1", created="2026-01-01T00:03:00Z"),
        failed("c", name="c-1") | {"status": {"phase": "Succeeded"}},
    ]
    last = failed_pods(pods)
    assert [pod["metadata"]["name"] for pod in last] == ["b-2", "a-1"]
    b, a, *advice = explain_failures(
        last, dict.fromkeys(("a-1", "b-2"), OF_METAFLOW + SECRET + SAVED)
    )
    assert b == f"b: Error, exit code 1\nTraceback (most recent call last):\n{SECRET}".rstrip()
    assert a == b.replace("b: ", "a: ", 1)
    assert [line.partition(":")[0] for line in advice] == ["b", "a"]


RECORDED = {
    "norightsflow": (
        "account-rights",  # the main container ended well: Argo's own failed
        "the service account norights of namespace team-a may not create workflowtaskresults.argoproj.io",
    ),
    "memoryflow": ("out-of-memory", "out of memory: it asked for memory 20M, its limit is 20M"),
    "moduleflow": ("module-missing", "its image busybox:stable has no module xgboost"),
    "commandflow": ("command-missing", "its image busybox:stable has no program nope"),
    "t-command": ("command-missing", "its image busybox:stable has no program nope"),
    "evictedflow": (
        "evicted",
        "its node put it out: Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    ),
    "deadlineflow": (
        "deadline",
        "it ran for longer than its @timeout, or than Metaflow's limit of 5 days",
    ),
    "stoppedflow": (
        "stopped",
        "it was stopped from outside, as when its run or its pod is deleted",
    ),
    "retriedflow-aaaaa-train-2": ("step-failed", "it failed: Error, exit code 3"),
}
NO_MODULE = """Traceback (most recent call last):
  File "/metaflow/train.py", line 3, in start
    import xgboost
ModuleNotFoundError: No module named 'xgboost'
time=2026-11-29T20:29:54.934Z level=INFO msg="sub-process exited" argo=true error="exit status 1"
Error: exit status 1"""


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_ends(name: str) -> None:
    reason = why_failed(recorded("Pod", name), NO_MODULE if name == "moduleflow" else "")
    assert (reason.code, reason.what) == RECORDED[name]


DATASTORE = {
    "botocore.exceptions.NoCredentialsError: Unable to locate credentials": "no credentials for",
    "botocore.exceptions.ClientError: An error occurred (InvalidAccessKeyId) when": "no credentials",
    "An error occurred (NoSuchBucket) when calling the PutObject operation": "bucket does not exist",
    "An error occurred (AccessDenied) when calling the PutObject operation": "refuses it",
    'EndpointConnectionError: Could not connect to the endpoint URL: "http://s3:70/x"': "http://s3:70/x",
}


@pytest.mark.parametrize("line", DATASTORE)
def test_logs_about_the_datastore(line: str) -> None:
    reason = why_failed(recorded("Pod", "moduleflow"), f"Traceback …\n{line}\n")
    assert reason.code == "datastore-from-pod" and DATASTORE[line] in reason.what
