"""Prints what an adoption would write, and what it does to the pods."""

import difflib
from collections.abc import Sequence

from ..plan.differences import Change, show_changes
from ..project.project import shown_path
from ..show.tables import Printer
from .adoption import Adoption

STYLES = {"---": "bold", "+++": "bold", "@@ ": "cyan", "-": "red", "+": "green"}  # as git's


def show_adoption(adoption: Adoption) -> None:
    """Print the difference of each file, the two lists of settings, and the notes."""
    printer = Printer(markdown=False)
    for file, new in adoption.contents.items():
        show_difference(unified_diff(shown_path(file), file.read_bytes(), new), printer)
    if adoption.contents:
        print()
    proof = adoption.proof
    show_flows("Added, and nothing is lost", proof.configured, printer)
    show_flows("Changes", proof.changed, printer)
    if proof.unchanged:
        flows = (f"{flow}: {', '.join(pods)}" for flow, pods in proof.unchanged.items())
        printer.lines(f"Unchanged: {'; '.join(flows)}")
    printer.lines(*adoption.notes or [""])


def show_difference(difference: str, printer: Printer) -> None:
    """Print a difference, in colour on a terminal; elsewhere as `patch` reads it, tabs and all."""
    if not printer.console.is_terminal:
        print(difference, end="")
        return
    for line in difference.splitlines():
        style = next((STYLES[start] for start in STYLES if line.startswith(start)), None)
        printer.console.print(line, style=style, markup=False, emoji=False, soft_wrap=True)


def show_flows(title: str, changes: Sequence[Change], printer: Printer) -> None:
    """Print changes by the flow, below a title; nothing if there are none."""
    printer.lines(*([f"{title}:", ""] if changes else []))
    for flow in dict.fromkeys(change["flow"] for change in changes):
        printer.heading(flow)
        of_flow = [change for change in changes if change["flow"] == flow]
        show_changes(of_flow, set(), ("before", "after"), printer)


def unified_diff(name: str, old: bytes, new: bytes) -> str:
    """Return the difference of a file; its line ends are not shown."""
    before, after = (each.decode("utf-8-sig", "replace").splitlines() for each in (old, new))
    found = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="")
    return "".join(f"{line}\n" for line in found)
