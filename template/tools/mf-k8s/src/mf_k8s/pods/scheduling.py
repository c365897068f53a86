"""Where kube-scheduler would put a pod, and if nowhere, why.

It holds a pod's specification against nodes and what runs on them, by the rules of the filters
NodeUnschedulable, TaintToleration, NodeAffinity, VolumeBinding and NodeResourcesFit
(kubernetes.io/docs/reference/scheduling/config). The nodes that differ in nothing that a pod can
see are looked at once, and so are pods with the same demands: the time grows with the nodes and
with the different pods.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .node_labels import (
    CONTROL_PLANES,
    NAME,
    UNSCHEDULABLE,
    Taint,
    Terms,
    holds,
    keys_of,
    repelling_taints,
    required_selectors,
    untolerated,
)
from .pod_requests import Amounts, amounts, copies_in, pod_requests, shortages
from .read_pods import Manifest

# What keeps a pod from a node, in the order in which it is to be mended.
SELECTOR, VOLUME, TAINT, CORDONED, READY, SIZE, NOW = (
    "selector",
    "volume",
    "taint",
    "cordoned",
    "ready",
    "size",
    "now",
)
FITS = ""
NEVER = (SELECTOR, VOLUME, TAINT, CORDONED, READY, SIZE)  # until somebody mends it
STAGES = (*NEVER, NOW, FITS)


@dataclass(frozen=True, eq=False)
class Node:
    """A node as pods see it."""

    name: str
    labels: Mapping[str, str]  # with its name, as node_labels.NAME
    taints: Sequence[Taint]
    installed: Amounts  # with devices that are out of order, which are not allocatable
    capacity: Amounts  # what pods may ask for at most: allocatable, less what always runs there
    free: Amounts  # what is left of it now

    @property
    def architecture(self) -> str:
        return self.labels.get("kubernetes.io/arch", "")


@dataclass(frozen=True, eq=False)
class Demand:
    """What of a pod decides where it can run."""

    selectors: Sequence[Terms]
    volumes: Sequence[Terms]  # node affinities of its volumes
    tolerations: Sequence[Manifest]
    requests: Amounts

    @cached_property
    def keys(self) -> frozenset[str]:
        """Return the labels that matter to it."""
        return frozenset(keys_of([*self.selectors, *self.volumes]))

    @cached_property
    def identity(self) -> str:
        return json.dumps([self.selectors, self.volumes, self.tolerations, self.requests])


@dataclass(frozen=True, eq=False)
class Placement:
    """What becomes of a pod.

    `stage` is what keeps it from running, FITS if nothing does. `nodes` are those which only that
    stage, or a later one, keeps it from (all nodes at SELECTOR), or those which it fits on.
    """

    demand: Demand
    stage: str
    nodes: Sequence[Node]


@dataclass(eq=False)
class Nodes:
    """The nodes of a cluster."""

    nodes: Sequence[Node]
    shapes: dict[frozenset[str], list[list[Node]]] = field(default_factory=dict)
    placements: dict[str, Placement] = field(default_factory=dict)

    def place(self, demand: Demand) -> Placement:
        if demand.identity not in self.placements:
            self.placements[demand.identity] = place(self.alike(demand.keys), demand)
        return self.placements[demand.identity]

    def room(self, demand: Demand, when_empty: bool = False) -> int:
        """Return how many such pods fit at once: now, or with nothing but what always runs."""
        nodes = self.suitable(demand, *NEVER)
        rooms = [node.capacity if when_empty else node.free for node in nodes]
        return sum(copies_in(demand.requests, room) for room in rooms)

    def suitable(self, demand: Demand, *stages: str) -> list[Node]:
        """Return the nodes that these stages do not keep a pod from."""
        found = []
        for group in self.alike(demand.keys):
            if not refusals(group[0], demand).intersection(stages):
                found += group
        return found

    def alike(self, keys: frozenset[str]) -> list[list[Node]]:
        """Return the nodes in groups that differ only in labels other than these, and in `free`."""
        if keys not in self.shapes:
            groups: dict[object, list[Node]] = defaultdict(list)
            for node in self.nodes:
                labels = tuple(node.labels.get(key) for key in sorted(keys))
                sizes = tuple(sorted(node.capacity.items()))
                groups[labels, tuple(node.taints), sizes].append(node)
            self.shapes[keys] = [*groups.values()]
        return self.shapes[keys]


def read_nodes(nodes: Iterable[Manifest], pods: Iterable[Manifest]) -> Nodes:
    """Return nodes from their manifests and those of all pods of the cluster."""
    used: dict[str, dict[str, int]] = {}
    always: dict[str, dict[str, int]] = {}
    for pod in pods:
        spec = pod["spec"]
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if ended or not spec.get("nodeName"):
            continue
        requests = pod_requests(spec)
        add(used.setdefault(spec["nodeName"], {}), requests)
        if stays(pod):
            add(always.setdefault(spec["nodeName"], {}), requests)
    return Nodes([read_node(node, used, always) for node in nodes])


def read_node(node: Manifest, used: Mapping[str, Amounts], always: Mapping[str, Amounts]) -> Node:
    name = node["metadata"]["name"]
    allocatable = amounts((node.get("status") or {}).get("allocatable"))
    return Node(
        name,
        {**(node["metadata"].get("labels") or {}), NAME: name},
        repelling_taints(node),
        amounts((node.get("status") or {}).get("capacity")),
        less(allocatable, always.get(name, {})),
        less(allocatable, used.get(name, {})),
    )


def add(total: dict[str, int], more: Amounts) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def less(total: Amounts, part: Amounts) -> dict[str, int]:
    return {name: number - part.get(name, 0) for name, number in total.items()}


def stays(pod: Manifest) -> bool:
    """Return whether a pod belongs to its node: a DaemonSet's, or a static pod."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] in ("DaemonSet", "Node") for owner in owners)


