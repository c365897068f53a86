"""Runs docker, kind, kubectl and git, and says in one line why one of them failed."""

import contextlib
import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import INTERRUPTED, CommandError, Finding, raise_if
from .remedies import PAGES, reason_of_failure

UV = os.environ.get("UV", "uv")  # which `uv run` sets to itself
OLDEST = {"docker": "20.10", "kind": "0.27", "kubectl": "1.28"}  # kind: its nodes have containerd 2
DOCKER_VERSION = ("docker", "version")
VERSION_OF = {
    "docker": (*DOCKER_VERSION, "--format", "{{.Server.Version}}"),
    "kind": ("kind", "version"),
    "kubectl": ("kubectl", "version", "--client"),
}
PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"  # by which a user chooses kind's engine
NO_DOCKER = ("cannot connect to the docker", "failed to connect to the docker")
END_TIMEOUT_S = 3  # in which a program ends when it is asked to
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
_lending = threading.RLock()


def stop_programs() -> None:
    """End the programs that run, those of other threads too, and let no new one start."""
    _stopped.set()
    processes, started = _running.copy(), time.monotonic()
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0, started + END_TIMEOUT_S - time.monotonic()))
        process.kill()


def process_variables() -> dict[str, str]:
    """Return the variables of this process, for those that it starts.

    Without those of a git hook that has started it: git is to find the repository from the folder
    it works in. In a hook, `git worktree add` would else replace what the user has staged.
    """
    with _lending:
        return {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}


@contextlib.contextmanager
def lent_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Let this process have other variables for a moment: a library starts a program with them.

    It is the one place that writes os.environ. Other threads see what is the same in both at all
    times, like PATH.
    """

    def become(others: Mapping[str, str]) -> None:
        for name in os.environ.keys() - others.keys():
            del os.environ[name]
        os.environ.update(others)

    with _lending:
        own = dict(os.environ)
        try:
            become(variables)
            yield
        finally:
            become(own)


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
        raise CommandError(INTERRUPTED)
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            encoding="utf-8",
            errors="replace",
            env={**process_variables(), **(env or {})},
            cwd=folder,
        )
    except FileNotFoundError:
        raise CommandError(missing_program(command[0])) from None
    _running.add(process)
    try:
        output, errors = communicate(process, stdin)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        _running.remove(process)
    if process.returncode:
        if any(words in errors.lower() for words in NO_DOCKER):
            host = os.environ.get("DOCKER_HOST")
            remedy = f"start it, or correct DOCKER_HOST={host}" if host else "start it"
            raise CommandError(Finding("docker-not-running", "Docker is not running", "", remedy))
        reason = reason_of_failure(command, errors or output)
        raise CommandError(Finding("program-failed", reason, " ".join(command[:3])))
    return output


def missing_program(program: str) -> Finding:
    """Return that a program, given by its name or path, cannot be started."""
    what, page = f"{program} is not installed, or not on PATH", PAGES.get(Path(program).stem)
    remedy = "install it" + (f" ({page})" if page else "")
    return Finding("program-missing", what, remedy=remedy)


def communicate(process: "subprocess.Popen[str]", stdin: str | None) -> tuple[str, str]:
    """Return what a program prints; raise CommandError if it was stopped.

    What it has started itself, like docker's buildx, may then go on and hold the pipes. With input
    there can be no time limit: subprocess does not go on with it after one.
    """
    while True:
        try:
            return process.communicate(stdin, timeout=None if stdin else 1)
        except subprocess.TimeoutExpired:
            if _stopped.is_set() and process.poll() is not None:
                raise CommandError(INTERRUPTED) from None


def succeeds(*command: str) -> bool:
    try:
        run_program(*command)
    except CommandError:
        return False
    return True


def require_programs(names: Iterable[str]) -> None:
    """Raise CommandError unless these programs are there, new enough, and Docker answers."""
    raise_if(too_old(names))


def too_old(names: Iterable[str]) -> Iterator[Finding]:
    """Yield the programs whose version is too old."""
    for name in names:
        version = first_version(run_program(*VERSION_OF[name]))
        if name == "docker" and is_podman(version):
            continue  # whose versions are others
        if is_older(version, OLDEST[name]):
            remedy = f"{OLDEST[name]} or newer is needed"
            yield Finding("program-too-old", f"{name} {version} is too old", name, remedy)


def is_podman(version: str) -> bool:
    """Return whether the program `docker`, or the engine that it talks to, is Podman.

    To what asks Docker for its server's version, Podman answers with its own, which is lower.
    """
    older = is_older(version, OLDEST["docker"])
    return older and "podman" in run_program(*DOCKER_VERSION).lower()


def uses_podman() -> bool:
    return is_podman(first_version(run_program(*VERSION_OF["docker"])))


def engine_findings() -> Iterator[Finding]:
    """Yield why kind would make its nodes with another engine than `docker` is."""
    version = first_version(run_program(*VERSION_OF["docker"]))
    engine = "podman" if is_podman(version) else "docker"
    chosen = os.environ.get(PROVIDER) or "docker"
    if engine == "podman" and chosen == "docker":
        what = f"docker is Podman {version} here, which kind takes only as an experiment"
        remedy = f"set {PROVIDER}=podman to try it, or install Docker"
        yield Finding("podman-not-chosen", what, "docker", remedy)
    elif engine != chosen:
        what = f"{PROVIDER} is {chosen}, and `docker`, which has to find kind's nodes, is {engine}"
        remedy = "unset it, or let the command docker be that engine"
        yield Finding("engine-not-docker", what, PROVIDER, remedy)


def first_version(output: str) -> str:
    """Return the first version number in a program's output, or nothing: a build may have none."""
    match = re.search(r"\d+\.\d+(\.\d+)?", output)
    return match[0] if match else ""


def is_older(version: str, oldest: str) -> bool:
    from packaging.version import Version

    return bool(version) and Version(version) < Version(oldest)


def git(root: Path, *arguments: str | Path) -> str:
    """Return what git prints; raise CommandError with the reason and the remedy if it fails.

    It prints names of files, so these are as Python has them in this locale, which may be C.
    """
    try:
        printed = run_program("git", *map(str, arguments), folder=root, env=GIT).strip()
        return os.fsdecode(printed.encode())
    except CommandError as error:
        failure = error
    if untrusted := UNTRUSTED.search(str(failure)):
        what = f"git does not read {untrusted[1]}, which belongs to another user"
        remedy = f"run `git config --global --add safe.directory {shlex.quote(untrusted[1])}`"
        raise CommandError(Finding("git-folder-of-another-user", what, untrusted[1], remedy))
    if "not a git repository" in str(failure):
        remedy = "run `git init`, `git add -A` and `git commit`"
        what = f"{root} is in no git repository"
        raise CommandError(Finding("git-no-repository", what, str(root), remedy))
    raise failure


def git_or_nothing(root: Path, *arguments: str | Path) -> str:
    """Return what git prints, or an empty text if it fails."""
    try:
        return git(root, *arguments)
    except CommandError:
        return ""
