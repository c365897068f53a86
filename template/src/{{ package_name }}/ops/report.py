"""Shows what `check` and `plan` found: as a table, as Markdown or as JSON.

JSON of `check`: `version` (1); `equal`; `flows`, a list with for each `file`, `flow` (its class),
`of` (`compiled`, or the object on the cluster), `error` (why it could not be checked, or null),
`failures` and `notes` (lists of lines), `next` (the steps after each step) and `pods`: by the pod's
name and the setting's, `expected`, `found`, `equal`, `override` (differs from k8s.toml on purpose).
JSON of `plan`: see `plan.plan`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Report = Mapping[str, Any]


def is_equal(report: Report) -> bool:
    pods = report["pods"].values()
    different = any(not one["equal"] for pod in pods for one in pod.values())
    return not (report["error"] or report["failures"] or different)


def as_json(reports: Sequence[Report]) -> str:
    flows = [{key: value for key, value in one.items() if key != "log"} for one in reports]
    return json.dumps({"version": 1, "equal": all(map(is_equal, flows)), "flows": flows}, indent=2)


def text(value: Any, line: str = "\n") -> str:
    """Give a value as people read it, with `line` between the items of a list or table."""
    if isinstance(value, dict):
        value = [f"{key}: {text(one, ', ')}" for key, one in value.items()]
    if isinstance(value, list):
        return line.join(text(one, ", ") for one in value)
    return "—" if value is None else str(value)


def grid(report: Report) -> tuple[list[list[str]], dict[str, list[Any]]]:
    """Give the names of the pods that are alike, a column each, and a row for each setting."""
    columns: dict[str, list[str]] = {}
    for name, pod in report["pods"].items():
        columns.setdefault(json.dumps(pod, sort_keys=True), []).append(name)
    pods = [report["pods"][names[0]] for names in columns.values()]
    keys = sorted({key for pod in pods for key in pod})
    return list(columns.values()), {key: [pod.get(key) for pod in pods] for key in keys}


def cell(one: Any, line: str) -> str:
    if not one:
        return ""
    expected, found = (escape(text(one[key], line)) for key in ("expected", "found"))
    if not one["equal"]:
        return f"[red]expected[/] {expected}{line}[bold red]found[/] {found}"
    return f"[cyan]{found} *[/]" if one["override"] else found


def show(reports: Sequence[Report], markdown: bool) -> None:
    """Print what `check` found, for people."""
    console, line = output(markdown)
    for report in reports:
        if report["error"] and not markdown:
            continue  # stderr says it
        result = "[green]equal[/]" if is_equal(report) else "[bold red]different[/]"
        name = escape(f"{report['flow'] or report['file']} ({report['of']})")
        console.print(f"{'## ' if markdown else ''}{name}: {result}\n")
        columns, rows = grid(report)
        if markdown and rows:
            console.print(*mermaid(report), "", sep="\n", markup=False)
        print_rows(
            ["", *map(line.join, columns)],
            [[key, *(cell(one, line) for one in cells)] for key, cells in rows.items()],
            markdown,
        )
        said = [report["error"], *report["failures"], *report["notes"]]
        console.print(*(f"- {one}" for one in said if one), "", sep="\n", markup=False)
    cells = [one for report in reports for pod in report["pods"].values() for one in pod.values()]
    if any(one["override"] and one["equal"] for one in cells):
        console.print("* differs from k8s.toml: the step or its pool says so", markup=False)


def output(markdown: bool) -> tuple[Console, str]:
    """Give a console, and what is between the lines of a table's cell on it."""
    if markdown:
        return Console(width=100_000, color_system=None, highlight=False), "<br>"
    return Console(highlight=False), "\n"


def print_rows(heads: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> None:
    table = Table(box=box.MARKDOWN if markdown else box.ROUNDED)
    for number, head in enumerate(heads):
        table.add_column(head, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(one.replace("|", "\\|") if markdown else one for one in row))
    output(markdown)[0].print(table if rows else "")


def mermaid(report: Report) -> list[str]:
    """Give the flow's graph with what each step's pod has of GPUs and memory."""
    lines = ["```mermaid", "flowchart LR"]
    for step, following in report["next"].items():
        pod = report["pods"].get(step) or report["pods"].get(f"{step}/worker") or {}
        has = [text(pod[key]["found"], "<br>") for key in ("gpu", "memory") if key in pod]
        label = "<br>".join([step, *has])
        lines += [f'  s_{step}["{label}"]']  # `end` alone is a keyword of mermaid
        lines += [f"  s_{step} --> s_{other}" for other in following]
    return [*lines, "```"]


def show_plan(plan: Mapping[str, Any], markdown: bool) -> None:
    """Print what `plan` found, for people."""
    rows = [[flow, "", "", "—", "added"] for flow in plan["added"]]
    rows += [[flow, "", "", "removed", "—"] for flow in plan["removed"]]
    for one in plan["changes"]:
        values = [escape(text(one[key], output(markdown)[1])) for key in ("old", "new")]
        rows += [[one["flow"], one["pod"], one["setting"], *values]]
    for flow, pods in plan["unchanged"].items():
        rows += [[flow, ", ".join(pods), "", "unchanged", ""]]
    if not (plan["added"] or plan["removed"] or plan["changes"]):
        output(markdown)[0].print(f"No pod changes between {plan['against']} and this tree.")
    print_rows(["flow", "pod", "setting", f"at {plan['against']}", "now"], rows, markdown)
    output(markdown)[0].print(*plan["notes"], sep="\n", markup=False)
