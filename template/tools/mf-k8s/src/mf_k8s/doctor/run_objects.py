"""Finds what a cluster has of one run: its pods, Jobs, events and the Workflow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..check.live import pod_name
from ..cluster.pod_logs import LOG
from ..cluster.rights import Kind, Right
from ..cluster.view import EVENTS, JOBS, PODS, WORKFLOWS, NotAllowed, View
from ..errors import CommandError, Finding
from ..pods.pending_reasons import Events, warnings_by_object
from ..pods.project_labels import annotation, foreign_marks, marks
from ..pods.read_pods import Manifest
from ..project.project import Project
from .answers import FlowPod

READS = (PODS.list, EVENTS.list, JOBS.list, WORKFLOWS.get, LOG)
PREFIX = "argo-"  # of the IDs of runs on Argo, before the name of the Workflow
NODE = "workflows.argoproj.io/node-name"
TRY = re.compile(r"\(\d+\)$")  # of a step with @retry, in the name of its node


@dataclass(frozen=True)
class RunObjects:
    """What there is of a run, oldest first."""

    run: str
    pods: Sequence[Manifest]
    jobs: Sequence[Manifest]  # without pods of their own among `pods`
    workflow: Manifest | None
    all_events: Sequence[Manifest]
    lacking: Sequence[Right] = field(default=())  # rights for want of which something is not seen

    @cached_property
    def events(self) -> Events:
        """Return the warnings about each object."""
        return warnings_by_object(self.all_events)

    def events_of_node(self, node: Mapping[str, Any]) -> list[Manifest]:
        """Return the events about the pod of a node of the Workflow, which may be gone.

        Its name ends as the node's ID: PodName of argo-workflows, workflow/util/pod_name.go.
        """
        workflow, _, end = str(node.get("id")).rpartition("-")
        return [
            event
            for event in self.all_events
            if event["involvedObject"].get("name", "").startswith(workflow)
            and event["involvedObject"]["name"].endswith(f"-{end}")
        ]


def read_run(project: Project, view: View, run: str) -> RunObjects:
    """Return what there is of a run; `run` is its ID, on Argo with or without its prefix.

    Raise CommandError if there is nothing, or if it is another project's.
    """
    lacking: list[Right] = []

    def listed(kind: Kind) -> list[Manifest]:
        try:
            found: list[Manifest] = view.list(kind)
            return found
        except NotAllowed as refusal:
            lacking.append(refusal.right)
            return []

    names = {run, PREFIX + run}
    pods = [pod for pod in listed(PODS) if annotation(pod, "run_id") in names]
    jobs = [job for job in listed(JOBS) if run_of_job(job) in names]
    workflow = None
    try:
        workflow = view.get(WORKFLOWS, run.removeprefix(PREFIX))
    except NotAllowed as refusal:
        lacking.append(refusal.right)
    found = [*pods, *jobs, *([workflow] if workflow else [])]
    check_own(project, view, run, found, lacking)
    owners = {owner["name"] for pod in pods for owner in pod["metadata"].get("ownerReferences", ())}
    return RunObjects(
        run,
        sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))),
        [job for job in jobs if job["metadata"]["name"] not in owners],
        workflow,
        listed(EVENTS),
        lacking,
    )


def check_own(
    project: Project, view: View, run: str, found: Sequence[Manifest], lacking: Sequence[Right]
) -> None:
    """Raise CommandError if a run is not there, or is another project's."""
    place = f"namespace {view.target.namespace}"
    if not found:
        what = f"there is no pod, Job or Workflow of a run {run} in {place}"
        remedy = (
            "its ID may be another, or its place, see --env; or it has been deleted, by"
            " `[workflow] ttl` or by hand"
        )
        if lacking:
            what += f" that you may see (you may not {', '.join(map(str, lacking))})"
        raise CommandError(Finding("run-unknown", what, run, remedy))
    for item in found:
        if foreign := foreign_marks(item, marks(project)):
            what = f"run {run} in {place} is of another project: {', '.join(foreign.values())}"
            raise CommandError(Finding("run-of-another", what, run, "ask there"))


def run_of_job(job: Manifest) -> str:
    template = job["spec"]["template"]
    return annotation(job, "run_id") or annotation({"metadata": {}} | template, "run_id")


def flow_pod(pod: Manifest) -> FlowPod:
    """Return a live pod under the names that the doctor has for those of flows."""
    name = pod_name(pod) or str(pod["metadata"]["name"])
    return FlowPod(annotation(pod, "flow_name"), name, pod)


def last_tries(pods: Sequence[Manifest]) -> Iterator[Manifest]:
    """Yield the last pod of each task: those before it were tried again."""
    last: dict[str, Manifest] = {}
    for pod in pods:
        node = (pod["metadata"].get("annotations") or {}).get(NODE, "")
        task = annotation(pod, "task_id") or TRY.sub("", node) or pod["metadata"]["name"]
        last[f"{pod_name(pod)}/{task}"] = pod
    yield from last.values()
