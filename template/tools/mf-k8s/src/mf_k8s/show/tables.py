"""Prints tables for people: on a terminal, in a log, or as Markdown for a pull request."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

ANY_WIDTH = 100_000


@dataclass(frozen=True)
class Printer:
    """Prints to stdout in one format."""

    markdown: bool

    @property
    def console(self) -> Console:
        if self.markdown:
            return Console(width=ANY_WIDTH, color_system=None, highlight=False)
        return Console(highlight=False)

    @property
    def line_break(self) -> str:
        """Return what separates the lines of a table's cell."""
        return "<br>" if self.markdown else "\n"

    def cell(self, value: Any) -> str:
        """Return a value for a table's cell, a line for each item of a list or table."""
        return escape(as_text(value, self.line_break))

    def names(self, names: Iterable[str], width: int) -> str:
        """Return names as one text; on a terminal, in lines of `width` columns if they can be."""
        text = ", ".join(names)
        if not self.markdown:
            text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
        return escape(text)

    def lines(self, *lines: str) -> None:
        """Print lines as they are, wrapped between words."""
        if lines:
            self.console.print(*lines, sep="\n", markup=False)

    def heading(self, text: str) -> None:
        """Print a line that may hold rich's markup, and an empty one below it."""
        self.console.print(f"{'## ' if self.markdown else ''}{text}\n")

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
        """Print a table of cells that may hold rich's markup; nothing if it has no rows.

        Return whether it fits the terminal. If not, nothing is printed: its words would be broken.
        """
        console, style = self.console, box.MARKDOWN if self.markdown else box.SIMPLE_HEAD
        table = Table(box=style, show_edge=self.markdown)
        for head in heads:
            table.add_column(head, no_wrap=True)
        for row in rows:
            table.add_row(*(cell.replace("|", "\\|") if self.markdown else cell for cell in row))
        unbroken = console.measure(table, options=console.options.update_width(ANY_WIDTH))
        fits = unbroken.maximum <= console.width
        if rows and fits:
            console.print(table)
            if not self.markdown:  # whose tables end with an empty line
                console.print()
        return fits

    def block(self, title: str, cells: Mapping[str, str], width: int = 0) -> None:
        """Print a title and, below it, each cell beside its name, or below it if it is too long.

        `width` is that of the names, by default as wide as they are.
        """
        if self.markdown:
            self.table(["", title], [*cells.items()])
            return
        console = self.console
        console.print(f"[bold]{title}[/]", soft_wrap=True)
        labels = [Text.from_markup(name).plain.split("\n") for name in cells]
        width = max(width, *(len(line) for label in labels for line in label))
        for label, cell in zip(labels, cells.values(), strict=True):
            values = Text.from_markup(cell).split("\n")
            if 4 + width + max(map(len, values)) <= console.width:
                beside = zip_longest(label, values, fillvalue="")
                lines = [Text(f"  {left:<{width}}  ").append(right) for left, right in beside]
            else:
                lines = [Text(f"  {line}") for line in label]
                lines += [Text("    ").append(line) for line in values]
            for line in lines:
                line.rstrip()
                console.print(line, soft_wrap=True)
        console.print()


def as_text(value: Any, separator: str = "\n") -> str:
    """Return a value as people read it, with `separator` between the items of a list or table."""
    if isinstance(value, dict):
        return separator.join(f"{key}: {inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return separator.join(as_text(item, ", ") for item in value)
    return "—" if value is None else str(value)


def inline(value: Any) -> str:
    """Return what is in a table in one line; a table in it has braces, which show where it ends."""
    if isinstance(value, dict):
        return f"{{{as_text(value, ', ')}}}"
    return ", ".join(map(inline, value)) if isinstance(value, list) else as_text(value)
