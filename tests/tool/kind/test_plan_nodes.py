"""Which nodes a kind cluster gets for pods: their labels, taints, sizes and mounts."""

import json
from pathlib import Path

import pytest
from kind_objects import PODS
from mf_k8s.kind import plan_nodes as capacity
from mf_k8s.kind.cluster import Cluster
from mf_k8s.kind.make_nodes import cluster_config


def test_placements() -> None:
    """Pods that tolerate taints get a node with these; a toleration of everything needs none.

    Kubernetes refuses two taints of one key and effect.
    """
    assert capacity.labels_and_taints(PODS) == [
        {"labels": {}, "taints": []},
        {
            "labels": {"pool": "a100"},
            "taints": [{"key": "nvidia.com/gpu", "value": "", "effect": "NoSchedule"}],
        },
        {
            "labels": {"pool": "shared"},
            "taints": [{"key": "team", "value": "b", "effect": "NoExecute"}],
        },
    ]


def test_a_node_is_one_that_affinity_requires() -> None:
    """By the first of its terms, any of which is enough."""
    terms = [
        {
            "matchExpressions": [
                {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]},
                {"key": "gpu", "operator": "Exists"},
                {"key": "spot", "operator": "DoesNotExist"},
            ]
        },
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    pod = {"node_selector": {"pool": "a"}, "pod": {"affinity": {"nodeAffinity": required}}}
    _, node = capacity.labels_and_taints([pod])
    assert node["labels"] == {"pool": "a", "disk": "ssd", "gpu": "true"}


def test_node_capacity() -> None:
    """Four of the largest pods fit, beside 2 cores and 2 GiB for the system."""
    assert capacity.node_capacity(PODS) == {
        "cpu": 4 * 2 + 2,
        "memory": 4 * 4096 * 10**6 + 2 * 2**30,
        "amd.com/gpu": 12,
        "nvidia.com/mig-1g.5gb": 8,
    }


@pytest.mark.parametrize("has_numa", [True, False])
def test_a_kernel_without_numa(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_numa: bool
) -> None:
    """Nothing can be mounted over a folder that does not exist: no cluster would come up."""
    numa = tmp_path / "node"
    if has_numa:
        numa.mkdir()
    monkeypatch.setattr(capacity, "NUMA", str(numa))
    for node in json.loads(cluster_config(Cluster("churn", tmp_path), 2))["nodes"]:
        paths = {mount["containerPath"] for mount in node["extraMounts"]}
        assert paths - {str(numa)} == {"/proc/meminfo", "/claims", "/images"}
        assert (str(numa) in paths) == has_numa
