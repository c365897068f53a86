"""What `check` finds of one flow, and how it is printed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from rich.markup import escape

from ..tables import Printer, as_text

MARK = "†"
RIGHT_BY_DEPLOY = "right when `k8s deploy` writes it; `argo-workflows create` by hand leaves off"


class Comparison(TypedDict):
    """One setting of one pod."""

    expected: Any
    found: Any
    equal: bool
    override: bool  # it differs from k8s.toml on purpose: the step or its pool says so


@dataclass(frozen=True)
class Report:
    """What was found of one flow, compiled or on the cluster."""

    file: Path
    flow: str | None = None  # the class
    of: str = "compiled"  # or an object on the cluster
    error: str | None = None  # why it could not be checked
    log: str = ""  # what was printed before the error
    failures: list[str] = field(default_factory=list)  # lines about the flow as a whole
    notes: list[str] = field(default_factory=list)
    next: dict[str, list[str]] = field(default_factory=dict)  # the steps after each step
    pods: dict[str, dict[str, Comparison]] = field(default_factory=dict)  # by pod and setting
    # pods that are right by `deploy` alone, with the settings that a plain `create` leaves off
    by_deploy: dict[str, list[str]] = field(default_factory=dict)

    @property
    def matches(self) -> bool:
        settings = (setting for pod in self.pods.values() for setting in pod.values())
        return not (self.error or self.failures) and all(setting["equal"] for setting in settings)

    @property
    def title(self) -> str:
        return f"{self.flow or self.file} ({self.of})"


def as_json(reports: Sequence[Report]) -> str:
    """Return what `--format json` prints: `version` (1), `equal` and, in `flows`, the reports.

    In a report, `by_deploy` has a key for each pod that is right only when `deploy` writes it. Its
    value lists the settings that `argo-workflows create` by hand leaves off.
    """
    flows = [asdict(report) | {"file": str(report.file)} for report in reports]
    for flow in flows:
        del flow["log"]
    matches = all(report.matches for report in reports)
    return json.dumps({"version": 1, "equal": matches, "flows": flows}, indent=2)


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


def show_report(report: Report, printer: Printer) -> None:
    result = "[green]every pod matches k8s.toml[/]"
    if not report.matches:
        result = "[bold red]does not match k8s.toml[/]"
    heading = "## " if printer.markdown else ""
    printer.console.print(f"{heading}{escape(report.title)}: {result}\n")
    groups = alike_pods(report)
    if printer.markdown and groups:
        printer.lines(*mermaid(report), "")
    columns = [report.pods[names[0]] for names in groups]
    keys = sorted({key for pod in columns for key in pod})
    printer.table(
        ["", *(column_head(report, names, printer) for names in groups)],
        [[key, *(cell(pod.get(key), printer) for pod in columns)] for key in keys],
    )
    lines = [*by_deploy_lines(report), report.error, *report.failures, *report.notes]
    printer.lines(*(f"- {line}" for line in lines if line), "")


def column_head(report: Report, names: Sequence[str], printer: Printer) -> str:
    """Return the names of alike pods, with a mark on those that are right by `deploy` alone."""
    marked = (f"{name} {MARK}" if name in report.by_deploy else name for name in names)
    return printer.line_break.join(marked)


def by_deploy_lines(report: Report) -> list[str]:
    """Return the line that explains the mark; none if no pod has it."""
    pods_by_settings: dict[str, list[str]] = {}
    for name, settings in report.by_deploy.items():
        pods_by_settings.setdefault(", ".join(settings), []).append(name)
    parts = [f"{settings} ({', '.join(names)})" for settings, names in pods_by_settings.items()]
    left_off = "; ".join(parts if len(parts) > 1 else pods_by_settings)
    return [f"{MARK} {RIGHT_BY_DEPLOY}: {left_off}"] if left_off else []


def alike_pods(report: Report) -> list[list[str]]:
    """Return the names of the pods in groups whose comparisons are the same."""
    groups: dict[str, list[str]] = {}
    for name, pod in report.pods.items():
        groups.setdefault(json.dumps(pod, sort_keys=True), []).append(name)
    return list(groups.values())


def cell(comparison: Comparison | None, printer: Printer) -> str:
    if not comparison:
        return ""
    expected, found = (printer.cell(comparison[key]) for key in ("expected", "found"))
    if not comparison["equal"]:
        return f"[red]expected[/] {expected}{printer.line_break}[bold red]found[/] {found}"
    return f"[cyan]{found} *[/]" if comparison["override"] else found


def mermaid(report: Report) -> list[str]:
    """Return the flow's graph, with the GPUs and memory of each step's pod."""
    lines = ["```mermaid", "flowchart LR"]
    for step, following in report.next.items():
        pod = report.pods.get(step) or report.pods.get(f"{step}/worker") or {}
        sizes = [as_text(pod[key]["found"], "<br>") for key in ("gpu", "memory") if key in pod]
        label = "<br>".join([step, *sizes])
        lines.append(f'  s_{step}["{label}"]')  # a step's own name may be a keyword, like `end`
        lines += [f"  s_{step} --> s_{other}" for other in following]
    return [*lines, "```"]
