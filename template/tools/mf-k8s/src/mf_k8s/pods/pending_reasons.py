"""Why a pod has not started, or a Job has no pod: from its manifest and the events about it."""

from collections.abc import Iterable, Mapping, Sequence

from .container_reasons import why_container_waits, why_not_made
from .read_pods import Manifest
from .reasons import Reason, facts_of
from .scheduling_message import why_unschedulable

CODES_OF_EVENTS = {
    "FailedMount": "volume-mount",
    "FailedAttachVolume": "volume-mount",
    "FailedCreatePodSandBox": "pod-network",
    "FailedCreate": "admission",
}
Events = Mapping[str, Sequence[Manifest]]  # warnings by the names of their objects, oldest first


def warnings_by_object(events: Iterable[Manifest]) -> dict[str, list[Manifest]]:
    """Return the warnings among events by the name of what they are about, oldest first.

    Not those of the scheduler: a pod's condition says better whether it still lacks a node.
    """
    found: dict[str, list[Manifest]] = {}
    for event in sorted(events, key=event_time):
        if event.get("type", "Warning") == "Warning" and event.get("reason") != "FailedScheduling":
            found.setdefault(event["involvedObject"]["name"], []).append(event)
    return found


def event_time(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")


def why_pending(pod_or_job: Manifest, events: Events) -> Reason | None:
    """Return why a pod has not started or a Job has no pod; None if it is at work, or starts."""
    status = pod_or_job.get("status") or {}
    job_has_pods = {"active", "succeeded", "failed"} & status.keys()
    if status.get("phase", "Pending") != "Pending" or job_has_pods:
        return None
    warnings = events.get(pod_or_job["metadata"]["name"], ())
    if "template" in pod_or_job["spec"]:
        return why_no_pod(pod_or_job, warnings)
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return why_no_node(pod_or_job, condition)
    return why_waiting(pod_or_job, warnings) or of_events(warnings, facts_of(pod_or_job))


def why_no_pod(job: Manifest, warnings: Sequence[Manifest]) -> Reason | None:
    """Return why a Job has made no pod."""
    metadata = {"namespace": job["metadata"].get("namespace", "NAMESPACE")}
    facts = facts_of({**job["spec"]["template"], "metadata": metadata})
    if job["spec"].get("suspend"):
        what = "its Job is suspended, as by Kueue until its queue has room"
        remedy = f"see `kubectl -n {facts['namespace']} get workloads`"
        return Reason("queue", what, remedy, passes=True)
    return of_events(warnings, facts)


def why_no_node(pod: Manifest, condition: Manifest) -> Reason:
    """Return why the scheduler has no node for a pod, from the condition that says so."""
    if condition.get("reason") == "SchedulingGated":
        gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]
        what = f"it waits until its gate is opened: {', '.join(gates) or 'unknown'}"
        remedy = f"see `kubectl -n {facts_of(pod)['namespace']} get workloads`"
        return Reason("queue", what, remedy, passes=True)
    return why_unschedulable(str(condition.get("message") or "not scheduled"), pod)


def why_waiting(pod: Manifest, warnings: Sequence[Manifest]) -> Reason | None:
    """Return what the containers of a pod wait for, its init containers first."""
    images = {
        container["name"]: container["image"]
        for stage in ("initContainers", "containers")
        for container in pod["spec"].get(stage) or ()
        if "name" in container and "image" in container
    }
    for stage in ("initContainerStatuses", "containerStatuses"):
        for container in pod["status"].get(stage) or ():
            state = (container.get("state") or {}).get("waiting") or {}
            facts = facts_of(pod)
            facts["image"] = images.get(container.get("name", ""), facts["image"])
            if reason := why_container_waits(state, container, warnings, facts):
                return reason
    return None


def why_was_pending(pod: Manifest, events: Iterable[Manifest]) -> Reason | None:
    """Return why a pod that is gone did not start, from the events about it."""
    in_order = sorted(events, key=event_time)
    scheduling = [event for event in in_order if event.get("reason") == "FailedScheduling"]
    others = [event for event in in_order if event.get("type") == "Warning"]
    others = [event for event in others if event not in scheduling]
    if others:  # it had a node
        return of_events(others, facts_of(pod))
    if scheduling:
        return why_unschedulable(str(scheduling[-1].get("message")), pod)
    return None


def of_events(warnings: Sequence[Manifest], facts: Mapping[str, str]) -> Reason | None:
    """Return what the newest warning says that a rule knows, or else the newest."""
    newest_first = [event for event in reversed(warnings) if event.get("message")]
    for event in newest_first:
        if reason := why_not_made(str(event["message"]), facts):
            return reason
    for event in newest_first:
        code = CODES_OF_EVENTS.get(str(event.get("reason")), "pod-starts")
        return Reason(code, str(event["message"]))
    return None
