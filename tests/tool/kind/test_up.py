"""`k8s kind up`, with stand-ins for docker, kind and kubectl: bad input, and a second time."""

import hashlib
import shutil
import time
from collections.abc import Callable
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest
from stand_ins import STANDING, argo, k8s

__all__ = ["argo", "k8s"]  # fixtures


def create_fails(words: str) -> dict[str, str | None]:
    """Return a stand-in for kind, by what it says when it fails to create a cluster."""
    cases = f"version*) echo v0.33.0;; 'create cluster') echo '{words}' >&2; exit 1;;"
    return {"kind": f'case "$1 $2" in {cases} esac'}


NO_DOCKER = 'echo "Cannot connect to the Docker daemon at unix:///x. Is it up?" >&2; exit 1'
OTHERS = 'case "$1 $2" in version*) echo v0.33.0;; "get clusters") echo churn-model;; esac'
BAD: dict[str, tuple[dict[str, str | None], str]] = {
    "Docker is not running": ({"docker": NO_DOCKER}, "Docker is not running: start it"),
    "no kind": ({"kind": None}, "kind is not installed, or not on PATH"),
    "no kubectl": ({"kubectl": None}, "kubectl is not installed, or not on PATH"),
    "old kind": ({"kind": "echo kind v0.11.1"}, "kind 0.11.1 is too old: 0.27 or newer is needed"),
    "old kubectl": ({"kubectl": "echo Client Version: v1.20.4"}, "kubectl 1.20.4 is too old: 1.28"),
    "another's cluster": ({"kind": OTHERS}, "kind delete cluster --name churn-model, or choose"),
    "full disk": (
        create_fails("ERROR: write /x: no space left on device"),
        "no space left on device: free some disk: docker system prune",
    ),
    "port in use": (
        create_fails("ERROR: Bind for 127.0.0.1:80 failed: port is already allocated"),
        "another program has this port; try again",
    ),
    "no internet": (
        create_fails("ERROR: failed to pull image kindest/node: dial tcp: no such host"),
        "K8S_KIND_NODE_IMAGE",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_up_says_what_is_missing(k8s: Callable[..., Any], example: Path, what: str) -> None:
    """In one line with the remedy, and nothing half made is left behind."""
    programs, remedy = BAD[what]
    try:
        code, output = k8s("kind", "up", programs=programs)
        assert code == 2
        (line,) = [item for item in output.splitlines() if item.startswith("k8s: ")]
        assert remedy in line
        assert not (example / ".kind/config.yaml").exists()
        assert not (example / ".kind/kubeconfig").exists()
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)


BROKEN = """
from churn_model import BaseFlow as BrokenFlow
import pathlib, time
while not pathlib.Path(".kind-building").exists():
    time.sleep(0.1)
raise ValueError("broken")
BrokenFlow()
"""


def test_a_broken_flow_does_not_wait_for_the_image(k8s: Callable[..., Any], example: Path) -> None:
    """It is built meanwhile, which may take minutes."""
    flow, building = example / "flows/broken.py", example / ".kind-building"
    docker = ": > .kind-building; exec /bin/sleep 100"
    docker = f'case "$1" in build) {docker};; info) echo 2;; *) echo 28.0.1;; esac'
    flow.write_text(BROKEN)
    try:
        started = time.monotonic()
        code, output = k8s("kind", "up", programs={"docker": docker})
        assert code == 2 and "flows/broken.py: ValueError: broken" in output
        assert building.exists() and time.monotonic() - started < 60
    finally:
        flow.unlink()
        building.unlink(missing_ok=True)
        shutil.rmtree(example / ".kind", ignore_errors=True)


def test_up_again_needs_no_internet(
    k8s: Callable[..., Any], example: Path, argo: HTTPServer, tmp_path: Path
) -> None:
    """What was downloaded is kept, and of an image the platform alone that Docker has pulled.

    It is kept where K8S_KIND_FOLDER says; `down` deletes the project's own folder there.
    """
    clone = hashlib.sha256(str(example.resolve()).encode()).hexdigest()[:8]
    moved, docker_and_kind = tmp_path / f"disk/churn-model-{clone}.kind", {}
    for name, text in STANDING.items():
        docker_and_kind[name] = text and text.replace(".kind/", f"{moved}/")
    variables = {
        "K8S_ARGO_MANIFEST": f"http://127.0.0.1:{argo.server_port}/install.yaml",
        "K8S_KIND_FOLDER": str(moved.parent),
    }

    def kind(command: str) -> str:
        code, output = k8s("kind", command, programs=docker_and_kind, **variables)
        assert code == 0, output
        return str(output)

    assert "churn-model: new, nodes: 1" in kind("up")
    assert (moved / "saved").read_text().split()[-1] == "ghcr.io/acme/churn:1.2.3"
    brought = (moved / "brought").read_text().split()
    assert brought[:2] == ["exec", "churn-model-control-plane"]
    how = ["--platform", "linux/arm64", "--digests", "--snapshotter", "native"]
    assert brought[-6:] == [*how, "/images/0.tar"]
    assert not (example / ".kind").exists()
    argo.shutdown()
    argo.server_close()
    assert "new" not in kind("up")
    assert (moved / "brought").read_text().split() == brought
    assert f"KUBECONFIG={moved}/kubeconfig" in kind("env")
    (moved.parent / "other").touch()
    kind("down")
    assert [file.name for file in moved.parent.iterdir()] == ["other"]
