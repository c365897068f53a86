"""The rules about nodes: what is wrong, of which pods, and what mends it."""

import pytest
from cluster_manifests import healthy, node, pod
from examinations import examination, flow_pod, shown
from kinds_of_objects import Manifest
from simulated_cluster import Simulate

ZONE = "topology.kubernetes.io/zone"
GPU = {"nvidia.com/gpu": "4"}
RULES = [
    "node-architecture",
    "node-selector",
    "node-taint",
    "node-cordoned",
    "node-ready",
    "node-size",
    "node-gpu",
    "node-now",
]


def lines(simulate: Simulate, objects: list[Manifest], requests=None, **spec) -> list[str]:
    """Return what is no ok of a pod on nodes, of all rules about nodes."""
    case = examination(simulate(*objects), flow_pod("F/s", requests=requests, **spec))
    return [
        f"{code}: {line}".replace(" | F/s", "")
        for code in RULES
        for line in shown(case, code)
        if not line.startswith("ok")
    ]


def test_a_healthy_cluster(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), pod("a", on="node-1", cpu="7500m"))
    case = examination(
        cluster,
        flow_pod("TrainFlow/start"),
        flow_pod("TrainFlow/train", nodeSelector={"kubernetes.io/hostname": "node-2"}),
    )
    assert {code: shown(case, code) for code in RULES} == {
        "node-architecture": [],
        "node-selector": ["ok: kubernetes.io/hostname=node-2: 1 node | TrainFlow/train"],
        "node-taint": [],
        "node-cordoned": [],
        "node-ready": [],
        "node-size": [
            "ok: cpu 1, memory 4096 MB: 2 nodes | TrainFlow/start",
            "ok: cpu 1, memory 4096 MB: 1 node | TrainFlow/train",
        ],
        "node-gpu": [],
        "node-now": ["ok: room on 1 node | TrainFlow/start, TrainFlow/train"],
    }
    assert not cluster.written


def test_what_is_right_documents_the_cluster(simulate: Simulate) -> None:
    nodes = [
        node("a", unschedulable=True),
        node("b", "node.kubernetes.io/disk-pressure:NoSchedule"),
        node("c", "nvidia.com/gpu=present:NoSchedule", allocatable=GPU),
        node("d"),
    ]
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    train = flow_pod(
        "F/train",
        requests={"nvidia.com/gpu": "1"},
        tolerations=tolerations,
        nodeSelector={"kubernetes.io/arch": "amd64"},
    )
    case = examination(simulate(*nodes), train)
    assert [shown(case, code) for code in RULES] == [
        ["ok: kubernetes.io/arch=amd64 | F/train"],
        ["ok: kubernetes.io/arch=amd64: 4 nodes | F/train"],
        ["ok: 4 nodes without a taint that keeps it away | F/train"],
        ["ok: cordoned: node a; others are open | F/train"],
        ["ok: out of order: node b; others are well | F/train"],
        ["ok: nothing: 1 node | F/train"],
        ["ok: nvidia.com/gpu 1: node c | F/train"],
        ["ok: room on 1 node | F/train"],
    ]


