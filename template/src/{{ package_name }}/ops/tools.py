"""Runs docker, kind and kubectl, and says in one line why one of them could not."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterable

from . import Problem

# kind: from this one on, its nodes have containerd 2
OLDEST = {"docker": "20.10", "kind": "0.27", "kubectl": "1.28"}
TELLING = "error|failed|denied|not found"
REMEDIES = {  # for what these programs say, in lower case
    "cannot connect to the docker daemon": "start Docker",
    "permission denied while trying to connect": "add yourself to the group docker",
    "no space left on device": "free some disk: docker system prune",
    "port is already allocated": "another program has this port; try again",
    "no such host": "no internet? K8S_KIND_NODE_IMAGE names an image that this machine has",
    "failed to pull image": "docker pull it, or set K8S_KIND_NODE_IMAGE",
    "denied": "docker login to that registry",
}


running: set[subprocess.Popen[str]] = set()
ended = threading.Event()


def stop() -> None:
    """End what is running, of other threads as well, and let nothing new start."""
    ended.set()
    for process in running.copy():
        process.terminate()


def tool(*command: str, given: str | None = None, **env: str) -> str:
    """Run a program and give what it prints; raise Problem with its last words if it fails."""
    if ended.is_set():
        raise Problem("interrupted")
    pipe, every = subprocess.PIPE, {**os.environ, **env}
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=every
        )
    except FileNotFoundError:
        raise Problem(f"{command[0]} is not installed, or not on PATH") from None
    running.add(process)
    try:
        printed, said = process.communicate(given)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        running.remove(process)
    if process.returncode:
        raise Problem(f"{' '.join(command[:3])}: {reason(said or printed)}")
    return printed


def succeeds(*command: str) -> bool:
    try:
        tool(*command)
    except Problem:
        return False
    return True


def reason(said: str) -> str:
    """Give the lines of an error that tell most, and what to do about it if that is known."""
    lines = [re.sub(r"^#\d+ [\d.]*", "", line).strip() for line in said.splitlines()]  # of a build
    lines = list(filter(None, lines)) or ["it failed"]
    found = [line.removeprefix("ERROR: ") for line in lines if re.search(TELLING, line, re.I)]
    telling = list(dict.fromkeys(found))
    remedy = (hint for words, hint in REMEDIES.items() if words in said.lower())
    return ": ".join([*(telling[-2:] or lines[-1:]), *list(remedy)[:1]])


def require(names: Iterable[str]) -> None:
    """Raise Problem unless these programs are there, new enough, and Docker answers."""
    for name in names:
        ask = {"kubectl": ("version", "--client"), "kind": ("version",)}
        said = tool(name, *ask.get(name, ("version", "--format", "{{.Server.Version}}")))
        if version(said) < version(OLDEST[name]):
            found = ".".join(map(str, version(said)))
            raise Problem(f"{name} {found} is too old: {OLDEST[name]} or newer is needed")


def version(said: str) -> tuple[int, int]:
    """Give the first major and minor number in a text, or of none the largest there can be."""
    found = re.search(r"(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (sys.maxsize, 0)
