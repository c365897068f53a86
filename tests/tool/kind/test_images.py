"""Images on a kind cluster: the name of a digest, and until when nodes are waited for."""

import os
from pathlib import Path

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.kind import images
from mf_k8s.kind.cluster import Cluster
from mf_k8s.pods.image_names import image_name
from stand_ins import Clock


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("churn@sha256:1", "docker.io/library/churn@sha256:1"),
        ("acme/churn:1.2@sha256:1", "docker.io/acme/churn@sha256:1"),
        ("localhost/churn@sha256:1", "localhost/churn@sha256:1"),
        ("reg:5000/a/churn:1.2@sha256:1", "reg:5000/a/churn@sha256:1"),
        ("ghcr.io/acme/churn@sha256:1", "ghcr.io/acme/churn@sha256:1"),
    ],
)
def test_name_of_a_digest(image: str, name: str) -> None:
    """As containerd has it: the registry and no tag."""
    assert str(image_name(image)) == name


@pytest.mark.parametrize(
    ("kind", "docker", "reason"),
    [
        ("echo a-worker", "", "kind has 1 of 2 nodes"),
        ("echo a-worker b-worker", "echo cannot connect to containerd >&2; exit 1", "cannot conn"),
    ],
)
def test_waiting_for_nodes_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, docker: str, reason: str
) -> None:
    for name, body in {"kind": kind, "docker": docker}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(images, "time", Clock(1000))
    with pytest.raises(CommandError, match=f"of churn take no images after .0 minutes: .*{reason}"):
        images.await_nodes(Cluster("churn", tmp_path), 2)


def test_nodes_that_took_long_to_pull_have_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten minutes until containerd answers begin when all nodes are there."""
    second_time = f'test -e "{tmp_path}/$0.ran" || {{ touch "{tmp_path}/$0.ran"; %s; }}'
    bodies = {
        "kind": f"{second_time % 'echo a; exit'}; echo a b",
        "docker": second_time % "exit 1",
    }
    for name, body in bodies.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body.replace('$0', name)}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(images, "time", Clock(500))
    assert images.await_nodes(Cluster("churn", tmp_path), 2) == ["a", "b"]
