"""Clusters that make nodes by themselves: what they refuse is a problem, else it cannot be told."""

from typing import Any

import pytest
from cluster_manifests import manifest, node, pod
from examinations import examination, flow_pod, shown
from kinds_of_objects import Manifest
from mf_k8s.pods.autoscaling import all_at_maximum
from simulated_cluster import Simulate

ZONE = "topology.kubernetes.io/zone"
SYSTEM = "cluster-autoscaler-status"
TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
# As release 1.33 of the cluster autoscaler writes it, cut to two groups.
STATUS = """time: 2026-11-29 20:00:00.000000000 +0000 UTC
autoscalerStatus: Running
clusterWide:
  health: {status: Healthy}
nodeGroups:
- name: cpu
  health:
    status: Healthy
    cloudProviderTarget: 2
    minSize: 0
    maxSize: 2
- name: gpu
  health:
    status: Healthy
    cloudProviderTarget: 0
    minSize: 0
    maxSize: 0
"""


def node_pool(
    name: str, *requirements: tuple[str, ...], taints: Any = (), labels: Any = None, **spec: Any
) -> Manifest:
    entries = [
        {"key": key, "operator": operator, "values": [*values]}
        for key, operator, *values in requirements
    ]
    template = {
        "metadata": {"labels": labels or {}},
        "spec": {"requirements": entries, "taints": [*taints]},
    }
    status = spec.pop("status", {})
    found = manifest("NodePool", name, spec={"template": template, **spec}, status=status)
    return found | {"apiVersion": "karpenter.sh/v1"}


def selecting(simulate: Simulate, *objects: Manifest, **more: Any) -> str:
    """Return what node-selector answers of a pod that no node is for."""
    lacking = more.pop("lacking", ())
    cluster = simulate(node("a"), *objects, lacking=lacking)
    case = examination(cluster, flow_pod("F/s", **{"nodeSelector": {"pool": "gpu"}, **more}))
    (line,) = shown(case, "node-selector")
    return line.replace("no node has pool=gpu, and none the label pool; ", "")


LABEL = "kubectl label node NODE pool=gpu  # NODE is the one to use"
MAY = f"cannot tell: needs a new node, which NodePool gpu may make | F/s | {LABEL}"


@pytest.mark.parametrize(
    "pool",
    [
        node_pool("gpu", labels={"pool": "gpu"}),
        node_pool("gpu", ("pool", "In", "cpu", "gpu")),
        node_pool("gpu", ("pool", "Exists")),
        node_pool("gpu", ("pool", "NotIn", "cpu")),
        node_pool("gpu", ("pool", "In", "gpu"), ("kubernetes.io/arch", "In", "arm64")),
        node_pool("gpu", labels={"pool": "gpu"}, limits={"cpu": "1", "nvidia.com/gpu": "0"}),
        node_pool("gpu", labels={"pool": "gpu"}, taints=[TAINT | {"effect": "PreferNoSchedule"}]),
    ],
)
def test_a_node_pool_that_may_make_the_node(simulate: Simulate, pool: Manifest) -> None:
    assert selecting(simulate, pool) == MAY


@pytest.mark.parametrize(
    ("pool", "why"),
    [
        (node_pool("gpu"), "its nodes are not pool=gpu"),
        (node_pool("gpu", labels={"pool": "cpu"}), "its nodes are not pool=gpu"),
        (node_pool("gpu", ("pool", "NotIn", "gpu")), "its nodes are not pool=gpu"),
        (node_pool("gpu", ("pool", "DoesNotExist")), "its nodes are not pool=gpu"),
        (
            node_pool("gpu", labels={"pool": "gpu"}, taints=[TAINT]),
            "its taint nvidia.com/gpu=true:NoSchedule is not tolerated",
        ),
        (
            node_pool("gpu", labels={"pool": "gpu"}, limits={"cpu": "500m"}),
            "its limit of cpu is 0.5",
        ),
        (
            node_pool(
                "gpu",
                labels={"pool": "gpu"},
                status={
                    "conditions": [{"type": "Ready", "status": "False", "message": "no class"}]
                },
            ),
            "it is not ready: no class",
        ),
    ],
)
def test_a_node_pool_that_does_not(simulate: Simulate, pool: Manifest, why: str) -> None:
    line = selecting(simulate, pool)
    assert line == f"problem: no new node comes: NodePool gpu: {why} | F/s | {LABEL}"


