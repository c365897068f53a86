"""Images on a kind cluster: the name of a digest, and until when nodes are waited for."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.kind import images
from mf_k8s.kind.cluster import Cluster
from mf_k8s.pods.image_names import image_name
from mf_k8s.project.project import Project
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


DOCKER = """case "$*" in
    version*) echo linux/arm64;;
    "image inspect"*) echo linux/{architecture} sha256:one;;
    run*) exit {code};;
esac"""


@pytest.mark.parametrize(
    ("architecture", "code", "reason"),
    [
        ("arm64", 1, ""),
        ("amd64", 0, ""),  # which this machine emulates
        ("amd64", 1, "ghcr.io/acme/churn:1 is for linux/amd64, and the nodes of kind on this"),
    ],
)
def test_an_existing_image_of_another_platform(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    architecture: str, code: int, reason: str,
) -> None:  # fmt: skip
    """It is named before the nodes are waited for, unless it runs here all the same."""
    docker = DOCKER.format(architecture=architecture, code=code)
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{docker}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("DOCKER_DEFAULT_PLATFORM", raising=False)
    project = Project(example, "churn_model")
    with pytest.raises(CommandError, match=reason) if reason else nullcontext():
        found = images.provide_image(project, "ghcr.io/acme/churn:1", False)
        assert found.strip() == f"linux/{architecture} sha256:one"


def test_a_platform_that_is_not_that_of_the_push(example: Path) -> None:
    project = Project(example, "churn_model")  # whose image is for linux/amd64
    assert images.other_platform(project, "linux/amd64 sha256:one") == ""
    assert images.other_platform(project, "") == ""
    assert images.other_platform(project, "linux/arm64 sha256:one") == (
        " (linux/arm64 as this machine is; `k8s image` builds linux/amd64)"
    )


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
