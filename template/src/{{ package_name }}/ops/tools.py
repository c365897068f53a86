"""Runs docker, kind and kubectl, and says in one line why one of them could not."""

import os
import re
import subprocess
from collections.abc import Iterable

from . import Problem

OLDEST = {"docker": "20.10", "kind": "0.24", "kubectl": "1.28"}
REMEDIES = {  # for what these programs say, in lower case
    "cannot connect to the docker daemon": "start Docker",
    "permission denied while trying to connect": "add yourself to the group docker",
    "no space left on device": "free some disk: docker system prune",
    "port is already allocated": "another program has this port; try again",
    "no such host": "no internet? K8S_KIND_NODE_IMAGE names an image that this machine has",
    "failed to pull image": "docker pull it, or set K8S_KIND_NODE_IMAGE",
    "denied": "docker login to that registry",
}


def tool(*command: str, given: str | None = None, **env: str) -> str:
    """Run a program and give what it prints; raise Problem with its last words if it fails."""
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, env={**os.environ, **env}
        )
    except FileNotFoundError:
        raise Problem(f"{command[0]} is not installed, or not on PATH") from None
    if done.returncode:
        raise Problem(f"{' '.join(command[:3])}: {reason(done.stderr or done.stdout)}")
    return done.stdout


def succeeds(*command: str) -> bool:
    try:
        tool(*command)
    except Problem:
        return False
    return True


def reason(said: str) -> str:
    """Give the lines of an error that tell most, and what to do about it if that is known."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it failed"]
    telling = [line for line in lines if re.search("error|failed|denied|not found", line, re.I)]
    remedy = (hint for words, hint in REMEDIES.items() if words in said.lower())
    return ": ".join([*(telling[-2:] or lines[-1:]), *list(remedy)[:1]])


def require(names: Iterable[str]) -> None:
    """Raise Problem unless these programs are there, new enough, and Docker answers."""
    for name in names:
        ask = {"kubectl": ("version", "--client"), "kind": ("version",)}
        said = tool(name, *ask.get(name, ("version", "--format", "{{.Server.Version}}")))
        found = re.search(r"(\d+)\.(\d+)", said)
        oldest = OLDEST[name]
        if found and tuple(map(int, found.groups())) < tuple(map(int, oldest.split("."))):
            raise Problem(f"{name} {found[0]} is too old: {oldest} or newer is needed")
