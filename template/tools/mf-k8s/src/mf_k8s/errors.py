"""What is wrong: findings, and what stops a command."""

import re
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Ctrl-C, the end of a CI job, and a closed terminal, for which Windows has no signal.
INTERRUPTIONS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. Rules return findings; `raise_if` makes an error of them."""

    code: str  # of its kind, like `no-project`: for programs, so it never changes
    what: str
    where: str = ""  # a file, a flow or an object; it is put before `what` unless that names it
    remedy: str = ""

    @property
    def message(self) -> str:
        """Return what is wrong and the remedy, in one line."""
        part = "; " if ": " in self.what.replace(self.where, "") else ": "
        return f"{self.what}{part}{self.remedy}" if self.remedy else self.what

    def __str__(self) -> str:
        # the end of another path, as in a traceback, does not name it
        is_named = re.search(rf"(?<![\w/\"\\]){re.escape(self.where)}", self.what)
        return self.message if is_named else f"{self.where}: {self.message}"


class CommandError(Exception):
    """Why a command could not be carried out: a line for each finding, without a traceback."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__(*findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


INTERRUPTED = Finding("interrupted", "interrupted")  # in another thread


def raise_if(findings: Iterable[Finding]) -> None:
    """Raise CommandError with all findings, if there are any."""
    if found := dict.fromkeys(findings):
        raise CommandError(*found)


def findings_of(error: Exception) -> Sequence[Finding]:
    """Return what an error says, also one that no rule has found."""
    if isinstance(error, CommandError):
        return error.findings
    message = getattr(error, "format_message", error.__str__)()  # the first is of typer's own
    return [Finding("error", message or type(error).__name__)]
