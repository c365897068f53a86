"""Compares what starts a flow on a cluster with what its code and the environment say."""

import dataclasses

from ..cluster.api import ARGO
from ..cluster.target import Target
from ..errors import CommandError
from ..pods.read_pods import WORKFLOW, Manifest
from ..pods.starters import A_SENSOR, EVENTS, SCHEDULE, cron_text, starters
from .compare import compare_values
from .report import Report


def with_starters(
    report: Report, compiled: Manifest, template: Manifest, target: Target, ask: bool
) -> Report:
    """Return the report on a WorkflowTemplate with what starts its flow by itself, if anything.

    With `ask` the CronWorkflow and the Sensor themselves are compared. One that is suspended
    counts as if it were not: that is how people pause a schedule.
    """
    expected = starters(compiled) if target.environment.starts_flows else {}
    found, notes = starters(template), []
    if ask:
        for kind in sorted({*expected, *found}):
            try:
                on_cluster = start_on_cluster(target, template, kind)
            except CommandError as error:
                notes.append(f"{kind}: not compared with the cluster: {error}")
                continue
            found = {**found, kind: on_cluster}
    whole = {
        kind: compare_values(expected.get(kind), found.get(kind) or None)
        for kind in sorted({*expected, *found})
    }
    pods = {**report.pods}
    if whole:
        pods[WORKFLOW] = {**pods.get(WORKFLOW, {}), **whole}
    return dataclasses.replace(report, pods=pods, notes=[*report.notes, *notes])


def start_on_cluster(target: Target, template: Manifest, kind: str) -> str:
    """Return when the cluster starts a flow, or that a Sensor does; empty if nothing does."""
    name, namespace = template["metadata"]["name"], target.namespace
    plural = "cronworkflows"
    if kind == EVENTS:
        name, plural = name.replace(".", "-"), "sensors"
        namespace = target.configuration.setting("ARGO_EVENTS_SENSOR_NAMESPACE") or namespace
    try:
        listed = target.list(f"{ARGO}/{namespace}/{plural}", fieldSelector=f"metadata.name={name}")
    except CommandError as error:
        if kind == EVENTS and getattr(error.__cause__, "status", 0) == 404:
            return ""  # few clusters have Argo Events
        raise
    named = [each for each in listed if each["metadata"]["name"] == name]
    if kind == SCHEDULE:
        return cron_text(named[0]) if named else ""
    return A_SENSOR if named else ""