def test_zones_and_hosts(simulate: Simulate) -> None:
    """Karpenter gives nodes the labels of a cloud unasked, and cannot give a certain name."""
    pool = node_pool("gpu")
    line = selecting(simulate, pool, nodeSelector={ZONE: "eu-1b"})
    assert "needs a new node, which NodePool gpu may make" in line
    limited = node_pool("gpu", (ZONE, "In", "eu-1a"))
    line = selecting(simulate, limited, nodeSelector={ZONE: "eu-1b"})
    assert f"no new node comes: NodePool gpu: its nodes are not {ZONE}=eu-1b" in line
    line = selecting(simulate, pool, nodeSelector={"kubernetes.io/hostname": "gone"})
    assert "its nodes are not kubernetes.io/hostname=gone" in line


def test_one_of_several_node_pools_is_enough(simulate: Simulate) -> None:
    pools = [node_pool("cpu", labels={"pool": "cpu"}), node_pool("gpu", labels={"pool": "gpu"})]
    assert selecting(simulate, *pools) == MAY


def test_a_node_pool_at_its_limit(simulate: Simulate) -> None:
    """When others of its nodes go, it makes one."""
    full = node_pool(
        "gpu", labels={"pool": "gpu"}, limits={"cpu": "8"}, status={"resources": {"cpu": "7500m"}}
    )
    line = selecting(simulate, full)
    assert line.startswith("not now: ")
    assert "NodePool gpu: its limit of cpu is 8, of which 7.5 are used" in line


def test_the_cluster_autoscaler(simulate: Simulate) -> None:
    config_map = manifest("ConfigMap", SYSTEM, "kube-system", data={"status": STATUS})
    assert selecting(simulate, config_map) == (
        f"cannot tell: needs a new node, which the cluster autoscaler may make | F/s | {LABEL}"
    )


@pytest.mark.parametrize("largest", [2, 3])
def test_groups_of_the_largest_size(simulate: Simulate, largest: int) -> None:
    status = STATUS.replace("maxSize: 2", f"maxSize: {largest}")
    config_map = manifest("ConfigMap", SYSTEM, "kube-system", data={"status": status})
    objects = [node("a"), pod("p", on="a", cpu="8"), config_map]
    case = examination(simulate(*objects), flow_pod("F/s"))
    (line,) = shown(case, "node-now")
    if largest == 2:
        assert line.startswith("not now: no room now: asks for cpu 1, and 0 is free at most (a);")
        assert "no new node comes: each group of the cluster autoscaler has its largest" in line
    else:
        assert line.startswith("cannot tell: no room now: ")


def test_a_status_that_is_prose_or_nothing() -> None:
    assert not all_at_maximum("Cluster-autoscaler status at 2023-01-01: Health: Healthy (ready=2)")
    assert not all_at_maximum("") and not all_at_maximum("nodeGroups: []")
    assert all_at_maximum(STATUS)


def test_without_the_right_to_look(simulate: Simulate) -> None:
    """Only where the nodes are a cloud's may there be an autoscaler that is not to be seen."""
    lacking = {"get configmaps"}
    assert selecting(simulate, lacking=lacking).startswith("problem: ")
    cloud = node("b", labels={"eks.amazonaws.com/nodegroup": "cpu"})
    assert selecting(simulate, cloud, lacking=lacking) == (
        "cannot tell: whether a new node comes, for want of the right to get configmaps in"
        " kube-system | F/s"
    )
    line = selecting(simulate, node_pool("gpu"), lacking={"list nodepools.karpenter.sh"})
    assert line.startswith("cannot tell: ")
    assert "for want of the right to list nodepools.karpenter.sh in the whole cluster" in line
