"""Tells in which state the pods of a run are, and which deployment it was started from."""

import contextlib
import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

from ..cluster.pod_states import count_phases, list_warnings
from ..cluster.target import Target
from ..errors import CommandError
from ..pods.pending_reasons import Events, why_pending
from ..pods.project_labels import annotation
from ..pods.read_pods import Manifest
from .report import Report

CODE = re.compile(r"METAFLOW_CODE_SHA\W+value\W+(\w+)")  # in the text that a JobSet is


def with_run_state(
    report: Report,
    target: Target,
    run: str,
    pods: Sequence[Manifest],
    templates: Sequence[Manifest],
) -> Report:
    """Return the report on a run with the state of its pods.

    `templates` are the deployed WorkflowTemplates of its flow.
    """
    phases = count_phases(pods)
    warnings: Events = {}
    if "pending" in phases:
        with contextlib.suppress(CommandError):  # the account may not be allowed to list events
            warnings = list_warnings(target)
    reasons = {pod["metadata"]["name"]: why_pending(pod, warnings) for pod in pods}
    return dataclasses.replace(
        report,
        started=pods[0]["metadata"]["creationTimestamp"],
        phases=phases,
        cannot_start={pod: str(reason) for pod, reason in reasons.items() if reason},
        older_deployment=older_deployment(run, pods, templates),
    )


def older_deployment(run: str, pods: Sequence[Manifest], templates: Sequence[Manifest]) -> str:
    """Return what tells a run's deployment from the present one; nothing if it is the same.

    Argo names a run as its WorkflowTemplate, and adds `-` and chance, or the time of a schedule.
    """
    name = run.removeprefix("argo-").rpartition("-")[0]
    for template in templates:
        if template["metadata"]["name"] == name and run.startswith("argo-"):
            before, now = (
                {
                    "code package": next(code_packages(manifests), "")[:7],
                    "deployed at": annotation(manifests[0], "deployment_timestamp")[:19],
                }
                for manifests in (pods, [template])
            )
            return "; ".join(
                f"{key} {before[key]}, now {now[key]}"
                for key in before
                if before[key] and now[key] and before[key] != now[key]
            )
    return ""


def code_packages(manifests: Iterable[Manifest]) -> Iterator[str]:
    """Yield the hash of the code package of each container of pods or templates, JobSets too."""
    specs = [manifest["spec"] for manifest in manifests]
    for part in (part for spec in specs for part in (spec, *spec.get("templates", ()))):
        for container in (*part.get("containers", ()), part.get("container") or {}):
            for variable in container.get("env") or ():
                if variable["name"] == "METAFLOW_CODE_SHA":
                    yield variable["value"]
        yield from CODE.findall((part.get("resource") or {}).get("manifest", ""))
