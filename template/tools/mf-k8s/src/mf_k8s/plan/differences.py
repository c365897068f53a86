"""What differs between the pods of flows, before and after a change, and how it is printed."""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypedDict

from ..metaflow.record_requests import without_nulls
from ..pods.project_labels import annotation
from ..pods.read_pods import (
    WORKFLOW,
    Manifest,
    Pod,
    raw_pods,
    read_pod,
    without_added,
    workflow_settings,
)
from ..project.pod_table import POD
from ..show.mermaid import Graph, fenced
from ..show.tables import Printer

# The start of variables of Metaflow's own, which differ from one compilation to the next.
METAFLOW_VARIABLES = ("METAFLOW_", "ARGO_", "MF_")


@dataclass(frozen=True)
class HiddenValue:
    """A value that may be secret: a plan is posted on pull requests, so it is never printed."""

    value: Any


class Change(TypedDict):
    """One setting of one pod that differs."""

    flow: str
    pod: str
    setting: str
    old: Any
    new: Any


class Plan(TypedDict):
    """What differs between two states of a project; what `--format json` prints."""

    version: int
    against: str  # the revision
    added: list[str]  # flows
    removed: list[str]
    changes: list[Change]
    unchanged: dict[str, list[str]]  # the other pods, by flow
    notes: list[str]


Pods = Mapping[str, Mapping[str, Any]]  # settings by pod


def differences(old: Mapping[str, Pods], new: Mapping[str, Pods], against: str) -> Plan:
    """Return what differs between the pods of flows, by the flow's name."""
    changes: list[Change] = []
    unchanged: dict[str, list[str]] = {}
    for flow in sorted(new.keys() & old.keys()):
        for pod in {**new[flow], **old[flow]}:
            before, after = old[flow].get(pod, {}), new[flow].get(pod, {})
            differing = [key for key in {**after, **before} if before.get(key) != after.get(key)]
            for key in differing:
                was, will_be = printable(before.get(key), after.get(key))
                changes.append(Change(flow=flow, pod=pod, setting=key, old=was, new=will_be))
            if not differing and pod != WORKFLOW:
                unchanged.setdefault(flow, []).append(pod)
    return {
        "version": 1,
        "against": against,
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changes": changes,
        "unchanged": unchanged,
        "notes": [],
    }


def printable(old: Any, new: Any) -> tuple[Any, Any]:
    """Return `old` and `new`; of a hidden value only that it is there, and that it changes."""
    changed = "a value" if old is None else "another value"
    return (
        "a value" if isinstance(old, HiddenValue) else old,
        changed if isinstance(new, HiddenValue) else new,
    )


def planned_settings(
    workflow_template: Manifest,
    steps: Iterable[str] = (),
    expected: Mapping[str, Pod] = MappingProxyType({}),
) -> dict[str, dict[str, Any]]:
    """Return what a plan compares: settings and own variables of each pod, and the workflow's.

    The pods of `steps` come first, in that order. Of [pod] they have what is `expected`.

    Values of variables and parameters, which may be secret, are hidden, and so is the command.

    What differs between two compilations of one revision is left out. It is in the pods' scripts
    and in Metaflow's variables: times, tokens, the code package and random names.
    """
    spec = workflow_template["spec"]
    pods: dict[str, dict[str, Any]] = {}
    for name, raw in raw_pods(workflow_template).items():
        fields = expected.get(name, {}).get(POD)
        pods[name] = without_added(read_pod(*raw, fields=fields)) | own_variables(raw.container)
        retry = raw.spec.get("retryStrategy") or {}
        pods[name]["retry"] = retry.get("limit")
        pods[name]["retry after"] = retry.get("backoff", {}).get("duration")
        if command := step_command(raw.container):
            pods[name]["command"] = HiddenValue(command)
    of_flow = {key: annotation(workflow_template, key) or None for key in ("cron", "triggers")}
    of_flow["name"] = workflow_template["metadata"]["name"]  # which @project changes
    parameters = {
        f"parameter {parameter['name']}": HiddenValue(parameter.get("value"))
        for parameter in spec["arguments"]["parameters"]
    }
    whole = workflow_settings(workflow_template)
    settings = pods | {WORKFLOW: {**of_flow, **parameters, **whole}}
    return {step: settings[step] for step in steps if step in settings} | settings


