"""Prints what the doctor has found: as text, as Markdown or as JSON."""

import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from ..cluster.target import Target
from ..errors import Finding
from ..show.tables import Printer
from .answers import ACCEPTED, CANNOT_TELL, NOT_ASKED, OK, PROBLEM, Answer, FlowPod, shown_pods
from .explain_run import Explained

ORDER = (
    OK,
    ACCEPTED,
    CANNOT_TELL,
    NOT_ASKED,
    PROBLEM,
)  # the problems last, where a terminal shows them
NOT_NOW = "not now"  # how a problem is called that passes by itself
STYLES = {
    PROBLEM: "bold red",
    NOT_NOW: "red",
    CANNOT_TELL: "yellow",
    NOT_ASKED: "yellow",
    ACCEPTED: "yellow",
    OK: "green",
}
WIDTH, CODE_WIDTH = 13, 20  # of the first columns


def as_json(
    answers: Sequence[Answer],
    errors: Iterable[Finding],
    every: Collection[FlowPod],
    **more: Any,
) -> str:
    """Return what `--format json` prints: `version` (1), `ok`, `answers` and `errors`.

    An answer has the rule's `code`, its `state` (see answers.State), `what`, `remedy`, whether it
    `passes` by itself, and in `pods` the `flow` and `pod` of each it is about. `ok` is true if
    no answer is a problem. `more` are keys of a command's own, like `logs`.
    """
    rows = [
        {
            "code": answer.code,
            "state": answer.state,
            "what": answer.what,
            "remedy": answer.remedy,
            "passes": answer.passes,
            "pods": [{"flow": pod.flow, "pod": pod.name} for pod in answer.pods or every],
        }
        for answer in answers
    ]
    is_ok = all(answer.state != PROBLEM for answer in answers)
    failed = [asdict(finding) for finding in errors]
    whole = {"version": 1, "ok": is_ok, "answers": rows, "errors": failed, **more}
    return json.dumps(whole, indent=2)


def print_answers(
    answers: Sequence[Answer],
    every: Collection[FlowPod],
    markdown: bool,
    counted: bool = True,
) -> None:
    """Print what is right, then what cannot be told, then the problems; last, if `counted`, how
    many there are of each."""
    printer = Printer(markdown)
    in_order = sorted(answers, key=place)
    if markdown:
        heads = ("", "rule", "what", "pods", "what to do")
        rows = [[printer.cell(text) for text in row(answer, every)] for answer in in_order]
        printer.table(heads, rows)
    else:
        for state, codes, lines in blocks(in_order, every):
            first, *others = lines
            start = f"[{STYLES[state]}]{state:<{WIDTH}}[/]{escape(codes):<{CODE_WIDTH}}"
            printer.console.print(f"{start} {escape(first)}", soft_wrap=True)
            for line in others:
                printer.console.print(f"{'':<{WIDTH}}{escape(line)}", soft_wrap=True)
        printer.lines("")
    if counted:
        printer.lines(summary(answers))


def print_run(explained: Explained, format: str, target: Target, run: str) -> None:
    """Print why a run is pending or has failed, and the ends of the logs of its failed pods."""
    if format == "json":
        print(as_json(explained.answers, (), explained.pods, logs=explained.logs))
        return
    phase = f": {explained.phase}" if explained.phase else ""
    print(f"{'cluster':<16} {target}\n{'run':<16} {run}{phase}\n", flush=True)
    for pod, text in explained.logs.items():
        block = f"{pod}: {text}"
        print(f"```\n{block}\n```\n" if format == "markdown" else f"{block}\n")
    print_answers(explained.answers, (), format == "markdown")


def place(answer: Answer) -> tuple[int | str, ...]:
    """Return by what answers are sorted: those that cannot tell for one reason are neighbours."""
    alike = () if answer.state in (OK, ACCEPTED, PROBLEM) else (answer.what,)
    return ORDER.index(answer.state), *alike, answer.code, answer.what


def row(answer: Answer, every: Collection[FlowPod]) -> tuple[str, ...]:
    pods = "" if answer.state == OK else shown_pods(answer.pods, every)
    return (state_of(answer), answer.code, answer.what, pods, answer.remedy)


def state_of(answer: Answer) -> str:
    return NOT_NOW if answer.passes and answer.state == PROBLEM else answer.state


def blocks(
    answers: Iterable[Answer], every: Collection[FlowPod]
) -> Iterator[tuple[str, str, list[str]]]:
    """Yield state, codes and lines of what is printed together.

    Rules that cannot tell for one reason are one block.
    """
    for (state, what), alike in itertools.groupby(
        answers, lambda each: (state_of(each), each.what)
    ):
        group = [*alike]
        codes = ", ".join(dict.fromkeys(answer.code for answer in group))
        pods = [pod for answer in group for pod in answer.pods or every]
        lines = [what]
        if state in (PROBLEM, NOT_NOW):
            verb = "delays" if group[0].passes else "stops"
            lines += [f"{verb} {shown_pods(pods, every)}", *(each.remedy for each in group)]
        yield state, codes, [*filter(None, dict.fromkeys(lines))]


def summary(answers: Iterable[Answer]) -> str:
    """Return how many answers there are of each state."""
    counts = Counter(state_of(answer) for answer in answers)
    words = {
        ACCEPTED: "accepted",
        PROBLEM: "problem",
        NOT_NOW: "not now",
        CANNOT_TELL: "that cannot be told",
        NOT_ASKED: "not asked",
    }
    texts = [f"{counts[OK]} ok"]
    for state, word in words.items():
        if number := counts[state]:
            plural = "s" if state == PROBLEM and number > 1 else ""
            texts.append(f"{number} {word}{plural}")
    return ", ".join(texts)
