"""Stand-ins for docker, kind and kubectl, with `k8s` run on them alone, and for time."""

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S, copy_project
from teams import commit, git

GOOD = {
    "docker": 'case "$1" in version) echo 28.0.1;; info) echo 2;; *) exit 0;; esac',
    "kind": 'case "$1 $2" in version*) echo "kind v0.33.0";; *) exit 0;; esac',
    "kubectl": 'case "$1" in version) echo "Client Version: v1.34.1";; *) exit 0;; esac',
    "uv": "exit 0",
}


@pytest.fixture
def k8s(locked: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that runs `k8s` with nothing on PATH but stand-ins for its programs."""

    def k8s(
        *command: str,
        programs: dict[str, str | None] | None = None,
        folder: Path = locked,
        **more: str,
    ) -> tuple[int, str]:
        shutil.rmtree(tmp_path / "bin", ignore_errors=True)
        (tmp_path / "bin").mkdir()
        for name, body in {**GOOD, **(programs or {})}.items():
            if body is not None:
                (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
                (tmp_path / "bin" / name).chmod(0o755)
        env = {name: value for name, value in os.environ.items() if not name.startswith("K8S_")}
        env |= {"PATH": str(tmp_path / "bin"), **more}
        done = subprocess.run(
            [K8S, *command], cwd=folder, env=env,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    return k8s


STANDING: dict[str, str | None] = {
    "docker": """case "$*" in
        version*) echo 29.0.1;;
        info*) echo 2;;
        "image inspect"*) echo linux/arm64 sha256:one;;
        save*) : > .kind/images/0.tar; echo "$*" > .kind/saved;;
        *"config dump") echo '[a]'; echo "  snapshotter = ''"; echo "  snapshotter = 'native'";;
        *import*) echo "$*" >> .kind/brought;;
        port*) echo 127.0.0.1:32000;;
    esac""",
    "kind": """case "$1 $2" in
        version*) echo kind v0.33.0;;
        "get clusters") test ! -e .kind/kubeconfig || echo churn-model;;
        "get nodes") echo churn-model-control-plane;;
        "create cluster") : > .kind/kubeconfig;;
    esac""",
}

INSTALL = "{kind: Deployment, metadata: {name: workflow-controller}, spec: %s}"
INSTALL %= "{template: {spec: {containers: []}}}"


@pytest.fixture
def argo(request: pytest.FixtureRequest) -> Iterator[HTTPServer]:
    """Return a server of an install manifest, or of another page."""
    page: str = getattr(request, "param", INSTALL)

    class Manifest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Manifest)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.server_close()


@pytest.fixture
def committed(locked: Path, tmp_path: Path) -> Path:
    """Return the example project, with a commit of everything."""
    folder = tmp_path / "churn-model"
    copy_project(locked, folder)
    git("init", "-q", "-b", "main", cwd=folder)
    commit(folder)
    return folder


class Clock:
    """Time that passes when a program sleeps or asks."""

    def __init__(self, tick: float = 1) -> None:
        self.now, self.tick = 0.0, tick

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now


STUBBORN = "trap '' TERM; sleep 20 & wait; wait"  # what it starts holds its pipes
