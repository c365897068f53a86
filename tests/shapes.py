"""What the tests of BaseFlow share: a project with a flow of each shape, run by Metaflow."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, copy_project
from kubernetes_api import write_kubeconfig
from pods import by_step, pod

FLOWS = ROOT / "tests/flows"

# What the example answers demand of every step; cpu and memory are the questions' defaults.
SHARED = {
    "image": "ghcr.io/acme/churn:1.2.3",
    "service_account": "metaflow",
    "cpu": 1,
    "memory": 4096,
    "gpu": {"nvidia.com/gpu": 1},
    "shared_memory": 8196,
    "claims": {"metaflow-training": "/cache"},
    "secrets": [],
    "labels": {},
}
Metaflow = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the example project with a pool and, in a folder of flows/, a flow of each shape."""
    project = tmp_path_factory.mktemp("shapes") / "churn-model"
    copy_project(example, project)
    shutil.copytree(FLOWS, project / "flows/shapes")
    with (project / "k8s.toml").open("a") as file:
        file.write("\n[pools.big]\nmemory = 64000\ngpu = 4\n")
    return project


@pytest.fixture(scope="module")
def metaflow(project: Path, venv: Path) -> Metaflow:
    """Return a function that runs a flow of the project as a person does, with a clean Metaflow."""

    def metaflow(
        flow: str, *arguments: str, cwd: Path = project, timeout: float = 120, **env: str
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
        home = {"METAFLOW_HOME": str(project / ".home"), "METAFLOW_USER": "tests"}
        return subprocess.run(
            [venv / "bin/python", project / "flows" / flow, "--no-pylint", *arguments],
            cwd=cwd,
            env=clean | home | {"PYTHONPATH": str(project / "src")} | env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return metaflow


@pytest.fixture(scope="module")
def compiled(metaflow: Metaflow, s3: dict[str, str]) -> Callable[..., dict[str, Any]]:
    """Return a function that compiles a flow for Argo Workflows: the pod of each step."""

    def compiled(flow: str, *top_level: str, **env: str) -> dict[str, Any]:
        create = ("argo-workflows", "create", "--only-json")
        done = metaflow(flow, "--quiet", *top_level, *create, **s3, **env)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return by_step(done.stdout)

    return compiled


def without_jobset_labels(pods: dict[str, Any]) -> dict[str, Any]:
    """Leave out the labels that Metaflow itself gives the pods of a JobSet."""
    for settings in pods.values():
        settings["labels"] = {k: v for k, v in settings["labels"].items() if k == "team"}
    return pods


class Api(http.server.BaseHTTPRequestHandler):
    """A Kubernetes API that keeps the Jobs it is sent, and refuses them."""

    jobs: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        self.jobs.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def posted(
    metaflow: Metaflow, s3: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that runs a flow on a cluster: the pod of the first Job it posts."""
    Api.jobs = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server.server_port)

    def posted(flow: str, *arguments: str, **env: str) -> dict[str, Any]:
        config = {"KUBECONFIG": str(kubeconfig)}
        done = metaflow(flow, *arguments, **s3, **config, **env)
        assert Api.jobs, done.stdout[-2000:] + done.stderr[-2000:]
        spec = Api.jobs[0]["spec"]["template"]["spec"]
        return without_jobset_labels({"it": pod(spec, spec["containers"][0])})["it"]

    yield posted
    server.shutdown()