@pytest.mark.parametrize(
    ("nodes", "selector", "expected"),
    [
        (
            [node("a", labels={"pool": "gpu-a100"}), node("b")],
            {"pool": "gpu-a10"},
            "node-selector: problem: no node has pool=gpu-a10; the nodes have pool: gpu-a100"
            " | kubectl label node NODE pool=gpu-a10 --overwrite  # NODE is the one to use; or"
            ' write node_selector.pool = "gpu-a100" into k8s.toml',
        ),
        (
            [node("a", labels={"pools": "x"})],
            {"pool": "x"},
            "node-selector: problem: no node has pool=x, and none the label pool; there is pools"
            " | kubectl label node NODE pool=x  # NODE is the one to use",
        ),
        (
            [node("a", labels={ZONE: "eu-1a"}), node("b", labels={ZONE: "eu-1b"})],
            {ZONE: "eu-1d"},
            f"node-selector: problem: no node has {ZONE}=eu-1d; the nodes have {ZONE}: eu-1a,"
            f' eu-1b | write node_selector."{ZONE}" = "eu-1b" into k8s.toml',
        ),
        (
            [node("a", labels={"x": "1"}), node("b", labels={"y": "1"})],
            {"x": "1", "y": "1"},
            "node-selector: problem: no node has all of x=1, y=1 | kubectl get nodes --show-labels",
        ),
        (
            [node("a")],
            {"kubernetes.io/arch": "arm64"},
            "node-architecture: problem: no node has kubernetes.io/arch=arm64; the nodes have"
            " kubernetes.io/arch: amd64 | write"
            ' node_selector."kubernetes.io/arch" = "amd64" into k8s.toml',
        ),
        ([], {}, "node-selector: problem: the cluster has no node"),
    ],
)
def test_selectors(simulate: Simulate, nodes, selector, expected: str) -> None:
    assert lines(simulate, nodes, nodeSelector=selector) == [expected]


@pytest.mark.parametrize(
    ("taints", "tolerations", "expected"),
    [
        (
            ["dedicated=ml:NoExecute"],
            [],
            "each node that has what it needs is tainted: dedicated=ml:NoExecute (node a) | write"
            ' tolerations = [{ key = "dedicated", operator = "Equal", value = "ml",'
            ' effect = "NoExecute" }] into k8s.toml',
        ),
        (
            ["x:NoSchedule", "y:NoSchedule"],
            [{"key": "y", "operator": "Exists"}],
            "each node that has what it needs is tainted: x:NoSchedule (node a) | add"
            ' { key = "x", operator = "Exists", effect = "NoSchedule" } to tolerations in k8s.toml',
        ),
        (
            ["node-role.kubernetes.io/control-plane:NoSchedule"],
            [],
            "each node that has what it needs is tainted:"
            " node-role.kubernetes.io/control-plane:NoSchedule (node a) | kubectl taint node a"
            " node-role.kubernetes.io/control-plane:NoSchedule-",
        ),
    ],
)
def test_taints(simulate: Simulate, taints, tolerations, expected: str) -> None:
    found = lines(simulate, [node("a", *taints)], tolerations=tolerations)
    assert found == [f"node-taint: problem: {expected}"]


def test_a_tainted_node_with_gpus_is_not_a_lack_of_gpus(simulate: Simulate) -> None:
    nodes = [node("a"), node("g", "nvidia.com/gpu=present:NoSchedule", allocatable=GPU)]
    assert lines(simulate, nodes, requests={"nvidia.com/gpu": "2"}) == [
        "node-taint: problem: each node that has what it needs is tainted:"
        " nvidia.com/gpu=present:NoSchedule (node g) | write tolerations ="
        ' [{ key = "nvidia.com/gpu", operator = "Equal", value = "present",'
        ' effect = "NoSchedule" }] into k8s.toml'
    ]


def test_what_the_cluster_adds_to_a_pod(simulate: Simulate) -> None:
    """GKE gives a pod a toleration of the taint of the GPUs that it asks for."""
    added = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    nodes = [node("g", "nvidia.com/gpu=present:NoSchedule", "x:NoSchedule", allocatable=GPU)]
    cluster = simulate(*healthy()[:2], *nodes)
    cluster.admit = lambda pod: pod | {"spec": pod["spec"] | {"tolerations": [added]}}
    case = examination(cluster, flow_pod("F/s", requests={"nvidia.com/gpu": "1"}))
    assert shown(case, "node-taint") == [
        "problem: each node that has what it needs is tainted: x:NoSchedule (node g) | F/s | write"
        ' tolerations = [{ key = "x", operator = "Exists", effect = "NoSchedule" }] into k8s.toml'
    ]
    del nodes[0]["spec"]["taints"][1]
    cluster.add(*nodes)
    case = examination(cluster, flow_pod("F/s", requests={"nvidia.com/gpu": "1"}))
    assert shown(case, "node-taint") == ["ok: 1 node without a taint that keeps it away | F/s"]


