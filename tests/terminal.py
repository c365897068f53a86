"""A program in a terminal, as a person meets it: what is typed, and what the screen then shows."""

import os
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

ENTER = "\r"
CLEAR = "\x15"
UP = "\x1b[A"


class Terminal:
    """A terminal in which a program runs."""

    def __init__(
        self, *command: str | Path, folder: Path, columns: int = 80, rows: int = 60, **env: str
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        program, *arguments = map(str, command)
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
        }
        self.ended = False
        self.child = pexpect.spawn(
            program,
            arguments,
            cwd=str(folder),
            env=environment | env,
            dimensions=(rows, columns),
            encoding="utf-8",
        )
        self.child.delaybeforesend = None  # which is for passwords

    def type(self, keys: str) -> None:
        self.child.send(keys)

    @property
    def text(self) -> str:
        """Return what the screen shows."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def before_cursor(self) -> str:
        cursor = self.screen.cursor
        return self.screen.display[cursor.y][: cursor.x]

    def until(self, is_ready: Callable[[], bool], quiet: int = 4) -> None:
        """Wait till the screen is as it is to be, and has not changed for some tenths of a second.

        Raise AssertionError if it is not, and nothing has changed for half a minute.
        """
        waited = 0
        while waited < 300:
            try:
                self.stream.feed(self.child.read_nonblocking(65536, 0.1))
                waited = 0
            except pexpect.TIMEOUT:
                waited += 1
            except pexpect.EOF:
                waited, self.ended = 300, True
            if waited >= quiet and is_ready():
                return
        raise AssertionError(f"not as it is to be:\n{self.text}")

    def until_shown(self, *texts: str) -> str:
        """Return what the screen shows once all texts are there; where a line breaks is nothing."""
        self.until(lambda: all(text in " ".join(self.text.split()) for text in texts))
        return self.text

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)
