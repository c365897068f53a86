"""Prints tables for people: on a terminal, or as Markdown for a pull request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Format = Literal["table", "json", "markdown"]


@dataclass(frozen=True)
class Printer:
    """Prints to stdout in one format."""

    markdown: bool

    @property
    def console(self) -> Console:
        if self.markdown:
            return Console(width=100_000, color_system=None, highlight=False)
        return Console(highlight=False)

    @property
    def line_break(self) -> str:
        """Return what separates the lines of a table's cell."""
        return "<br>" if self.markdown else "\n"

    def cell(self, value: Any) -> str:
        """Return a value for a table's cell, a line for each item of a list or table."""
        return escape(as_text(value, self.line_break))

    def lines(self, *lines: str) -> None:
        """Print lines as they are."""
        self.console.print(*lines, sep="\n", markup=False)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of cells that may hold rich's markup; nothing if it has no rows."""
        table = Table(box=box.MARKDOWN if self.markdown else box.ROUNDED)
        for number, head in enumerate(heads):
            table.add_column(head, overflow="fold", no_wrap=number == 0)
        for row in rows:
            table.add_row(*(cell.replace("|", "\\|") if self.markdown else cell for cell in row))
        self.console.print(table if rows else "")


def as_text(value: Any, separator: str = "\n") -> str:
    """Return a value as people read it, with `separator` between the items of a list or table."""
    if isinstance(value, dict):
        value = [f"{key}: {as_text(item, ', ')}" for key, item in value.items()]
    if isinstance(value, list):
        return separator.join(as_text(item, ", ") for item in value)
    return "—" if value is None else str(value)
