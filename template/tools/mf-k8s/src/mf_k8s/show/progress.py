"""Shows how far long work is, and how long each part of it took."""

import codecs
import contextlib
import functools
import io
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")

LOOK_ALIKES = {"†": "+", "—": "-", "…": "..."}
_spinner_lock = threading.Lock()  # one display only: rich would nest a second in it


@functools.cache
def console(stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


@functools.cache
def shared_spinner() -> "Progress":
    """Return the one display of all stages."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console(), transient=True)


@dataclass
class Stage:
    """A part of long work, and the result that is printed when it ends."""

    result: str = ""


@contextlib.contextmanager
def stage(name: str, spin: bool = True) -> Iterator[Stage]:
    """Show on a terminal that a part is at work, then print its result and how long it took.

    Stages may run side by side. `spin` is False for a part that prints by itself.
    """
    started, current = time.monotonic(), Stage()
    with spinning(name) if spin else contextlib.nullcontext():
        yield current
    print_line(f"{name:<16} {current.result:<53} {time.monotonic() - started:6.1f} s")


@contextlib.contextmanager
def spinning(name: str) -> Iterator[None]:
    """Show on a terminal that a part is at work."""
    with _spinner_lock:
        spinner = shared_spinner()
    task = spinner.add_task(name)
    if console().is_terminal:
        spinner.start()
    try:
        yield
    finally:
        spinner.remove_task(task)
        if console().is_terminal and not spinner.tasks:
            spinner.stop()


def with_progress(work: Iterable[Item], title: str, total: int | None) -> Iterator[Item]:
    """Yield from `work`; on a terminal's stderr, show how far it is and how long it took."""
    from rich.progress import track

    started, errors = time.monotonic(), console(stderr=True)
    shown = errors.is_terminal
    yield from track(work, title, total, console=errors, transient=True, disable=not shown)
    if shown:
        errors.print(f"{title} took {time.monotonic() - started:.1f} s")


@contextlib.contextmanager
def working(title: str, shown: bool = True) -> Iterator[None]:
    """Show on a terminal's stderr, if `shown`, that something is at work and how long it took."""
    errors = console(stderr=True)
    if not (shown and errors.is_terminal):
        yield
        return
    started = time.monotonic()
    with errors.status(title, spinner="line"):  # of ASCII
        yield
    errors.print(f"{title} took {time.monotonic() - started:.1f} s")


def print_in_any_encoding() -> None:
    """Print a letter that the encoding of an output lacks as one like it, or as `?`."""
    codecs.register_error("look-alike", look_alike)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="look-alike")


def look_alike(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what stands for letters that an encoding lacks; a path may hold bytes of another."""
    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # as Python's `surrogateescape` writes them
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return LOOK_ALIKES.get(letter, "?"), error.start + 1


def print_line(line: str) -> None:
    """Print a line to stdout in one piece: print() sends its end apart, and threads mix the two."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def print_error(line: str) -> None:
    """Print a line to stderr; on a terminal, wrapped between words."""
    errors = console(stderr=True)
    errors.print(line, markup=False, soft_wrap=not errors.is_terminal)
