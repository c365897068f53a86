"""What the exit codes of each command mean, as its --help and docs/exit-codes.md say it."""

from typing import NamedTuple


class ExitCodes(NamedTuple):
    """What 0, 1 and 2 mean."""

    success: str = "success"
    answer: str = ""  # empty for a command that never ends with 1
    error: str = "an error"

    @property
    def line(self) -> str:
        """Return what the end of a command's --help says."""
        answer = f"1 {self.answer}; " if self.answer else ""
        return f"Exit codes: 0 {self.success}; {answer}2 {self.error}."


EXIT_CODES = {
    "test": ExitCodes("all pass", "one fails, or a file has a conflict", "one cannot be run"),
    "check": ExitCodes(
        "every pod matches",
        "one does not, or with --live cannot start, or the folder of --rendered is not what `k8s"
        " render` would write",
        "something could not be checked",
    ),
    "plan": ExitCodes(answer="something changes (with --exit-code)"),
    "image": ExitCodes(answer="a module that a flow imports cannot be imported (with --check)"),
    "deploy": ExitCodes(),
    "render": ExitCodes(),
    "doctor": ExitCodes(
        "no problem",
        "a pod cannot run, or not now",
        "something could not be examined, or, with --strict, cannot be told",
    ),
    "adopt": ExitCodes(
        "nothing that was configured changes, or it is accepted", "something does, and is not"
    ),
    "drift": ExitCodes(),
    "kind up": ExitCodes(),
    "kind test": ExitCodes(
        "all flows pass", "a run fails, or a pod does not match", "it could not be tried"
    ),
    "kind env": ExitCodes(),
    "kind logs": ExitCodes(),
    "kind down": ExitCodes(),
}
