"""What people see in a terminal of 80 columns, as text files to read: tests/screens.

`make screens` writes them anew. Read what has changed: this is where a line that is cut shows.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest
from conftest import BIN, QUESTIONS, Compare

ENTER = "\r"
CLEAR = "\x15"
# What people type that is refused, once for each message, and then what is accepted.
ANSWERS: dict[str, tuple[list[str], str]] = {
    "project_name": (["Churn Model", "metaflow"], "churn"),
    "image": (["churn", "churn:latest", "ghcr.io/Acme/churn:1.0"], "ghcr.io/acme/churn:1.0"),
    "image_source": ([], ""),
    "gpu": (["1 A100", "0.5", "none"], "1"),
    "gpu_vendor": ([], ""),
    "service_account": (["Metaflow", "system:serviceaccount:ml:metaflow"], "metaflow"),
    "shared_memory": (["8Gi", "-1"], "8192"),
    "persistent_volume_claims": (
        [
            "metaflow-training",
            "data:data",
            "Data:/data",
            "a:/x, a:/y",
            "a:/x, b:/x/y",
            "a:/dev/shm",
        ],
        "metaflow-training:/cache",
    ),
    "cpu": (["0", "500m"], "2"),
    "memory": (["16GB", "4.5"], "16000"),
    "namespace": (["Team A"], "team-a"),
    "datastore_root": (["s3://bucket/", "bucket/Folder/"], "s3://acme-ml/metaflow"),
    "ci": ([], ""),
    "python_version": ([], ""),
    "advanced": ([], "y"),
    "image_pull_secrets": (["REGCRED"], "regcred"),
    "secrets": (["DB_PASSWORD"], "db-password"),
    "node_selector": (["gpu", "pool=a, pool=b"], "pool=gpu"),
    "tolerations": (["nvidia.com/gpu"], "nvidia.com/gpu:NoSchedule"),
    "metadata_service_url": (["metadata.example.com"], "https://metadata.example.com"),
}


class Terminal:
    """A terminal of 80 columns in which Copier asks its questions."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.display = pyte.Screen(80, 60)
        self.stream = pyte.Stream(self.display)
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "COPIER_SETTINGS_PATH": os.environ["COPIER_SETTINGS_PATH"],
        }
        self.child = pexpect.spawn(
            str(BIN / "copier"),
            ["copy", str(template), "churn"],
            cwd=str(folder),
            env=environment,
            dimensions=(60, 80),
            encoding="utf-8",
        )

    def until(self, shown: str, *others: str) -> str:
        """Return what the terminal shows, once it shows some texts and changes no more."""
        text, waited = "", 0
        for _ in range(300):
            try:
                self.stream.feed(self.child.read_nonblocking(65536, 0.1))
                waited = 0
            except pexpect.TIMEOUT:
                waited += 1
            text = "\n".join(line.rstrip() for line in self.display.display).rstrip()
            if waited >= 4 and all(part in " ".join(text.split()) for part in (shown, *others)):
                return text
        raise AssertionError(f"no {shown} in\n{text}")


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(template, tmp_path)
    yield terminal
    terminal.child.close(force=True)


def test_questions_and_wrong_answers(terminal: Terminal, compare: Compare) -> None:
    """Each question as it is asked, and what Copier shows of the message for a wrong answer."""
    questions, messages = [], []
    for question, (wrong, right) in ANSWERS.items():
        first = QUESTIONS[question]["help"].split("?")[0]
        asked = terminal.until(f"{first}?")
        start = asked.rindex("🎤")
        questions.append(asked[start:])
        for answer in wrong:
            terminal.child.send(CLEAR + answer + ENTER)
            messages.append(terminal.until(answer, "Validation error")[start:])
        terminal.child.send(right if right in ("", "y") else CLEAR + right)
        if right != "y":
            terminal.child.send(ENTER)
    compare("questions", "\n\n".join(questions))
    compare("wrong-answers", "\n\n".join(messages))
