"""Starts pods like those of the flows, which write, read and remove an object of the datastore."""

import contextlib
import inspect
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ..cluster.pod_states import list_pods, list_warnings
from ..cluster.view import JOBS
from ..errors import CommandError
from ..metaflow import datastore_object
from ..pods.pending_reasons import Events, why_pending
from ..pods.read_pods import ADDED_NAMES, ADDED_PREFIXES, Manifest
from ..pods.reasons import Reason
from ..show.progress import print_error
from .answers import FlowPod
from .datastore import Datastore, Failure, object_name, read_result
from .examination import Examination

TIMEOUT_S = 120  # for all probes together: they run side by side
END_TIMEOUT_S = 60  # more, after which Kubernetes itself ends a probe whose doctor was killed
KEPT_S = 30  # for which Kubernetes keeps what has ended, if nobody deletes it
POLL_EVERY_S = 1
PROGRESS_EVERY_S = 10
HOPELESS_S = 15  # after which a container that lacks something is not waited for any more
LABEL = "mf-k8s/probe"
NO_PACKAGES = 4  # the exit code where pip could not install what Metaflow's pods need
# As Metaflow's pods begin (_get_install_dependencies_cmd of metaflow_environment.py), then the
# script, which is $0.
INSTALL = "python -m pip install -qqq --no-compile --no-cache-dir --disable-pip-version-check"
COMMAND = f"""
if [ -z "$METAFLOW_SKIP_INSTALL_DEPENDENCIES" ]; then
  out=$({INSTALL} PACKAGES 2>&1) || {{
    printf '%s' "$out" | tail -c 900 > {datastore_object.MESSAGE_FILE}; exit {NO_PACKAGES}
  }}
fi
exec python -c "$0" "$@"
"""
PACKAGES = {
    "s3": "boto3 requests",
    "gs": "google-cloud-storage google-auth requests",
    "azure": "azure-identity azure-storage-blob requests",
}
RESOURCES = {"cpu": "200m", "memory": "512Mi"}
OF_A_POD = (
    *("affinity", "dnsConfig", "dnsPolicy", "hostNetwork", "imagePullSecrets", "nodeSelector"),
    *("priorityClassName", "runtimeClassName", "schedulerName", "securityContext"),
    *("serviceAccountName", "tolerations"),
)
OF_A_CONTAINER = ("env", "envFrom", "image", "imagePullPolicy", "securityContext")


class Probe(NamedTuple):
    """A pod that stands for pods of the flows."""

    pods: tuple[FlowPod, ...]
    object_name: str


class Probed(NamedTuple):
    """What came of a probe: a result of the script, or why there is none."""

    result: Failure | None = None
    packages: str = ""  # what pip said that could not install them
    reason: Reason | None = None  # why it has not started
    ended: str = ""  # how it ended without a result


def main_container(pod: FlowPod) -> Mapping[str, Any]:
    containers: list[dict[str, Any]] = pod.spec.get("containers") or [{}]
    return next((each for each in containers if each.get("name") == "main"), containers[0])


def secret_names(pod: FlowPod) -> list[str]:
    """Return the Secrets whose keys are variables of a pod, the strongest last."""
    sources = main_container(pod).get("envFrom") or ()
    return [source["secretRef"]["name"] for source in sources if source.get("secretRef")]


def alike(case: Examination) -> list[tuple[FlowPod, ...]]:
    """Return the pods that use the datastore, together those of one account, image and Secrets."""
    groups: dict[tuple[object, ...], list[FlowPod]] = {}
    for pod in case.pods:
        container = main_container(pod)
        names = {variable["name"] for variable in container.get("env") or ()}
        if any(name.startswith("METAFLOW_DATASTORE_SYSROOT") for name in names):
            account = pod.spec.get("serviceAccountName")
            key = (account, container.get("image"), *secret_names(pod))
            groups.setdefault(key, []).append(pod)
    return [tuple(pods) for pods in groups.values()]


def own_names(names: Mapping[str, str] | None) -> dict[str, str]:
    """Return the labels or annotations that are not Metaflow's or Argo's."""
    return {
        name: value
        for name, value in (names or {}).items()
        if name not in ADDED_NAMES and not name.startswith(ADDED_PREFIXES)
    }


def probe_job(
    case: Examination, name: str, probe: Probe, datastore: Datastore, run: str
) -> dict[str, Any]:
    """Return the Job of a probe: Kubernetes ends and deletes it, should nobody else do so."""
    pod = probe.pods[0]
    container = main_container(pod)
    command = COMMAND.replace("PACKAGES", PACKAGES[datastore.kind])
    script = inspect.getsource(datastore_object)
    metadata = pod.manifest.get("metadata") or {}
    labels = {LABEL: run}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": case.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": TIMEOUT_S + END_TIMEOUT_S,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {
                    "labels": {**own_names(metadata.get("labels")), **labels},
                    "annotations": own_names(metadata.get("annotations")),
                },
                "spec": {
                    **{key: pod.spec[key] for key in OF_A_POD if pod.spec.get(key)},
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            **{key: container[key] for key in OF_A_CONTAINER if key in container},
                            "name": "main",
                            "command": ["bash", "-c", command, script, *datastore],
                            "args": [probe.object_name],
                            "resources": {"requests": RESOURCES, "limits": RESOURCES},
                            "terminationMessagePath": datastore_object.MESSAGE_FILE,
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                        }
                    ],
                },
            },
        },
    }