def test_the_control_plane_is_no_way_out(simulate: Simulate) -> None:
    nodes = [
        node("c", "node-role.kubernetes.io/control-plane:NoSchedule", allocatable={"cpu": "64"}),
        node("a"),
    ]
    (found,) = lines(simulate, nodes, requests={"cpu": "16"})
    assert found.startswith("node-size: problem: asks for cpu 16; node a has 8 for pods |")


def test_a_tolerated_control_plane_is_a_node(simulate: Simulate) -> None:
    nodes = [
        node("c", "node-role.kubernetes.io/control-plane:NoSchedule"),
        node("x", "x:NoSchedule"),
    ]
    key = "node-role.kubernetes.io/control-plane"
    assert lines(simulate, nodes, tolerations=[{"key": key, "operator": "Exists"}]) == []


def test_gangs(simulate: Simulate) -> None:
    """All pods of a @parallel step wait for each other, so that two must have room."""
    gpus = {"nvidia.com/gpu": "2"}
    gang = [
        flow_pod("F/train/control", requests=gpus),
        flow_pod("F/train/worker", requests=gpus, side_by_side=None),
    ]
    pods = [*gang, flow_pod("F/train/creator"), flow_pod("F/start")]

    def gang_on(*objects: Manifest) -> list[str]:
        return shown(examination(simulate(*objects), *pods), "node-gang")

    both = "F/train/control, F/train/worker"
    b = node("b", "x:NoExecute", allocatable=GPU)
    assert gang_on(node("a", allocatable=GPU), b) == [
        f"ok: room for 2 pods at once, on empty nodes for 2 | {both}"
    ]
    assert gang_on(node("a", allocatable={"nvidia.com/gpu": "3"}), b) == [
        "problem: 1 node that it may get: no room for two of its pods at once"
        f" | {both} | add a node, or ask for less cpu, memory or gpu in @k8s(…) of the step"
    ]
    used = pod("p", on="a", **{"nvidia.com/gpu": "1"})
    assert gang_on(node("a", allocatable=GPU), used) == [
        "not now: no room for two of its pods at once now; empty nodes have some for 2"
        f" | {both} | wait until other pods end"
    ]
    assert gang_on(node("a")) == []


def test_cordoned_and_not_ready(simulate: Simulate) -> None:
    closed = [node("a", unschedulable=True), node("b", unschedulable=True)]
    assert lines(simulate, closed) == [
        "node-cordoned: problem: nodes a, b are cordoned, and no other has what it needs"
        " | kubectl uncordon a"
    ]
    assert lines(simulate, [node("a", "node.kubernetes.io/not-ready:NoSchedule")]) == [
        "node-ready: not now: node a is not ready (node.kubernetes.io/not-ready), and no other"
        " will do | kubectl describe node a"
    ]