def step_command(container: Manifest) -> str | None:
    """Return the part of a pod's script that starts a step: the flow's file, and its options.

    Not the @kubernetes and @environment that Metaflow itself gives to steps that have none.
    """
    script = " ".join(container.get("command") or ())
    found = re.search(r"\S*python\S*(?: -\w+)* \S+\.py .*?(?= step )", script)
    return found and re.sub(r"--with '?(kubernetes|environment)(:[^']*'|\S*) ", "", found[0])


def own_variables(container: Mapping[str, Any]) -> dict[str, HiddenValue]:
    """Return the variables of a container that are not Metaflow's."""
    return {
        f"variable {variable['name']}": HiddenValue(without_nulls(variable))
        for variable in container.get("env") or ()
        if not variable["name"].startswith(METAFLOW_VARIABLES)
    }


def show_plan(
    plan: Plan,
    markdown: bool,
    heads: tuple[str, str] | None = None,
    graphs: Mapping[str, Graph] | None = None,
) -> None:
    """Print a plan for people; `heads` say what old and new values are, if not a revision's.

    In Markdown, those of `graphs` are drawn whose flows change or are new.
    """
    printer = Printer(markdown)
    if not has_changes(plan):
        printer.lines(f"No pod changes between {plan['against']} and the working tree.")
    for flow in plan["added"]:
        printer.heading(f"{flow}: added")
        show_graph(flow, graphs, printer)
    for flow in plan["removed"]:
        printer.heading(f"{flow}: removed")
    for flow in sorted({*plan["unchanged"], *(change["flow"] for change in plan["changes"])}):
        show_flow(flow, plan, printer, heads or (f"at {plan['against']}", "now"), graphs)
    printer.lines(*plan["notes"])


def show_graph(flow: str, graphs: Mapping[str, Graph] | None, printer: Printer) -> None:
    if printer.markdown and graphs and flow in graphs:
        printer.lines(*fenced(graphs[flow]), "")


def show_flow(
    flow: str,
    plan: Plan,
    printer: Printer,
    heads: tuple[str, str],
    graphs: Mapping[str, Graph] | None,
) -> None:
    """Print what changes in a flow: once for all pods in which the same changes."""
    changes = [change for change in plan["changes"] if change["flow"] == flow]
    unchanged = plan["unchanged"].get(flow, [])
    printer.heading(f"{flow}: {'changed' if changes else 'unchanged'}")
    if changes:
        show_graph(flow, graphs, printer)
    every_pod = {change["pod"] for change in changes} - {WORKFLOW} | {*unchanged}
    show_changes(changes, every_pod, heads, printer)
    if unchanged and changes:
        printer.lines(f"unchanged: {', '.join(unchanged)}", "")


def show_changes(
    changes: Sequence[Change], every_pod: Set[str], heads: tuple[str, str], printer: Printer
) -> None:
    """Print changes of one flow in a table, or as blocks where that is wider than the terminal.

    `heads` say what old and new values are.
    """
    pods: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        old, new = printer.cell(change["old"]), printer.cell(change["new"])
        pods.setdefault((change["setting"], old, new), []).append(change["pod"])
    rows = [
        [key, "every pod" if {*names} == every_pod else printer.names(names, 24), old, new]
        for (key, old, new), names in pods.items()
    ]
    if rows and not printer.table(["", "pods", *heads], rows):
        for key, names, *values in rows:
            printer.block(f"{key}: {names}", dict(zip(heads, values, strict=True)))


def has_changes(plan: Plan) -> bool:
    return bool(plan["added"] or plan["removed"] or plan["changes"])
