"""Changes of a Python file at places of its syntax tree, which leave every other character."""

import ast
import bisect
import functools
import io
import json
import re
import tokenize
from collections.abc import Sequence
from typing import Any, NamedTuple

LINE_END = re.compile(r"\r\n|\r|\n")

Node = ast.expr | ast.stmt | ast.keyword | ast.alias  # those that have a place


class Edit(NamedTuple):
    """A part of a text, and what takes its place."""

    start: int
    end: int
    new: str


class TextEdits:
    """The text of a file, and what takes the place of parts of it."""

    def __init__(self, content: bytes) -> None:
        self.encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        self.text = content.decode(self.encoding)
        self.starts = [0, *(match.end() for match in LINE_END.finditer(self.text))]
        self.line_end = next(iter(LINE_END.findall(self.text)), "\n")
        self.edits: list[Edit] = []

    def line_start(self, line: int) -> int:
        """Return where a line begins; that after the last one is where the text ends."""
        return self.starts[line - 1] if line <= len(self.starts) else len(self.text)

    def line_text(self, line: int) -> str:
        return self.text[self.line_start(line) : self.line_start(line + 1)]

    def offset(self, line: int, column: int) -> int:
        """Return a place in the text; a syntax tree counts columns in bytes of UTF-8."""
        return self.line_start(line) + len(self.line_text(line).encode()[:column].decode())

    def span(self, node: Node) -> tuple[int, int]:
        assert node.end_lineno and node.end_col_offset is not None
        start = self.offset(node.lineno, node.col_offset)
        return start, self.offset(node.end_lineno, node.end_col_offset)

    def source(self, node: Node) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def before(self, node: Node) -> str:
        """Return what stands before a node in its line."""
        start, _ = self.span(node)
        return self.text[self.line_start(node.lineno) : start]

    def change(self, start: int, end: int, new: str) -> None:
        self.edits.append(Edit(start, end, new))

    def replace(self, node: Node, new: str) -> None:
        self.change(*self.span(node), new)

    def insert(self, offset: int, new: str) -> None:
        self.change(offset, offset, new)

    def remove_lines(self, first: int, last: int) -> None:
        self.change(self.line_start(first), self.line_start(last + 1), "")

    def remove_decorator(self, node: ast.expr) -> None:
        """Take a decorator's lines away; its comments stay."""
        self.remove_lines(node.lineno, node.end_lineno or node.lineno)
        self.keep_comments(node, self.edits[-1:])

    def indentation(self, node: Node) -> str:
        before = self.before(node)
        return before[: len(before) - len(before.lstrip(" \t"))]

    def keep_comments(self, node: ast.expr, edits: Sequence[Edit]) -> None:
        """Write the comments that edits of a decorator remove above it, on lines of their own."""
        indent = self.indentation(node)
        removed = (
            comment
            for start, end, new in edits
            for place, comment in self.comments
            if start <= place < end and comment not in new
        )
        lines = "".join(f"{indent}{comment}{self.line_end}" for comment in removed)
        self.insert(self.line_start(node.lineno), lines)

    @functools.cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Return each comment, and where it is."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text, newline="").readline)
        return [
            (self.line_start(token.start[0]) + token.start[1], token.string)
            for token in tokens
            if token.type == tokenize.COMMENT
        ]

    def separator(self, node: Node) -> str:
        """Return what separates an item from the next: a line break too if it begins its line."""
        before = self.before(node)
        return ", " if before.strip() else f",{self.line_end}{before}"

    def write_arguments(self, call: ast.Call, texts: Sequence[Sequence[str]]) -> None:
        """Write what takes the place of each keyword argument of a call; some of it must stay."""
        for argument, new in zip(call.keywords, texts, strict=True):
            if new and [*new] != [self.source(argument)]:
                self.replace(argument, self.separator(argument).join(new))
        pairs = zip(call.keywords, texts, strict=True)
        self.remove_items(call.keywords, [argument for argument, new in pairs if not new])

    def remove_items(self, items: Sequence[Node], removed: Sequence[Node]) -> None:
        """Take items out of a list, which commas or semicolons separate, but not all of them.

        The lines that they fill go too. What stays keeps its comments.
        """
        for item in removed:
            start, end = self.span(item)
            index = items.index(item)
            staying = [other for other in items[:index] if other not in removed]
            staying_end = self.span(staying[-1])[1] if staying else 0
            if self.fills_lines(item):
                self.remove_lines(item.lineno, item.end_lineno or item.lineno)
            elif index + 1 < len(items):
                self.change(start, self.span(items[index + 1])[0], "")
            elif "#" not in self.text[staying_end:start]:
                self.change(staying_end, end, "")
            else:
                comma = re.match(r"\s*,|", self.text[end:])
                self.change(start, end + (comma.end() if comma else 0), "")

    def fills_lines(self, item: Node) -> bool:
        """Return whether nothing else is in the lines of an item, but for a comma and a comment."""
        _, end = self.span(item)
        above = self.text[: self.line_start(item.lineno)].rstrip()
        after = self.text[end : self.line_start((item.end_lineno or 0) + 1)]
        alone = not self.before(item).strip() and re.fullmatch(r"\s*,?\s*(#.*)?\s*", after)
        return bool(alone) and not above.endswith("\\")

    def result(self) -> tuple[bytes, list[int]]:
        """Return the new content, and of each of its lines which line it was."""
        parts, lines, done = [], [1], 0
        size = len(self.text)
        edits = sorted(self.edits, key=lambda edit: (edit.start, edit.end))
        for start, end, new in [*edits, Edit(size, size, "")]:
            start = max(start, done)  # where removed items are neighbours
            parts += [self.text[done:start], new]
            lines += [self.line(match.end()) for match in LINE_END.finditer(self.text, done, start)]
            lines += [self.line(start)] * len(LINE_END.findall(new))
            if end > start and self.text[:start].endswith(("\n", "\r")) and not new:
                lines[-1] = self.line(end)
            done = max(end, done)
        return "".join(parts).encode(self.encoding), lines

    def line(self, offset: int) -> int:
        """Return the number of the line in which a place of the text is."""
        return bisect.bisect_right(self.starts, offset)


def literal(value: Any) -> str:
    """Return a value as Python's source, with double quotes."""
    if isinstance(value, dict):
        items = (f"{literal(name)}: {literal(item)}" for name, item in value.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
