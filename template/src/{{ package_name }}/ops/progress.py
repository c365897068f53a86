"""Shows how far long work is, and how long each part of it took."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, track

errors = Console(stderr=True, highlight=False, soft_wrap=True)
output = Console(highlight=False, soft_wrap=True)
going_on = Progress(
    SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
    console=output, transient=True,
)  # fmt: skip


@contextlib.contextmanager
def part(name: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal that a part is going on, then print what was done and how long it took.

    Parts may go on side by side.
    """
    start, said = time.monotonic(), [""]
    task = going_on.add_task(name)
    if output.is_terminal:
        going_on.start()
    try:
        yield said.append
    finally:
        going_on.remove_task(task)
        if output.is_terminal and not going_on.tasks:
            going_on.stop()
    print(f"{name:<16} {said[-1]:<60} {time.monotonic() - start:6.1f} s", flush=True)


def progress(work: Iterable[Any], title: str, total: int | None) -> Iterator[Any]:
    """Show on a terminal's stderr how far `work` is, and at the end how long it took."""
    start, quiet = time.monotonic(), not errors.is_terminal
    yield from track(work, title, total, console=errors, transient=True, disable=quiet)
    if not quiet:
        errors.print(f"{title} took {time.monotonic() - start:.1f} s")
