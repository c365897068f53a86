"""Draws what a terminal shows as SVG: a screen, or how it came about.

The animation is CSS, which works in an <img> too. It plays twice, and leaves the last screen. That
is also what is shown where nothing moves: for people who prefer reduced motion, or in print.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from itertools import groupby

import pyte

CELL, LINE = 8.4, 19  # the width of a letter and the height of a line, in pixels
MARGIN, BAR = 16, 34  # around the screen; the height of the title
HOLD = 12.0  # seconds for which the last screen is shown
COLOURS = {
    "default": "#d4d7dc", "black": "#6e7681", "red": "#ff7b72", "green": "#7ee787",
    "brown": "#e3b341", "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea",
    "white": "#d4d7dc", "brightblack": "#8b949e",
}  # fmt: skip
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
STYLE = (
    f"text{{font:14px {FONT};white-space:pre}}.title{{font:bold 13px sans-serif;fill:#9198a1}}"
    ".b{font-weight:bold}.cursor{fill:#9198a1}"
)
WIDE = re.compile(r"[^\x00-\uffff]")  # 🎤: a font of its own, and two cells wide
WORDS = re.compile(rf"{WIDE.pattern}|[^ \U00010000-\U0010ffff]+(?: [^ \U00010000-\U0010ffff]+)*")
DRAWN = re.compile(r'<text x="[\d.]+" y="(\d+)" class="c-[^>]*>([^<]*)</text>')


@dataclass(frozen=True)
class Run:
    """Letters of one style beside each other, from a column on; no letters: the cursor."""

    column: int
    text: str
    colour: str = "default"
    background: str = "default"
    bold: bool = False


Row = tuple[Run, ...]


@dataclass(frozen=True)
class Frame:
    """The rows that a terminal shows from a time on, in seconds."""

    time: float
    rows: tuple[Row, ...]


def rows_of(screen: pyte.Screen, cursor: bool = False) -> tuple[Row, ...]:
    """Return the rows of a screen, down to the last that is not empty."""
    rows = [tuple(runs(screen.buffer[number])) for number in range(screen.lines)]
    if cursor and not screen.cursor.hidden:
        rows[screen.cursor.y] += (Run(screen.cursor.x, ""),)
    while rows and not rows[-1]:
        rows.pop()
    return tuple(rows)


def runs(line: dict[int, pyte.screens.Char]) -> Iterator[Run]:
    """Yield the runs of a line. Two blanks end a run, so that none depends on the font's blank."""
    cells = [(column, line[column]) for column in sorted(line) if line[column].data]
    styles = groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bg, cell[1].bold))
    for style, group in styles:
        columns, letters = zip(*((column, char.data) for column, char in group), strict=True)
        for words in WORDS.finditer("".join(letters)):
            yield Run(columns[words.start()], words.group(), *style)


def draw(title: str, columns: int, frames: Sequence[Frame], height: int = 0) -> str:
    """Return the SVG of a terminal; with a `height` in rows it shows the end of longer frames."""
    height = height or len(frames[-1].rows)
    total = frames[-1].time + HOLD
    groups, css = [], []
    for number, ((start, end), shown) in enumerate(periods(frames).items()):
        drawn = "".join(drawn_run(row, run) for row, found in shown for run in found)
        if (start, end) == (0, None):
            groups.append(f"<g>{drawn}</g>")
            continue
        groups.append(f'<g class="f{number}">{drawn}</g>')
        values = {0.0: "opacity:0", start: "opacity:1"} | ({end: "opacity:0"} if end else {})
        css.append(animation(f"f{number}", values, total))
    if len(frames) > 1:
        offsets = {frame.time: max(0, len(frame.rows) - height) * LINE for frame in frames}
        moves = [next(same) for _, same in groupby(offsets.items(), key=lambda each: each[1])]
        css.append(animation("all", {t: f"transform:translateY(-{y}px)" for t, y in moves}, total))
        css.append(f"g{{animation:{total:.2f}s step-end 2}}")
        css.append("@media(prefers-reduced-motion:reduce){g{animation:none!important}}")
    width, middle = round(columns * CELL), round(columns * CELL / 2) + MARGIN
    size = f'width="{width + 2 * MARGIN}" height="{height * LINE + BAR + MARGIN}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}{colours(frames)}",
        *css,
        "</style>",
        '<rect width="100%" height="100%" rx="8" fill="#161b22"/>',
        *(f'<circle cx="{x}" cy="17" r="5.5" fill="#484f58"/>' for x in (18, 36, 54)),
        f'<text class="title" x="{middle}" y="21" text-anchor="middle">{escape(title)}</text>',
        f'<svg x="{MARGIN}" y="{BAR}" width="{width}" height="{height * LINE}"><g class="all">',
        *groups,
        "</g></svg></svg>",
    ]
    return "".join(f"{line}\n" for line in lines)


Period = tuple[float, float | None]  # from when till when; None: it stays


def periods(frames: Sequence[Frame]) -> dict[Period, list[tuple[int, Row]]]:
    """Return the rows that are shown from one time till another, with their numbers."""
    found: dict[Period, list[tuple[int, Row]]] = {}
    for number in range(max(len(frame.rows) for frame in frames)):
        shown = [(each.time, each.rows[number : number + 1]) for each in frames]
        changes = [next(same) for _, same in groupby(shown, key=lambda each: each[1])]
        ends = [time for time, _ in changes[1:]]
        for (start, rows), end in zip(changes, [*ends, None], strict=True):
            if rows and rows[0]:
                found.setdefault((start, end), []).append((number, rows[0]))
    return dict(sorted(found.items(), key=lambda item: item[0][0]))


def animation(name: str, values: dict[float, str], total: float) -> str:
    """Return the CSS by which a group has some values, each from a time on; the last stays."""
    *_, last = values.values()
    steps = "".join(f"{100 * time / total:.4g}%{{{value}}}" for time, value in values.items())
    return f".{name}{{{last};animation-name:{name}}}@keyframes {name}{{{steps}}}"


def colours(frames: Sequence[Frame]) -> str:
    """Return the CSS of the colours that are used: names of ANSI, or digits as in #5f819d."""
    used = {run.colour for frame in frames for row in frame.rows for run in row}
    return "".join(f".c-{name}{{fill:{colour(name)}}}" for name in sorted(used))


def colour(name: str) -> str:
    return COLOURS.get(name, f"#{name}")


def drawn_run(row: int, run: Run) -> str:
    x, y, width = f"{run.column * CELL:.1f}", row * LINE, f"{len(run.text) * CELL:.1f}"
    if not run.text:
        return f'<rect class="cursor" x="{x}" y="{y + 1}" width="{CELL}" height="17"/>'
    behind = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{LINE}" fill="{colour(run.background)}"/>'
    )
    look = f"c-{run.colour}{' b' if run.bold else ''}"
    fitted = f' textLength="{width}" lengthAdjust="spacingAndGlyphs"'
    return (
        f"{behind if run.background != 'default' else ''}"
        f'<text x="{x}" y="{y + 14}" class="{look}"{"" if WIDE.match(run.text) else fitted}>'
        f"{escape(run.text, quote=False)}</text>"
    )


def text_of(picture: str) -> list[str]:
    """Return the rows of a picture, without the blanks between words; all that are ever shown."""
    return [
        " ".join(unescape(text) for _, text in row)
        for group in picture.splitlines()
        for _, row in groupby(DRAWN.findall(group), key=lambda drawn: drawn[0])
    ]
