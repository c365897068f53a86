"""What is shown of work in progress: on a terminal, of stages side by side."""

import functools
import io
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import rich.progress
from mf_k8s.show import progress
from mf_k8s.show.progress import stage
from rich.console import Console


class Writes(io.TextIOBase):
    """Remembers each write."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def write(self, text: str) -> int:
        self.made.append(text)
        return len(text)


def test_stages_side_by_side_print_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may write between any two writes."""
    monkeypatch.setattr(sys, "stdout", writes := Writes())
    with stage("hello argo") as testing:
        testing.result = "2 pods match k8s.toml"
    (line,) = writes.made
    assert line.startswith("hello argo ") and line.endswith(" s\n")


def test_stages_that_begin_together_have_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of images and flows do: a second one ends `kind up` in a recursion."""
    made = []

    def display() -> rich.progress.Progress:
        time.sleep(0.1)
        made.append(rich.progress.Progress())
        return made[-1]

    def work(name: str) -> None:
        with stage(name):
            pass

    monkeypatch.setattr("mf_k8s.show.progress.shared_spinner", functools.cache(display))
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, ("images", "flows")))
    assert len(made) == 1


@pytest.mark.parametrize(
    ("terminal", "shown", "expected"),
    [
        (True, True, ["Comparing", "Comparing took T s"]),
        (True, False, []),
        (False, True, []),
    ],
)
def test_work_is_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: bool, expected: list[str]
) -> None:
    """And what it raises passes through."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(progress, "console", lambda stderr: console)
    with progress.working("Comparing", shown):
        pass
    printed = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", file.getvalue())
    printed = re.sub(r"\d+\.\d s", "T s", printed)
    frames = [line.strip("-\\|/ ") for line in re.split(r"[\r\n]+", printed)]
    assert list(dict.fromkeys(filter(None, frames))) == expected
    with pytest.raises(ZeroDivisionError), progress.working("Dividing", shown):
        _ = 1 / 0
    assert "Dividing took" not in file.getvalue()