def run_probes(
    case: Examination, groups: Collection[tuple[FlowPod, ...]], datastore: Datastore
) -> list[tuple[Probe, Probed]]:
    """Start a pod for each group of alike pods; return what came of each, and delete them.

    They are deleted on an interruption, too. Raise NotAllowed if the user may not create Jobs, and
    CommandError if the cluster refuses one.
    """
    run = uuid.uuid4().hex[:12]
    probes = {
        f"k8s-doctor-{run}-{number}": Probe(pods, object_name())
        for number, pods in enumerate(groups)
    }
    with contextlib.ExitStack() as stack:
        for name, probe in probes.items():
            stack.callback(delete, case, name)
            body = probe_job(case, name, probe, datastore, run)
            case.view.request("POST", JOBS.path(case.namespace), JOBS.right("create"), body)
        found = watch(case, probes, run)
    return [(probe, found[name]) for name, probe in probes.items()]


def delete(case: Examination, name: str) -> None:
    """Delete a probe and its pod; one that cannot be deleted ends by itself."""
    path, options = JOBS.path(case.namespace, name), {"propagationPolicy": "Background"}
    with contextlib.suppress(CommandError):
        case.view.request("DELETE", path, JOBS.right("delete"), query=options)


def watch(case: Examination, names: Collection[str], run: str) -> dict[str, Probed]:
    """Return what came of each probe, once all have ended or the time is over."""
    started, printed = time.monotonic(), time.monotonic()
    waiting, done = list(names), {}
    lacking_since: dict[str, float] = {}
    pods = "A pod asks" if len(names) == 1 else f"{len(names)} pods ask"
    print_error(f"{pods} the datastore, for {TIMEOUT_S} s at most")
    while waiting:
        now = time.monotonic()
        is_over = now - started > TIMEOUT_S
        found = pods_or_jobs(case, run)
        states = {name: outcome(*found[name]) if name in found else None for name in waiting}
        for name, probed in states.items():
            reason = probed.reason if probed else None
            since = lacking_since.setdefault(name, now) if reason else now
            is_hopeless = now - since > HOPELESS_S and not (reason and reason.passes)
            if probed and (not reason or is_hopeless or is_over):
                done[name] = probed
            elif is_over:
                done[name] = Probed(ended=f"it has not ended within {TIMEOUT_S} s")
            if not reason:
                lacking_since.pop(name, None)
        waiting = [name for name in waiting if name not in done]
        if waiting and now - printed > PROGRESS_EVERY_S:
            reasons = [state.reason.what for state in states.values() if state and state.reason]
            why = f": {reasons[0]}" if reasons else ""
            print_error(f"{now - started:.0f} s: {len(waiting)} not done{why}")
            printed = now
        if waiting:
            time.sleep(POLL_EVERY_S)
    return done


def pods_or_jobs(case: Examination, run: str) -> dict[str, tuple[Manifest, Events]]:
    """Return the pod of each probe, or its Job while that has none, and what warns about them."""
    target, label = case.target, f"{LABEL}={run}"
    jobs = target.list(JOBS.path(case.namespace), labelSelector=label)
    pods = list_pods(target, label)
    try:
        events = list_warnings(target)
    except CommandError:  # the states of the containers say most of it
        events = {}
    found = {job["metadata"]["name"]: (job, events) for job in jobs}
    return found | {pod["metadata"]["labels"]["job-name"]: (pod, events) for pod in pods}


def outcome(pod_or_job: Manifest, events: Events) -> Probed | None:
    """Return what came of a probe, or why it has not started; None while it is at work."""
    status = pod_or_job.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if ended := container["state"].get("terminated"):
            return how_it_ended(ended)
    if status.get("phase") == "Failed" or status.get("failed"):  # evicted, or refused by the node
        conditions = status.get("conditions") or ()
        last = next((each for each in conditions if each.get("type") == "Failed"), status)
        return Probed(ended=f"{last.get('reason', 'it failed')}: {last.get('message', '')}")
    reason = why_pending(pod_or_job, events)
    return Probed(reason=reason) if reason else None


def how_it_ended(ended: Manifest) -> Probed:
    message = str(ended.get("message") or "")
    result = read_result(message)
    if result is not None:
        return Probed(result=result)
    last_line = (message.strip().splitlines() or [""])[-1]
    if ended.get("exitCode") == NO_PACKAGES:
        return Probed(packages=last_line)
    return Probed(ended=f"{ended.get('reason')}, exit code {ended.get('exitCode')}: {last_line}")
