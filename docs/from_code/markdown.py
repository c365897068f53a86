"""Tables of Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a line for each row."""
    lines = [head, ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Return a text as it may stand in a cell: in one line, without the sign that ends a cell."""
    return " ".join(text.split()).replace("|", r"\|")


def code(text: str) -> str:
    """Return a text as code; one with a backtick in it needs two at each end."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"
