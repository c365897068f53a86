"""Shows what `check` and `plan` found: as a table, as Markdown or as JSON.

JSON of `check`: `version` (1); `equal`; `flows`, a list with for each `file`, `flow` (its class),
`of` (`compiled`, or the object on the cluster), `error` (why it could not be checked, or null),
`failures` and `notes` (lists of lines), `next` (the steps after each step) and `pods`: by the pod's
name and the setting's, `expected`, `found`, `equal`, `override` (differs from k8s.toml on purpose).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Report = Mapping[str, Any]


def is_equal(report: Report) -> bool:
    pods = report["pods"].values()
    return not report["failures"] and all(one["equal"] for pod in pods for one in pod.values())


def as_json(reports: Iterable[Report]) -> str:
    flows = [{key: value for key, value in one.items() if key != "log"} for one in reports]
    equal = all(is_equal(one) and not one["error"] for one in flows)
    return json.dumps({"version": 1, "equal": equal, "flows": flows}, indent=2)


def text(value: Any, line: str = "\n") -> str:
    """Give a setting's value as people read it, with `line` between the items of a list or table."""
    if value is None:
        return "—"
    if isinstance(value, dict):
        return line.join(f"{key}: {text(one, ', ')}" for key, one in value.items())
    if isinstance(value, list):
        return line.join(text(one, " ") for one in value)
    return str(value)


def grid(report: Report) -> tuple[list[str], list[tuple[str, list[Mapping[str, Any] | None]]]]:
    """Give a report as columns, one for all pods that are alike, and rows, one for each setting."""
    columns: list[tuple[list[str], Mapping[str, Any]]] = []
    for name, pod in report["pods"].items():
        alike = [names for names, other in columns if other == pod]
        if alike:
            alike[0].append(name)
        else:
            columns.append(([name], pod))
    keys = dict.fromkeys(key for _, pod in columns for key in pod)
    rows = [(key, [pod.get(key) for _, pod in columns]) for key in sorted(keys)]
    return ["\n".join(names) for names, _ in columns], rows


def print_table(reports: Iterable[Report], console: Console) -> None:
    for report in reports:
        if report["error"]:
            continue
        result = "[green]equal[/]" if is_equal(report) else "[bold red]different[/]"
        title = f"{report['flow'] or report['file']} ({report['of']})"
        console.print(f"[bold]{escape(title)}[/]: {result}", highlight=False)
        names, rows = grid(report)
        table = Table("", *names, show_lines=False, pad_edge=False)
        for key, cells in rows:
            table.add_row(key, *map(cell, cells))
        if rows:
            console.print(table)
        for line in report["failures"]:
            console.print(f"[red]{escape(line)}[/]", highlight=False)
        for line in report["notes"]:
            console.print(f"note: {escape(line)}", style="dim", highlight=False)
    console.print("[cyan]*[/] set apart from k8s.toml, by the step or its pool", highlight=False)


def cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    if not one["equal"]:
        expected, found = escape(text(one["expected"])), escape(text(one["found"]))
        return f"[red]expected[/] {expected}\n[bold red]found[/] {found}"
    shown = escape(text(one["found"]))
    return f"[cyan]{shown} *[/]" if one["override"] else shown


def as_markdown(reports: Iterable[Report]) -> str:
    lines = []
    for report in reports:
        state = "could not be checked" if report["error"] else "equal"
        state = state if report["error"] or is_equal(report) else "**different**"
        lines += [f"## {report['flow'] or report['file']} ({report['of']}): {state}", ""]
        names, rows = grid(report)
        if rows:
            lines += [*mermaid(report), "", " | ".join(["| ", *(one.replace("\n", "<br>") for one in names), ""])]
            lines += ["|---" * (len(names) + 1) + "|"]
        for key, cells in rows:
            lines += ["| " + " | ".join([key, *map(markdown_cell, cells)]) + " |"]
        said = [report["error"]] if report["error"] else [*report["failures"], *report["notes"]]
        lines += ["", *(f"- {line}" for line in said), ""]
    return "\n".join(lines)


def markdown_cell(one: Mapping[str, Any] | None) -> str:
    if one is None:
        return ""
    expected, found = (text(one[key], "<br>").replace("|", "\\|") for key in ("expected", "found"))
    shown = found if one["equal"] else f"❌ expected {expected}<br>**found {found}**"
    return f"{shown} \\*" if one["override"] else shown


def mermaid(report: Report) -> list[str]:
    """Give the flow's graph with what each step's pod has of GPUs and memory."""
    lines = ["```mermaid", "flowchart LR"]
    for step, following in report.get("next", {}).items():
        pod = report["pods"].get(step) or report["pods"].get(f"{step}/worker") or {}
        gpus = (pod.get("gpu") or {}).get("found") or {}
        has = [f"{number} {name}" for name, number in gpus.items()]
        has += [f"{(pod.get('memory') or {}).get('found')}"]
        lines += [f'  s_{step}["{step}<br>{"<br>".join(has)}"]']  # `end` alone is a keyword
        lines += [f"  s_{step} --> s_{other}" for other in following]
    return [*lines, "```"]
