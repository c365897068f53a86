"""Watches the pods of a run, and gives it up when it cannot move on."""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..cluster.pod_states import (
    METAFLOW_LABEL,
    count_phases,
    list_pods,
    list_warnings,
)
from ..cluster.target import Target
from ..errors import INTERRUPTED, CommandError, Finding
from ..pods.pending_reasons import Events, why_pending
from ..pods.project_labels import annotation
from ..pods.read_pods import Manifest
from ..pods.reasons import Reason
from ..show.progress import print_line

START_TIMEOUT_S = 40  # in which a pod must start, once it lacks something
QUEUE_TIMEOUT_S = 600  # the same while it lacks what other pods have, and they are at work
IDLE_TIMEOUT_S = 600  # in which a run must make a pod; Argo makes none while it waits for a retry
PROGRESS_EVERY_S = 10
POLL_EVERY_S = 2  # each lists all pods and Jobs of the namespace, and its events
interrupted = threading.Event()  # set when the user gives up, for all runs

End = TypeVar("End")
Objects = dict[str, Manifest]  # pods and Jobs by their names


def pods_and_jobs(target: Target) -> Objects:
    """Return the pods and Jobs of all flows by their names."""
    path = f"/apis/batch/v1/namespaces/{target.namespace}/jobs"
    jobs = target.list(path, labelSelector=METAFLOW_LABEL)
    everything = [*list_pods(target), *jobs]
    return {pod_or_job["metadata"]["name"]: pod_or_job for pod_or_job in everything}


@dataclass
class RunWatch:
    """What is known of one run of a flow while it lasts."""

    target: Target
    flow: str
    before: Collection[str]  # names of the pods and Jobs of other runs
    waiting_since: dict[str, float] = field(default_factory=dict)  # names that lack something
    active_at: float = field(default_factory=time.monotonic)  # when the run last had a pod at work
    printed_at: float = field(default_factory=time.monotonic)

    def until_end(self, end: Callable[[], End | None]) -> End:
        """Wait until `end` returns something, and return that; print on the way how far it is.

        Raise CommandError if a pod cannot start, or if nothing of the run is at work for long.
        """
        while (result := end()) is None:
            if interrupted.is_set():
                raise CommandError(INTERRUPTED)
            everything, warnings = pods_and_jobs(self.target), list_warnings(self.target)
            own = self.own_objects(everything)
            found = ((name, why_pending(item, warnings)) for name, item in own.items())
            reasons = {name: reason for name, reason in found if reason}
            self.give_up_on_pods(reasons, nodes_are_busy(everything, warnings))
            self.give_up_when_idle(own)
            self.print_progress(own, reasons)
            time.sleep(POLL_EVERY_S)
        return result

    def own_objects(self, everything: Objects) -> Objects:
        """Return the pods and Jobs of this run."""
        return {
            name: pod_or_job
            for name, pod_or_job in everything.items()
            if name not in self.before and annotation(pod_or_job, "flow_name") == self.flow
        }

    def give_up_on_pods(self, reasons: Mapping[str, Reason], busy: bool) -> None:
        now = time.monotonic()
        self.waiting_since = {name: self.waiting_since.get(name, now) for name in reasons}
        for name, since in self.waiting_since.items():
            in_queue = busy and reasons[name].passes
            if now - since > (QUEUE_TIMEOUT_S if in_queue else START_TIMEOUT_S):
                what = f"{name} cannot start: {reasons[name].what}"
                raise CommandError(Finding("pod-cannot-start", what, name, reasons[name].remedy))

    def give_up_when_idle(self, own: Objects) -> None:
        now = time.monotonic()
        if any(is_at_work(pod_or_job) for pod_or_job in own.values()):
            self.active_at = now
        if now - self.active_at > IDLE_TIMEOUT_S:
            idle = f"no pod of this run has been at work for {IDLE_TIMEOUT_S} s"
            remedy = "`uv run k8s kind logs FOLDER` collects what the cluster knows"
            finding = Finding("run-is-idle", f"{idle}, and it has not ended", self.flow, remedy)
            raise CommandError(finding)

    def print_progress(self, own: Objects, reasons: Mapping[str, Reason]) -> None:
        now = time.monotonic()
        if now - self.printed_at > PROGRESS_EVERY_S:
            phases = count_phases(own.values())
            counts = ", ".join(f"{count} {phase}" for phase, count in phases.items())
            reason = next((f": {reason.what}" for reason in reasons.values()), "")
            print_line(f"  {self.flow}: pods: {counts or 'none yet'}{reason}")
            self.printed_at = now


def is_at_work(pod_or_job: Manifest) -> bool:
    """Return whether a pod is pending or running, or a Job has such a pod."""
    status = pod_or_job["status"]
    return status.get("phase") in ("Pending", "Running") or bool(status.get("active"))


def nodes_are_busy(everything: Objects, warnings: Events) -> bool:
    """Return whether a pod on a node is at work, so that there will be room later."""
    return any(
        is_at_work(pod_or_job) and not why_pending(pod_or_job, warnings)
        for pod_or_job in everything.values()
        if pod_or_job["spec"].get("nodeName")
    )
