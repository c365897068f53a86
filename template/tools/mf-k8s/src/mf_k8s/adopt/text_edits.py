"""Changes of a Python file at places of its syntax tree, which leave every other character."""

import contextlib
import io
import re
import tokenize
from collections.abc import Sequence
from typing import Protocol

LINE_END = re.compile(r"\r\n|\r|\n")


class Node(Protocol):
    """A node of a syntax tree that has a place."""

    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


class TextEdits:
    """The text of a file, and what takes the place of parts of it."""

    def __init__(self, content: bytes) -> None:
        self.encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        self.text = content.decode(self.encoding)
        self.starts = [0, *(match.end() for match in LINE_END.finditer(self.text))]
        self.edits: list[tuple[int, int, str]] = []  # start, end, new text

    def offset(self, line: int, column: int) -> int:
        """Return a place in the text; a syntax tree counts columns in bytes of UTF-8."""
        start = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        return start + len(self.text[start:end].encode()[:column].decode())

    def span(self, node: Node) -> tuple[int, int]:
        assert node.end_lineno and node.end_col_offset is not None
        start = self.offset(node.lineno, node.col_offset)
        return start, self.offset(node.end_lineno, node.end_col_offset)

    def source(self, node: Node) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def replace(self, node: Node, new: str) -> None:
        self.edits.append((*self.span(node), new))

    def insert(self, offset: int, new: str) -> None:
        self.edits.append((offset, offset, new))

    def remove_lines(self, first: int, last: int) -> None:
        end = self.starts[last] if last < len(self.starts) else len(self.text)
        self.edits.append((self.starts[first - 1], end, ""))

    def remove_decorator(self, node: Node) -> None:
        """Take a decorator's lines away; its comments stay."""
        last = node.end_lineno or node.lineno
        start, end = self.starts[node.lineno - 1], self.starts[last]
        indent = re.match(r"[ \t]*", self.text[start:])
        tokens = tokenize.generate_tokens(io.StringIO(self.text[start:end].strip()).readline)
        with contextlib.suppress(tokenize.TokenError, IndentationError):
            for token in tokens:
                if token.type == tokenize.COMMENT and indent:
                    self.insert(start, f"{indent[0]}{token.string}{self.line_end}")
        self.remove_lines(node.lineno, last)

    @property
    def line_end(self) -> str:
        return next(iter(LINE_END.findall(self.text)), "\n")

    def append_items(self, last: Node, items: Sequence[str]) -> None:
        """Add items after the last that stays in a list: on a line of their own if that has one."""
        start, end = self.span(last)
        line = self.text[self.starts[last.lineno - 1] : start]
        space = " " if line.strip() else f"{self.line_end}{line}"
        self.insert(end, "".join(f",{space}{item}" for item in items))

    def remove_items(self, items: Sequence[Node], removed: Sequence[Node]) -> None:
        """Take items out of a list that is separated by commas, with the lines that they fill.

        What stays keeps its comments.
        """
        kept = [item for item in items if item not in removed]
        for item in removed:
            start, end = self.span(item)
            assert item.end_lineno
            later = [other for other in items if self.span(other)[0] >= end]
            before = self.text[self.starts[item.lineno - 1] : start]
            after = LINE_END.split(self.text[end:], maxsplit=1)[0]
            if not before.strip() and re.fullmatch(r"\s*,?\s*(#.*)?", after):
                self.remove_lines(item.lineno, item.end_lineno)
            elif later:
                self.edits.append((start, self.span(later[0])[0], ""))
            elif kept and kept[-1].end_lineno == item.lineno:
                self.edits.append((self.span(kept[-1])[1], end, ""))
            else:
                comma = re.match(r"\s*,", self.text[end:])
                end += comma.end() if comma and not kept else 0
                self.edits.append((start, end, ""))

    def result(self) -> tuple[bytes, list[int]]:
        """Return the new content, and of each of its lines which line it was."""
        parts, lines, done = [], [1], 0
        for start, end, new in [*sorted(self.edits), (len(self.text), len(self.text), "")]:
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
        return sum(start <= offset for start in self.starts)
