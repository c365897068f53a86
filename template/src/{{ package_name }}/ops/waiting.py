"""Says what pods wait for that have not started, and Jobs that have no pod."""

from collections.abc import Mapping
from typing import Any

from .live import get


def events(namespace: str) -> dict[str, str]:
    """Give the last warning about each object."""
    found = get(f"/api/v1/namespaces/{namespace}/events", fieldSelector="type=Warning")
    last = sorted(found, key=lambda one: one.get("lastTimestamp") or "")
    return {one["involvedObject"]["name"]: one.get("message", "") for one in last}


def lacking(one: Any, warnings: Mapping[str, str]) -> str:
    """Say why a pod has not started, or why a Job has no pod; or nothing."""
    status = one["status"]
    has_pods = {"active", "succeeded", "failed"} & status.keys()  # of a Job
    if status.get("phase", "Pending") != "Pending" or has_pods:
        return ""
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("message", "not scheduled")
    for stage in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(stage, ()):
            state = container["state"].get("waiting", {})
            if state.get("message"):
                return f"{state['reason']}: {state['message']}"
    return warnings.get(one["metadata"]["name"], "")
