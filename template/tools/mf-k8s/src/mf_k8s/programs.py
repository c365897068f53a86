"""Runs docker, kind, kubectl and git, and says in one line why one of them failed."""

import os
import re
import subprocess
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.version import Version

from .errors import CommandError

UV = os.environ.get("UV", "uv")  # which `uv run` sets to itself
OLDEST = {"docker": "20.10", "kind": "0.27", "kubectl": "1.28"}  # kind: its nodes have containerd 2
VERSION_OF = {
    "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "kind": ("kind", "version"),
    "kubectl": ("kubectl", "version", "--client"),
}
REASON = "error|failed|denied|not found"  # in the lines of an output that say why
NO_DOCKER = ("cannot connect to the docker", "failed to connect to the docker")
REMEDIES = {  # by what these programs print, in lower case
    "permission denied while trying to connect": "add yourself to the group docker",
    "no space left on device": "free some disk: docker system prune",
    "port is already allocated": "another program has this port; try again",
    "no such host": "no internet? set K8S_KIND_NODE_IMAGE to an image that this machine has",
    "failed to pull image": "docker pull it, or set K8S_KIND_NODE_IMAGE",
    "denied": "docker login to that registry",
}

_running: set[subprocess.Popen[str]] = set()
_stopped = threading.Event()


def stop_programs() -> None:
    """End the programs that run, those of other threads too, and let no new one start."""
    _stopped.set()
    for process in _running.copy():
        process.terminate()


def run_program(
    *command: str,
    stdin: str | None = None,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return what it prints; raise CommandError with the reason if it fails.

    `env` is added to the environment.
    """
    if _stopped.is_set():
        raise CommandError("interrupted")
    pipe, environment = subprocess.PIPE, {**os.environ, **(env or {})}
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder
        )
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed, or not on PATH") from None
    _running.add(process)
    try:
        output, errors = process.communicate(stdin)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        _running.remove(process)
    if process.returncode:
        if any(words in errors.lower() for words in NO_DOCKER):
            raise CommandError("Docker is not running: start it")
        raise CommandError(f"{' '.join(command[:3])}: {reason_of_failure(errors or output)}")
    return output


def succeeds(*command: str) -> bool:
    try:
        run_program(*command)
    except CommandError:
        return False
    return True


def reason_of_failure(output: str) -> str:
    """Return the lines of an output that say most, and the remedy if it is known."""
    # the lines of a build begin with #9 1.86
    lines = [re.sub(r"^#\d+ [\d.]*", "", line).strip() for line in output.splitlines()]
    lines = list(filter(None, lines)) or ["it failed and printed nothing"]
    reasons = [line.removeprefix("ERROR: ") for line in lines if re.search(REASON, line, re.I)]
    distinct = list(dict.fromkeys(reasons))
    remedies = [remedy for words, remedy in REMEDIES.items() if words in output.lower()]
    return ": ".join([*(distinct[-2:] or lines[-1:]), *remedies[:1]])


def require_programs(names: Iterable[str]) -> None:
    """Raise CommandError unless these programs are there, new enough, and Docker answers."""
    for name in names:
        version = first_version(run_program(*VERSION_OF[name]))
        if version and version < Version(OLDEST[name]):
            raise CommandError(f"{name} {version} is too old: {OLDEST[name]} or newer is needed")


def first_version(output: str) -> Version | None:
    """Return the first version number in a program's output, or None: a build may have none."""
    match = re.search(r"\d+\.\d+(\.\d+)?", output)
    return Version(match[0]) if match else None


def git(root: Path, *arguments: str | Path) -> str:
    return run_program("git", *map(str, arguments), folder=root).strip()


def git_or_nothing(root: Path, *arguments: str | Path) -> str:
    """Return what git prints, or an empty text if it fails."""
    try:
        return git(root, *arguments)
    except CommandError:
        return ""
