"""Prints the reports of `check` for people."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape

from ..errors import CommandError
from ..pods.read_pods import WORKFLOW
from ..project.flow_files import no_flow_started
from ..project.project import shown_path
from ..show.mermaid import fenced, flowchart
from ..show.progress import print_error
from ..show.tables import Printer
from .graph import graph_of
from .report import Comparison, Report

MARK = "†"
Pods = Mapping[str, Mapping[str, Comparison]]  # by pod and setting


def show_reports(reports: Sequence[Report], markdown: bool) -> None:
    """Print reports for people."""
    printer = Printer(markdown)
    for report in reports:
        if markdown or not report.error:  # which stderr says
            show_report(report, printer)
    cells = [
        setting for report in reports for pod in report.pods.values() for setting in pod.values()
    ]
    if any(setting["override"] and setting["equal"] for setting in cells):
        printer.lines("* differs from k8s.toml: the step or its pool says so")
    of_pods = itertools.chain(*(report.by_deploy.values() for report in reports))
    if left_off := sorted({*itertools.chain(*of_pods)}):
        by_deploy = f"{MARK} set by `k8s deploy`, not by a plain `argo-workflows create`"
        printer.lines(f"{by_deploy}: {', '.join(left_off)}")


def show_graphs(reports: Sequence[Report]) -> None:
    """Print one Mermaid graph of all flows that could be checked."""
    graphs = ((f"{each.title}: {each.result}", graph_of(each)) for each in reports if each.pods)
    Printer(markdown=True).lines(*flowchart(graphs))


def show_report(report: Report, printer: Printer) -> None:
    color = "green" if report.all_equal else "yellow"  # of an older deployment
    style = color if report.matches else "bold red"
    printer.heading(f"{escape(report.title)}: [{style}]{report.result}[/]")
    pods = {name: pod for name, pod in report.pods.items() if name != WORKFLOW}
    if pods:
        names = (f"{name} {MARK}" if name in report.by_deploy else name for name in pods)
        printer.lines(f"Pods: {', '.join(names)}", "")
        if printer.markdown:
            printer.lines(*fenced(graph_of(report)), "")
        show_pods(pods, printer)
    if whole := report.pods.get(WORKFLOW):
        mark = f" {MARK}" if WORKFLOW in report.by_deploy else ""
        settings = {key: cell(setting, printer) for key, setting in whole.items()}
        printer.block(f"the whole workflow{mark}", settings)
    of_create = (f"{MARK} {line}" for line in report.release_problems)
    error = report.error and report.error.message
    wrong = [error, *report.failures]  # apart from notes, of which there may be many
    for lines in (wrong, [*run_lines(report), *report.notes, *of_create]):
        if found := [f"- {line}" for line in lines if line]:
            printer.lines(*found, "")


def run_lines(report: Report) -> Iterator[str]:
    """Yield in which state the pods of a run are, and which deployment it was started from."""
    if report.phases:
        counts = ", ".join(f"{count} {phase}" for phase, count in report.phases.items())
        yield f"pods since {report.started}: {counts}"
    for pod, reason in report.cannot_start.items():
        yield f"{pod} cannot start: {reason}"
    if report.older_deployment:
        yield f"started from an older deployment ({report.older_deployment})"


def show_pods(pods: Pods, printer: Printer) -> None:
    """Print what all pods share, then what all steps share, then a table of the rest."""
    every_pod = [name for name, pod in pods.items() if "pod" not in pod]  # not those that miss
    every_step = [name for name, pod in pods.items() if "cpu" in pod]  # of others not compared
    settings = sorted({key for pod in pods.values() for key in pod})
    width = max(map(len, settings))
    for title, names in {"every pod": every_pod, "every step": every_step}.items():
        shared = [key for key in settings if names and alike_pods(pods, [key]) == [names]]
        settings = [key for key in settings if key not in shared]
        if shared:
            printer.block(title, {key: cell(pods[names[0]][key], printer) for key in shared}, width)
    groups = alike_pods(pods, settings)
    heads = ["every step" if names == every_step else printer.names(names, 24) for names in groups]
    columns = [pods[names[0]] for names in groups]
    rows = [[key, *(cell(column.get(key), printer) for column in columns)] for key in settings]
    if not printer.table(["", *heads], rows):
        for key in settings:
            alike = alike_pods(pods, [key])
            printer.block(
                key,
                {printer.names(names, 60): cell(pods[names[0]][key], printer) for names in alike},
            )


def alike_pods(pods: Pods, settings: Sequence[str]) -> list[list[str]]:
    """Return the names of pods that have any of some settings, in groups that compare the same."""
    groups: dict[str, list[str]] = {}
    for name, pod in pods.items():
        if compared := {key: pod[key] for key in settings if key in pod}:
            groups.setdefault(json.dumps(compared, sort_keys=True), []).append(name)
    return list(groups.values())


def cell(comparison: Comparison | None, printer: Printer) -> str:
    if not comparison:
        return ""
    expected, found = (printer.cell(comparison[key]) for key in ("expected", "found"))
    if not comparison["equal"]:
        return f"[red]expected[/] {expected}{printer.line_break}[bold red]found[/] {found}"
    return f"[cyan]{found} *[/]" if comparison["override"] else found


def reports_on_flows(reports: list[Report], named: bool) -> list[Report]:
    """Return the reports on files that start a flow, and say which others were left out.

    Raise CommandError if no other is left, or if the user has `named` the files.
    """
    others = [report for report in reports if not report.flow and not report.error]
    names = ", ".join(shown_path(report.file) for report in others)
    if others and (named or others == reports):
        raise CommandError(no_flow_started(names))
    for report in others:
        print_error(f"k8s: {shown_path(report.file)} starts no flow, so it is left out")
    return [report for report in reports if report not in others]
