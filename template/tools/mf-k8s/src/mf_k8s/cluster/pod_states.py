"""Says in which state pods are, why they have not started, and why Jobs have no pod."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ..pods.read_pods import Manifest
from .target import Target

METAFLOW_LABEL = "app.kubernetes.io/part-of=metaflow"  # of pods and Jobs


def list_pods(target: Target, label: str = METAFLOW_LABEL) -> list[Any]:
    return target.list(f"/api/v1/namespaces/{target.namespace}/pods", labelSelector=label)


def count_phases(pods: Iterable[Manifest]) -> dict[str, int]:
    """Return how many pods are pending, running, succeeded and failed."""
    phases = (pod["status"].get("phase", "").lower() for pod in pods)
    return dict(sorted(Counter(filter(None, phases)).items()))


def last_warnings(target: Target) -> dict[str, str]:
    """Return the last warning about each object, by its name.

    Not those of the scheduler: a pod's condition says better whether it still lacks a node.
    """
    selector = "type=Warning,reason!=FailedScheduling"
    events = target.list(f"/api/v1/namespaces/{target.namespace}/events", fieldSelector=selector)
    in_order = sorted(events, key=lambda event: event.get("lastTimestamp") or "")
    return {event["involvedObject"]["name"]: event.get("message", "") for event in in_order}


def reason_not_started(pod_or_job: Manifest, warnings: Mapping[str, str]) -> str:
    """Return why a pod has not started or a Job has no pod, or nothing if it is at work."""
    status = pod_or_job["status"]
    job_has_pods = {"active", "succeeded", "failed"} & status.keys()
    if status.get("phase", "Pending") != "Pending" or job_has_pods:
        return ""
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", "not scheduled"))
    for stage in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(stage, ()):
            state = container["state"].get("waiting", {})
            if state.get("message"):
                return f"{state['reason']}: {state['message']}"
    return warnings.get(pod_or_job["metadata"]["name"], "")
