"""What is wrong: findings, and what stops a command."""

import signal
from collections.abc import Iterable
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
    where: str = ""  # a file, a flow or an object; `what` may name it, too
    remedy: str = ""

    @property
    def message(self) -> str:
        """Return what is wrong and the remedy, in one line."""
        part = "; " if ": " in self.what.replace(self.where, "") else ": "
        return f"{self.what}{part}{self.remedy}" if self.remedy else self.what

    def __str__(self) -> str:
        return self.message if self.where in self.what else f"{self.where}: {self.message}"


class CommandError(Exception):
    """Why a command could not be carried out: a line for each finding, without a traceback."""

    def __init__(self, *causes: Finding | str) -> None:
        super().__init__(*causes)
        self.findings = [
            cause if isinstance(cause, Finding) else Finding("error", cause) for cause in causes
        ]

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def raise_if(findings: Iterable[Finding]) -> None:
    """Raise CommandError with all findings, if there are any."""
    if found := dict.fromkeys(findings):
        raise CommandError(*found)


def findings_of(error: Exception) -> list[Finding]:
    """Return what an error says, also one that no rule has found."""
    if not isinstance(error, CommandError):
        message = getattr(error, "format_message", error.__str__)()  # the first is of typer's own
        error = CommandError(message or type(error).__name__)
    return error.findings
