"""Draws flows as a Mermaid graph, which GitHub and GitLab show: https://mermaid.js.org."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

# People do not look at more. GitLab draws all of a page at once up to 2,000 characters, and others
# by a click (MAX_CHAR_LIMIT in its render_sandboxed_mermaid.js).
MAX_STEPS = 30
MAX_CHARACTERS = 5_000
# Of all flows together: Mermaid itself stops at 500 arrows and 50,000 characters.
MAX_STEPS_IN_ALL = 200
# Only lines: what fills a box and the text in it is that of the page, which may be dark.
CLASSES = {
    "changed": "stroke:#d97706,stroke-width:3px",
    "added": "stroke:#16a34a,stroke-width:3px",
    "removed": "stroke:#dc2626,stroke-width:3px,stroke-dasharray:6 4",
    "wrong": "stroke:#dc2626,stroke-width:3px",
    "override": "stroke:#2563eb,stroke-width:3px",
}


@dataclass(frozen=True)
class Box:
    """A step in a graph."""

    lines: Sequence[str]  # its name, and what it asks for
    arrows: Mapping[str, str]  # to the steps after it, with what stands at each
    mark: str = ""  # one of CLASSES
    removed_arrows: tuple[str, ...] = ()  # to steps that came after it


Graph = Mapping[str, Box]  # by step


def fenced(graph: Graph) -> list[str]:
    """Return the lines of a graph in Markdown, or one that says why there is none."""
    reason = too_large(graph)
    return [reason] if reason else ["```mermaid", *flowchart([("", graph)]), "```"]


def flowchart(titled: Iterable[tuple[str, Graph]]) -> list[str]:
    """Return one Mermaid graph of several, each in a frame if it has a title.

    In a frame stands why a graph is too large to be drawn.
    """
    lines, classes, drawn = ["flowchart LR"], dict[str, list[str]](), 0
    for number, (title, graph) in enumerate(titled, 1):
        prefix = f"f{number}_" if title else ""
        if title:
            lines.append(f"  subgraph f{number}[{quoted([title])}]")
        reason = too_large(graph)
        if not reason and drawn + len(graph) > MAX_STEPS_IN_ALL:
            reason = f"no graph: of more than {MAX_STEPS_IN_ALL} steps, name the flow alone"
        if reason:
            lines.append(f"  {prefix}none[{quoted([reason])}]")
        else:
            drawn += len(graph)
            lines += boxes_and_arrows(graph, prefix)
            for name, box in zip(identifiers(graph, prefix).values(), graph.values(), strict=True):
                classes.setdefault(box.mark, []).append(name)
        if title:
            lines.append("  end")
    for mark, style in CLASSES.items():
        if mark in classes:
            lines += [f"  classDef {mark} {style}", f"  class {','.join(classes[mark])} {mark}"]
    return lines


def too_large(graph: Graph) -> str:
    """Return why a graph is not drawn, if it is not."""
    if len(graph) > MAX_STEPS:
        return f"no graph: {len(graph)} steps, and at most {MAX_STEPS} are drawn"
    characters = sum(len(line) + 1 for line in boxes_and_arrows(graph, ""))
    if characters > MAX_CHARACTERS:
        return f"no graph: {characters:,} characters, and at most {MAX_CHARACTERS:,} are drawn"
    return ""


def boxes_and_arrows(graph: Graph, prefix: str) -> Iterator[str]:
    """Yield the lines of a graph; the names of its boxes start with `prefix`."""
    names = identifiers(graph, prefix)
    for step, box in graph.items():
        yield f"  {names[step]}[{quoted(box.lines)}]"
        for other, text in box.arrows.items():
            label = f"|{quoted([text])}|" if text else ""
            yield f"  {names[step]} -->{label} {names[other]}"
        for other in box.removed_arrows:
            yield f"  {names[step]} -.-> {names[other]}"


def identifiers(graph: Graph, prefix: str) -> dict[str, str]:
    """Return each step's name in a graph: `end` is a word of Mermaid's, and so are others."""
    return {step: f"{prefix}s{number}" for number, step in enumerate(graph, 1)}


def quoted(lines: Sequence[str]) -> str:
    """Return lines as one text in quotes, without what Mermaid, Markdown or HTML would read.

    An underscore stays within a word, where Markdown lets it stand.
    """
    special = r"[^\w .,:/+@()→—-]|\b_|_\b"
    escaped = (re.sub(special, lambda found: f"#{ord(found[0])};", line) for line in lines)
    return f'"{"<br>".join(escaped)}"'
