"""How docker, kind, kubectl and git are run, and what is said when one of them fails.

What the programs print was copied from them, or from their issues and sources.
"""

# ruff: noqa: E501  # what programs print has long lines

import io
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.kind import plan_nodes as capacity
from mf_k8s.kind import run_flows, up
from mf_k8s.programs import run as programs
from mf_k8s.programs.remedies import reason_of_failure
from mf_k8s.project.project import Project
from mf_k8s.show import progress
from rich.console import Console

PULL = ("docker", "pull", "ghcr.io/acme/churn:1")
HUB = ("docker", "pull", "acme/churn:1")
PUSH = ("docker", "push", "reg.example.com:5000/churn:1")
BUILD = ("docker", "build", "--tag", "ghcr.io/acme/churn:1", "/home/ann/churn")
INSPECT = ("docker", "manifest", "inspect", "--verbose", "ghcr.io/acme/churn:1")
KIND = ("kind", "create", "cluster", "--name", "churn")
PS = ("docker", "version", "--format", "{{.Server.Version}}")

OF_A_BUILD = """#9 [4/4] RUN mkdir /srv/x
#9 0.312 mkdir: cannot create directory '/srv/x': Permission denied
#9 0.313 denied: not by a registry
#9 ERROR: executor failed running [/bin/sh -c mkdir /srv/x]: exit code: 1
------
 > [4/4] RUN mkdir /srv/x:
0.312 mkdir: cannot create directory '/srv/x': Permission denied
0.313 denied: not by a registry
------
ERROR: failed to solve: process "/bin/sh -c mkdir /srv/x" did not complete successfully: exit code: 1
"""
FILES = """error: failed to solve: failed to read dockerfile: open Dockerfile: permission denied
"""
FROM_DENIED = """#3 [internal] load metadata for docker.io/library/pyton:3.13
#3 ERROR: pull access denied, repository does not exist or may require authorization: server message: \
insufficient_scope: authorization failed
------
ERROR: failed to solve: pyton:3.13: failed to resolve source metadata for docker.io/library/pyton:3.13: \
pull access denied, repository does not exist or may require authorization: server message: \
insufficient_scope: authorization failed
"""
NO_HOST = 'Get "https://ghrc.io/v2/": dial tcp: lookup ghrc.io on 127.0.0.53:53: no such host'
SOCKET = """Got permission denied while trying to connect to the Docker daemon socket at \
unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/version": dial unix \
/var/run/docker.sock: connect: permission denied
"""
NODE_IMAGE = """Creating cluster "churn" ...
 x Ensuring node image (kindest/node:v1.34.11)
ERROR: failed to create cluster: failed to pull image "kindest/node:v1.34.11": command "docker pull \
kindest/node:v1.34.11" failed with error: exit status 1
Command Output: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup \
registry-1.docker.io: no such host
"""
SPELT = "is {} spelt right in k8s.toml's image? Else the network, or a proxy, is missing"
FROM_SPELT = "is the image in the Dockerfile's FROM spelt right? Else docker login to its registry"
LOGIN = "is ghcr.io/acme/churn:1 spelt right? Else docker login ghcr.io"
ACCOUNT = (
    "docker login reg.example.com:5000, with an account that may push reg.example.com:5000/churn:1"
)
OUTPUTS: list[tuple[tuple[str, ...], str, str]] = [
    (PS, SOCKET, "add yourself to the group docker"),
    (
        HUB,
        "Error response from daemon: pull access denied for acme/churn, repository does not exist or"
        " may require 'docker login': denied: requested access to the resource is denied\n",
        "is acme/churn:1 spelt right? Else docker login",
    ),
    (
        PULL,
        'Error response from daemon: Head "https://ghcr.io/v2/acme/churn/manifests/1": denied: denied\n',
        LOGIN,
    ),
    (
        PULL,
        'Error response from daemon: Head "https://ghcr.io/v2/acme/churn/manifests/1": unauthorized\n',
        LOGIN,
    ),
    (INSPECT, "unauthorized: access denied\n", LOGIN),
    (PULL, f"Error response from daemon: {NO_HOST}\n", SPELT.format("ghrc.io")),
    (PUSH, "denied: requested access to the resource is denied\n", ACCOUNT),
    (PUSH, "denied: permission_denied: write_package\n", ACCOUNT),
    (PUSH, "no basic auth credentials\n", ACCOUNT),
    (BUILD, FROM_DENIED, FROM_SPELT),
    (
        BUILD,
        f"ERROR: failed to solve: failed to do request: {NO_HOST}\n",
        "is ghrc.io spelt right in the Dockerfile's FROM? Else the network, or a proxy, is missing",
    ),
    (
        PULL,
        'error getting credentials - err: exec: "docker-credential-desktop": executable file not'
        " found in $PATH, out: ``\n",
        "docker cannot run the credential helper that ~/.docker/config.json names: install it, or"
        " take credsStore and credHelpers out",
    ),
    (
        KIND,
        NODE_IMAGE,
        "no internet? docker pull it, or set K8S_KIND_NODE_IMAGE to an image that this machine has",
    ),
    (
        PULL,
        "failed to register layer: Error processing tar file: write /x: no space left on device\n",
        "free some disk: docker system prune",
    ),
    (BUILD, OF_A_BUILD, ""),
    (BUILD, FILES, ""),
    (("git", "push"), "remote: Permission to acme/churn.git denied: no\n", ""),
]


