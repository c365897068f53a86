"""What the doctor says of pods that are larger than any node, and which size would fit."""

from collections.abc import Sequence

from ..pods.pod_requests import PODS, Amounts, container_requests, shortages, spell
from ..pods.read_container import GPU_RESOURCES, SIZE_RESOURCES
from ..pods.scheduling import Node, Placement
from .answers import FlowPod
from .examination import Examination
from .node_words import count, names, way_to
from .placements import Words, nodes_of
from .toml_lines import write_line

KEYS = {resource: key for key, resource in SIZE_RESOURCES.items()}  # of k8s.toml
MB = 10**6  # in which k8s.toml has memory and disk
# Labels by which a node says that it has GPUs, whoever wrote them.
GPU_LABELS = (
    "nvidia.com/gpu.present",
    "nvidia.com/gpu.product",
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "cloud.google.com/gke-accelerator",
    "k8s.amazonaws.com/accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "kubernetes.azure.com/accelerator",
    "accelerator",
    "amd.com/gpu.product-name",
    "gpu.nvidia.com/class",
)
PLUGINS = {
    "nvidia.com": "https://github.com/NVIDIA/k8s-device-plugin",
    "amd.com": "https://github.com/ROCm/k8s-device-plugin",
}


def lacking(requests: Amounts, nodes: Sequence[Node]) -> list[str]:
    """Return what no node has enough of; if each has some node, what not all nodes have."""
    short = [{*shortages(requests, node.capacity)} & {*requests} for node in nodes]
    of_none = set.intersection(*short) or set.union(*short)
    return [name for name in requests if name in of_none]


def devices(placement: Placement) -> list[str]:
    """Return the devices of which no node has enough."""
    asked = {name: n for name, n in placement.demand.requests.items() if "/" in name and n}
    if not asked or nodes_with(asked, placement.nodes):
        return []
    return lacking(asked, placement.nodes)


def nodes_with(requests: Amounts, nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if not shortages(requests, node.capacity)]


def size_words(case: Examination, placement: Placement, pod: FlowPod) -> Words:
    """Return what is too large for every node, and how large it may be."""
    requests = placement.demand.requests
    asked = {name: number for name, number in requests.items() if "/" in name}
    nodes = nodes_with(asked, placement.nodes) or placement.nodes  # those with the devices
    texts, remedies = [], []
    too_large = lacking(requests, nodes)
    for name in too_large:
        best = max(nodes, key=lambda node: node.capacity.get(name, 0))
        largest = best.capacity.get(name, 0)
        if name == PODS:
            texts.append(f"{names(nodes)} may run no pod")
        elif requests[name] <= largest:
            texts.append(f"{name} {spell(name, requests[name])}")
        else:
            which = f", the largest of {count(nodes)}," if len(nodes) > 1 else ""
            has = f"node {best.name}{which} has {spell(name, largest)} for pods"
            texts.append(f"asks for {name} {spell(name, requests[name])}; {has}")
            free = max(node.free.get(name, 0) for node in nodes)
            # so that it fits now, unless the nodes are busy with what will end
            fitting = free if free > largest / 2 else largest
            remedies.append(smaller(name, fitting, requests[name], pod))
    what = "; ".join(texts)
    if not remedies and PODS not in too_large:
        what = f"no node has at once {' and '.join(texts)}"
    amounts = (f"{name} {spell(name, requests[name])}" for name in too_large if name != PODS)
    other = f"add a node with {' and '.join(amounts)}"
    if elsewhere := nodes_with(requests, nodes_of(case).nodes):
        way = way_to(case, elsewhere[0], placement)
        what += f"; {names(elsewhere)} would do" if way.remedy else ""
        other = way.remedy or other
    return Words(what, ", or ".join(filter(None, [", and ".join(filter(None, remedies)), other])))


def smaller(name: str, largest: int, asked: int, pod: FlowPod) -> str:
    """Return the advice to ask for less; empty if even nothing would be too much."""
    room = largest - (asked - of_step(pod, name))
    number = room // 100 / 10 if name == "cpu" else room // MB
    if name not in KEYS or number <= 0:
        return ""
    key, value = KEYS[name], f"{number:g}" if name == "cpu" else str(number)
    return f"write {key} = {value} into k8s.toml, or {key}={value} into @k8s(…) of the step"


def of_step(pod: FlowPod, name: str) -> int:
    """Return what the container that runs the step asks for: the others are Argo's."""
    containers = pod.spec["containers"]
    main = next((each for each in containers if each.get("name") == "main"), containers[0])
    return container_requests(main).get(name, 0)


def device_words(case: Examination, placement: Placement, name: str) -> Words:
    """Return why there are not enough devices of a kind, and what might be meant."""
    nodes = nodes_of(case)
    asked, reach = placement.demand.requests[name], placement.nodes
    best = max(reach, key=lambda node: node.capacity.get(name, 0))
    largest = best.capacity.get(name, 0)
    if elsewhere := nodes_with({name: asked}, nodes.nodes):
        way = way_to(case, elsewhere[0], placement)
        most = f"more than {largest}" if largest else "any"
        what = f"asks for {name} {asked}, and none of {count(reach)} that it may get has {most}"
        if way.remedy:
            return Words(f"{what}; {names(elsewhere)} would do", way.remedy)
    if largest:
        what = f"asks for {name} {asked}; no node has more than {largest} ({best.name})"
        return Words(what, f"{device_line(name, largest)}, or add a node with {asked}")
    if broken := [node for node in nodes.nodes if node.installed.get(name)]:
        what = f"asks for {name} {asked}, and those of {names(broken)} are out of order"
        return Words(what, case.kubectl(f"describe node {broken[0].name}", namespaced=False))
    what = f"asks for {name} {asked}, and no node has any"
    if other := other_device(nodes.nodes, name):
        having = [node for node in nodes.nodes if node.capacity.get(other)]
        what += f"; {names(having)} {'has' if len(having) == 1 else 'have'} {other}"
        return Words(what, device_line(other, min(asked, having[0].capacity[other])))
    vendor = name.partition("/")[0]
    labelled = [node for node in nodes.nodes if any(label in node.labels for label in GPU_LABELS)]
    if labelled:
        be = "is" if len(labelled) == 1 else "are"
        what += (
            f"; {names(labelled)} {be} labelled as having GPUs, but no device plugin reports them"
        )
        plugin = PLUGINS.get(vendor, "the device plugin of their vendor")
        return Words(what, f"install {plugin} on them")
    return Words(what, f"add a node with {name}, or {device_line(name, 0)}")


def other_device(nodes: Sequence[Node], name: str) -> str:
    """Return what may be meant by a device that no node has: another vendor's, or a MIG slice."""
    there = {each for node in nodes for each, number in node.capacity.items() if number}
    family = (f"{name.partition('/')[0]}/mig-", f"{name}.shared", "nvidia.com/mig-")
    similar = sorted(each for each in there if each.startswith(family))
    return next(iter([*sorted(there & {*GPU_RESOURCES.values()}), *similar]), "")


def device_line(name: str, number: int) -> str:
    """Return the advice to ask for so many of a device."""
    for vendor, resource in GPU_RESOURCES.items():
        if name == resource:
            also = f' and gpu_vendor = "{vendor}"' if number else ""
            step = f'gpu={number}, gpu_vendor="{vendor}"' if number else "gpu=0"
            return f"write gpu = {number}{also} into k8s.toml, or {step} into @k8s(…) of the step"
    line = write_line(str(number), "extended_resources", name)
    return line.replace("write ", "write gpu = 0 and ") if number else line
