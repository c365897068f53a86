"""When nodes are made again, the memory of each, and how many Linux allows."""

import os
from pathlib import Path

import pytest
from mf_k8s.kind import make_nodes as nodes
from mf_k8s.kind.cluster import Cluster
from mf_k8s.kind.make_nodes import cluster_config


@pytest.mark.parametrize(("present", "kept"), [("churn-worker", False), ("a b", True)])
def test_a_node_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: str, kept: bool
) -> None:
    """As by `docker rm`: the cluster is made again, and not given up in the middle."""
    kind = f'case "$2" in clusters) echo churn;; nodes) echo {present};; esac'
    for name, body in {"kind": kind, "docker": "echo true"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    cluster = Cluster("churn", tmp_path)
    config = cluster_config(cluster, 2)
    cluster.config_file.write_text(config)
    cluster.kubeconfig.touch()
    assert nodes.reuse_or_delete(cluster, config) == kept
    assert cluster.config_file.exists() == kept


@pytest.mark.parametrize(
    ("memory", "count", "limits"),
    [
        (10 * 2**30, 1, (9 * 2**30, 7 * 2**30)),
        (10 * 2**30, 7, (3 * 2**30, 2**30)),
        (4 * 10**9, 2, (27 * 10**8, 9 * 10**8)),
    ],
)
def test_memory_of_nodes(memory: int, count: int, limits: tuple[int, int]) -> None:
    """Of nine tenths, the control plane gets 2 GiB first; all get the same of the rest."""
    assert nodes.memory_limits(memory, count) == limits


def test_more_nodes_than_linux_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "max_user_instances"
    monkeypatch.setattr(nodes, "INOTIFY", str(limit))
    assert nodes.inotify_advice(9) == ""  # as on macOS
    limit.write_text("128\n")
    assert nodes.inotify_advice(2) == ""
    advice = nodes.inotify_advice(9)
    assert advice.startswith("9 nodes need about ") and "Linux allows 128 here" in advice
    assert "sudo sysctl fs.inotify.max_user_instances=" in advice
    limit.write_text("512\n")
    assert nodes.inotify_advice(9) == ""