def demand_of(spec: Manifest, volumes: Sequence[Terms] = ()) -> Demand:
    """Return the demand of a pod's specification, with the node affinities of its volumes."""
    tolerations = spec.get("tolerations") or ()
    return Demand(required_selectors(spec), volumes, tolerations, pod_requests(spec))


def place(groups: Iterable[list[Node]], demand: Demand) -> Placement:
    """Return what becomes of a pod; `groups` are nodes of one kind each."""
    refused = [(group, refusals(group[0], demand)) for group in groups]
    left = refused
    for stage in (SELECTOR, VOLUME):
        nodes = [node for group, _ in left for node in group]
        left = [(group, stages) for group, stages in left if stage not in stages]
        if not left:
            return Placement(demand, stage, nodes)
    if nodes := [node for group, stages in left if not stages for node in group]:
        free = [node for node in nodes if not shortages(demand.requests, node.free)]
        return Placement(demand, FITS, free) if free else Placement(demand, NOW, nodes)
    # A node that is too small is no way out where another only lacks a toleration.
    large = [entry for entry in left if SIZE not in entry[1] and not of_control_plane(entry[0][0])]
    left = large or left
    for stage in (TAINT, CORDONED, READY, SIZE):
        nodes = [node for group, _ in left for node in group]
        left = [(group, stages) for group, stages in left if stage not in stages]
        if not left:
            break
    return Placement(demand, stage, nodes)


def refusals(node: Node, demand: Demand) -> set[str]:
    """Return the stages at which a node is out of the question."""
    stages = {stage_of(taint) for taint in untolerated(node.taints, demand.tolerations)}
    if not all(holds(selector, node.labels) for selector in demand.selectors):
        stages.add(SELECTOR)
    if not all(holds(affinity, node.labels) for affinity in demand.volumes):
        stages.add(VOLUME)
    if shortages(demand.requests, node.capacity):
        stages.add(SIZE)
    return stages


def stage_of(taint: Taint) -> str:
    if taint.key == UNSCHEDULABLE:
        return CORDONED
    return READY if taint.passing else TAINT


def of_control_plane(node: Node) -> bool:
    return any(taint.key in CONTROL_PLANES for taint in node.taints)
