"""Runs docker, kind, kubectl and git, and says in one line why one of them failed."""

import os
import re
import shlex
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
REASON = "error|failed|fatal|denied|not found"  # in the lines of an output that say why
NO_DOCKER = ("cannot connect to the docker", "failed to connect to the docker")
REMEDIES = {  # by what these programs print, in lower case
    "permission denied while trying to connect": "add yourself to the group docker",
    "no space left on device": "free some disk: docker system prune",
    "port is already allocated": "another program has this port; try again",
    "no such host": "no internet? set K8S_KIND_NODE_IMAGE to an image that this machine has",
    "failed to pull image": "docker pull it, or set K8S_KIND_NODE_IMAGE",
    "denied": "docker login to that registry",
}
# By these a git hook tells each git that it starts which repository and index to use. They are what
# `git rev-parse --local-env-vars` lists, without the settings of `git -c`: git itself keeps those
# where it works on another repository (prepare_submodule_repo_env in its submodule.c).
OF_A_HOOK = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_PREFIX"),
    *("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG"),
    *("GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE"),
    "GIT_INTERNAL_SUPER_PREFIX",
)
UNTRUSTED = re.compile(r"(?:dubious ownership in repository at|unsafe repository) \(?'(.+?)'")
# Messages in English, and no write to the index where git only looks.
GIT = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
# Flows are compiled alike in every locale: they read files without saying how those are encoded.
UTF_8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}

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
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=folder,
        )
    except FileNotFoundError:
        raise CommandError(f"{command[0]} is not installed, or not on PATH: install it") from None
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


def forget_git_hook() -> None:
    """Let git find the repository from the folder it works in, although a git hook has started us.

    In a hook, `git worktree add` would else replace what the user has staged.
    """
    for variable in OF_A_HOOK:
        os.environ.pop(variable, None)


def git(root: Path, *arguments: str | Path) -> str:
    """Return what git prints; raise CommandError with the reason and the remedy if it fails."""
    try:
        return run_program("git", *map(str, arguments), folder=root, env=GIT).strip()
    except CommandError as error:
        message = str(error)
    if untrusted := UNTRUSTED.search(message):
        message = (
            f"git does not read {untrusted[1]}, which belongs to another user: run `git config"
            f" --global --add safe.directory {shlex.quote(untrusted[1])}`"
        )
    if "not a git repository" in message:
        message = f"{root} is in no git repository: run `git init`, `git add -A` and `git commit`"
    raise CommandError(message)


def git_or_nothing(root: Path, *arguments: str | Path) -> str:
    """Return what git prints, or an empty text if it fails."""
    try:
        return git(root, *arguments)
    except CommandError:
        return ""