def test_sizes(simulate: Simulate) -> None:
    daemon = pod("d", on="b", memory="2Gi")
    daemon["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "d"}]
    nodes = [node("a", allocatable={"memory": "16Gi"}), node("b"), daemon]
    assert lines(simulate, nodes, requests={"cpu": "9", "memory": "64000M"}) == [
        "node-size: problem: asks for cpu 9; node a, the largest of 2 nodes, has 8 for pods; asks"
        " for memory 64000 MB; node b, the largest of 2 nodes, has 32212 MB for pods"
        " | write cpu = 8 into k8s.toml, or cpu=8 into @k8s(…) of the step, and"
        " write memory = 32212 into k8s.toml, or memory=32212 into @k8s(…) of the step, or"
        " add a node with cpu 9 and memory 64000 MB"
    ]
    waits = {"name": "wait", "resources": {"requests": {"memory": "1G"}}}
    main = {"name": "main", "resources": {"requests": {"memory": "32G"}}}
    (found,) = lines(simulate, nodes, containers=[waits, main])
    assert "memory 33000 MB; node b," in found and "write memory = 31212 into" in found
    (found,) = lines(simulate, nodes, requests={"ephemeral-storage": "200G"})
    assert "write disk = 107374 into k8s.toml" in found
    nodes = [node("a", allocatable={"cpu": "64"}), node("b", allocatable={"memory": "640Gi"})]
    assert lines(simulate, nodes, requests={"cpu": "32", "memory": "400G"}) == [
        "node-size: problem: no node has at once cpu 32 and memory 400000 MB | add a node with"
        " cpu 32 and memory 400000 MB"
    ]


@pytest.mark.parametrize(
    ("nodes", "requests", "expected"),
    [
        (
            [node("a", allocatable=GPU)],
            {"nvidia.com/gpu": "8"},
            "asks for nvidia.com/gpu 8; no node has more than 4 (a) | write gpu = 4 and"
            ' gpu_vendor = "nvidia" into k8s.toml, or gpu=4, gpu_vendor="nvidia" into @k8s(…) of'
            " the step, or add a node with 8",
        ),
        (
            [node("a", allocatable={"amd.com/gpu": "2"})],
            {"nvidia.com/gpu": "1"},
            "asks for nvidia.com/gpu 1, and no node has any; node a has amd.com/gpu | write gpu = 1"
            ' and gpu_vendor = "amd" into k8s.toml, or gpu=1, gpu_vendor="amd" into @k8s(…) of'
            " the step",
        ),
        (
            [node("a", allocatable={"nvidia.com/mig-1g.5gb": "7"})],
            {"nvidia.com/gpu": "1"},
            "asks for nvidia.com/gpu 1, and no node has any; node a has nvidia.com/mig-1g.5gb"
            ' | write gpu = 0 and extended_resources."nvidia.com/mig-1g.5gb" = "1" into k8s.toml',
        ),
        (
            [node("a", labels={"nvidia.com/gpu.product": "A100"})],
            {"nvidia.com/gpu": "1"},
            "asks for nvidia.com/gpu 1, and no node has any; node a is labelled as having GPUs, but"
            " no device plugin reports them | install"
            " https://github.com/NVIDIA/k8s-device-plugin on them",
        ),
        (
            [node("a")],
            {"nvidia.com/gpu": "1"},
            "asks for nvidia.com/gpu 1, and no node has any | add a node with nvidia.com/gpu, or"
            " write gpu = 0 into k8s.toml, or gpu=0 into @k8s(…) of the step",
        ),
        (
            [node("a", allocatable={"nvidia.com/mig-2g.10gb": "3"})],
            {"nvidia.com/mig-1g.5gb": "2"},
            "asks for nvidia.com/mig-1g.5gb 2, and no node has any; node a has"
            " nvidia.com/mig-2g.10gb | write gpu = 0 and"
            ' extended_resources."nvidia.com/mig-2g.10gb" = "2" into k8s.toml',
        ),
    ],
)
def test_devices(simulate: Simulate, nodes, requests, expected: str) -> None:
    assert lines(simulate, nodes, requests=requests) == [f"node-gpu: problem: {expected}"]


def test_gpus_that_are_out_of_order(simulate: Simulate) -> None:
    """A device plugin reports them, and that they are not healthy: they are not allocatable."""
    nodes = [node("a"), node("g", allocatable=GPU)]
    nodes[1]["status"]["allocatable"] = {**nodes[1]["status"]["capacity"], "nvidia.com/gpu": "0"}
    assert lines(simulate, nodes, requests={"nvidia.com/gpu": "1"}) == [
        "node-gpu: problem: asks for nvidia.com/gpu 1, and those of node g are out of order"
        " | kubectl describe node g"
    ]


def test_gpus_of_nodes_that_are_not_selected(simulate: Simulate) -> None:
    nodes = [node("a", labels={"pool": "cpu"}), node("g", allocatable=GPU)]
    selector = {"pool": "cpu"}
    assert lines(simulate, nodes, requests={"nvidia.com/gpu": "1"}, nodeSelector=selector) == [
        "node-gpu: problem: asks for nvidia.com/gpu 1, and none of 1 node that it may get has any;"
        " node g would do | kubectl label node g pool=cpu"
    ]
    nodes[1]["metadata"]["labels"]["pool"] = "gpu"
    (line,) = lines(simulate, nodes, requests={"nvidia.com/gpu": "1"}, nodeSelector=selector)
    assert line.endswith('node g would do | write node_selector.pool = "gpu" into k8s.toml')
    nodes[1]["status"]["allocatable"]["cpu"] = "64"
    assert lines(simulate, nodes, requests={"cpu": "32"}, nodeSelector=selector) == [
        "node-size: problem: asks for cpu 32; node a has 8 for pods; node g would do | write"
        " cpu = 8 into k8s.toml, or cpu=8 into @k8s(…) of the step, or write"
        ' node_selector.pool = "gpu" into k8s.toml'
    ]


def test_the_nodes_with_gpus_are_too_small(simulate: Simulate) -> None:
    """Others are large enough and have no GPU: there are GPUs, and the cores are too many."""
    nodes = [node("a", allocatable={"cpu": "64"}), node("g", allocatable=GPU)]
    assert lines(simulate, nodes, requests={"nvidia.com/gpu": "1", "cpu": "32"}) == [
        "node-size: problem: asks for cpu 32; node g has 8 for pods | write cpu = 8 into k8s.toml,"
        " or cpu=8 into @k8s(…) of the step, or add a node with cpu 32"
    ]
    nodes[1]["status"]["allocatable"]["amd.com/gpu"] = "1"
    requests = {"nvidia.com/gpu": "8", "cpu": "32"}
    (line,) = lines(simulate, nodes, requests=requests)
    assert line.startswith("node-gpu: problem: asks for nvidia.com/gpu 8; no node has more than 4")


def test_no_room_now(simulate: Simulate) -> None:
    objects = [node("a"), node("b"), pod("p", on="a", cpu="6"), pod("q", on="b", cpu="7500m")]
    assert lines(simulate, objects, requests={"cpu": "4"}) == [
        "node-now: not now: no room now: asks for cpu 4, and 2 is free at most (a) |"
        " kubectl describe node a  # shows what runs there; or wait"
    ]
    objects[2]["status"]["phase"] = "Succeeded"
    assert lines(simulate, objects, requests={"cpu": "4"}) == []


def test_the_advised_size_fits_now_if_half_of_a_node_is_free(simulate: Simulate) -> None:
    for used, advice in (("3", "cpu = 5 into"), ("5", "cpu = 8 into")):
        (found,) = lines(simulate, [node("a"), pod("p", on="a", cpu=used)], requests={"cpu": "9"})
        assert advice in found


def test_what_else_the_scheduler_looks_at(simulate: Simulate) -> None:
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
    spec = {"affinity": {"podAntiAffinity": terms}, "schedulerName": "volcano"}
    assert lines(simulate, [node("a")], **spec) == [
        "node-now: cannot tell: the scheduler also looks at the podAntiAffinity of the pod",
        "node-now: cannot tell: the scheduler also looks at the schedulerName volcano of the pod",
    ]


def test_without_the_right_to_list_pods(simulate: Simulate) -> None:
    """Everything but the room that is left can be told."""
    cluster = simulate(*healthy(), lacking={"list pods"})
    case = examination(cluster, flow_pod("F/a"), flow_pod("F/b", requests={"cpu": "9"}))
    assert [line.split(":")[0] for line in shown(case, "node-size")] == ["problem", "ok"]
    assert shown(case, "node-now") == [
        "cannot tell: for want of the right to list pods in the whole cluster | F/a, F/b"
    ]
    case = examination(simulate(*healthy(), lacking={"list nodes"}), flow_pod("F/a"))
    for code in RULES:
        assert shown(case, code) == [
            "cannot tell: for want of the right to list nodes in the whole cluster | F/a"
        ]
