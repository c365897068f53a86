"""How docker, kind, kubectl and git are run: which are needed, signals, long output."""

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.image import build_context
from mf_k8s.kind import plan_nodes as capacity
from mf_k8s.kind import up
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.programs import run as programs
from mf_k8s.project import ci_commands
from mf_k8s.project.project import Project
from stand_ins import STUBBORN

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


def test_long_output_and_input_arrive() -> None:
    """A program may take more than a second, after which its output is asked for again."""
    text = "x" * 300_000
    assert programs.run_program("sh", "-c", "sleep 1.2; cat", stdin=text) == text
    assert programs.run_program("sh", "-c", "echo a; sleep 1.2; echo b") == "a\nb\n"


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


def test_what_starts_uv_says_where_to_get_it(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan whose other revision has other packages, the image, and `k8s test`."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build_context, "UV", "uv")
    monkeypatch.setattr(ci_commands.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(ci_commands, "UV", "uv")
    project = Project(example, "churn_model")
    starts = (
        lambda: [*compile_flows(project, project.flow_files(), python=["uv", "run", "python"])],
        lambda: raise_if(build_context.lock_findings(project)),
        lambda: ci_commands.program_of("uv lock --check", project),
    )
    for start in starts:
        with pytest.raises(CommandError) as stopped:
            start()
        (finding,) = stopped.value.findings
        page = "https://docs.astral.sh/uv/getting-started/installation"
        says = f"uv is not installed, or not on PATH: install it ({page})"
        assert (finding.code, str(finding)) == ("program-missing", says)