@pytest.mark.parametrize(("command", "output", "remedy"), OUTPUTS)
def test_remedy_fits_the_cause(command: tuple[str, ...], output: str, remedy: str) -> None:
    """A registry that refuses is not a file that may not be read, nor a mistyped name kind's."""
    reason = reason_of_failure(command, output)
    assert "\n" not in reason
    if remedy:
        assert reason.endswith(f": {remedy}")
    else:
        words = ("docker login", "K8S_KIND_NODE_IMAGE", "spelt right", "group docker")
        assert not any(word in reason for word in words), reason
        assert "denied" in reason or "exit code: 1" in reason


PODMAN = """case "$*" in
    "info --format {{.Host.CPUs}}") echo 2;;
    info*) echo "Error: template: info:1:2: can't evaluate field NCPU" >&2; exit 125;;
    *format*) echo 4.3.1;;
    *) echo 'Client:       Podman Engine'; echo 'Version:      4.3.1';;
esac"""
DOCKER = "echo 28.0.1"
OLD = "echo 19.3.15"


@pytest.mark.parametrize(
    ("docker", "provider", "says"),
    [
        (PODMAN, "", "docker is Podman 4.3.1 here, which kind takes only as an experiment: set"),
        (PODMAN, "podman", ""),
        (DOCKER, "podman", "`docker`, which has to find kind's nodes, is docker: unset it"),
        (DOCKER, "", ""),
        (OLD, "", "docker 19.3.15 is too old: 20.10 or newer is needed"),
    ],
)
def test_podman_is_not_an_old_docker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: str, provider: str, says: str
) -> None:
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", provider)
    try:
        programs.require_programs(["docker"])
        raise_if(programs.engine_findings())
    except CommandError as error:
        assert says and says in str(error)
    else:
        assert not says
        assert docker != PODMAN or capacity.real_cores() == 2


STUBBORN = "trap '' TERM; sleep 20 & wait; wait"  # what it starts holds its pipes


def test_a_signal_ends_what_other_threads_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nodes are made and an image is being loaded, by a program that ignores SIGTERM."""
    monkeypatch.setattr(programs, "_stopped", threading.Event())
    monkeypatch.setattr(programs, "END_TIMEOUT_S", 0.5)
    monkeypatch.setattr(up, "argo_release", lambda _: "")
    monkeypatch.setattr(up, "load_images", lambda *_: programs.run_program("sh", "-c", STUBBORN))
    monkeypatch.setattr(up, "bring_up_nodes", lambda *_: up.Needs([], []))
    cluster: Any = SimpleNamespace(make_folders=lambda: None)
    started = time.monotonic()
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell's & ignores it
    control_c = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    control_c.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            up.bring_up(Project(tmp_path, "churn"), cluster)
    finally:
        control_c.cancel()
        signal.signal(signal.SIGINT, ignored)
    assert time.monotonic() - started < 10
    with pytest.raises(CommandError, match="interrupted"):
        programs.run_program("true")


def test_a_run_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_flows, "END_TIMEOUT_S", 0.5)
    process = subprocess.Popen(["sh", "-c", STUBBORN], start_new_session=True)
    time.sleep(0.2)
    run_flows.end_with_tasks(process)
    assert process.returncode == -signal.SIGKILL


def test_long_output_and_input_arrive() -> None:
    """A program may take more than a second, after which its output is asked for again."""
    text = "x" * 300_000
    assert programs.run_program("sh", "-c", "sleep 1.2; cat", stdin=text) == text
    assert programs.run_program("sh", "-c", "echo a; sleep 1.2; echo b") == "a\nb\n"


@pytest.mark.parametrize(
    ("terminal", "shown", "expected"),
    [
        (True, True, ["Comparing", "Comparing took T s"]),
        (True, False, []),
        (False, True, []),
    ],
)
def test_work_is_shown_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, shown: bool, expected: list[str]
) -> None:
    """And what it raises passes through."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, color_system=None)
    monkeypatch.setattr(progress, "console", lambda stderr: console)
    with progress.working("Comparing", shown):
        pass
    printed = re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", file.getvalue())
    printed = re.sub(r"\d+\.\d s", "T s", printed)
    frames = [line.strip("-\\|/ ") for line in re.split(r"[\r\n]+", printed)]
    assert list(dict.fromkeys(filter(None, frames))) == expected
    with pytest.raises(ZeroDivisionError), progress.working("Dividing", shown):
        _ = 1 / 0
    assert "Dividing took" not in file.getvalue()


def test_lent_variables_take_none_from_other_threads() -> None:
    """Which may start a program in that moment; and afterwards all is as it was."""
    before, seen, done = dict(os.environ), [], threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append("PATH" in os.environ)

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(2000):
        with programs.lent_variables({"PATH": before["PATH"], "AWS_PROFILE": "acme"}):
            assert os.environ["AWS_PROFILE"] == "acme" and len(os.environ) == 2
    done.set()
    thread.join()
    assert all(seen) and dict(os.environ) == before
