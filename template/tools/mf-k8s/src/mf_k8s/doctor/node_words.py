"""What the doctor says where pods stay without a node, and what to do: for each stage."""

import difflib
from collections.abc import Sequence

from ..pods.node_labels import (
    ARCHITECTURES,
    CONTROL_PLANES,
    NAME,
    all_expressions,
    expression_holds,
    keys_of,
    spell_expression,
    untolerated,
)
from ..pods.pod_requests import PODS, spell
from ..pods.read_pods import Manifest
from ..pods.scheduling import READY, TAINT, Node, Placement, stage_of
from .answers import FlowPod
from .examination import Examination
from .placements import Words
from .toml_lines import toleration_line, toml_key, write_line

SHOWN = 3  # nodes that a message names
# How labels begin that nobody writes by hand: Kubernetes and clouds say by them what a node is.
OF_THE_MACHINE = (
    "kubernetes.io/",
    "topology.kubernetes.io/",
    "node.kubernetes.io/",
    "beta.kubernetes.io/",
    "failure-domain.",
    "cloud.google.com/",
    "eks.amazonaws.com/",
    "kubernetes.azure.com/",
    "karpenter.",
    NAME,
)


def names(nodes: Sequence[Node]) -> str:
    """Return nodes as words: `node a`, `nodes a, b, c and 4 more`."""
    shown = ", ".join(node.name for node in nodes[:SHOWN])
    rest = f" and {len(nodes) - SHOWN} more" if len(nodes) > SHOWN else ""
    return f"{'node' if len(nodes) == 1 else 'nodes'} {shown}{rest}"


def count(nodes: Sequence[Node]) -> str:
    return f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}"


def unmet(placement: Placement) -> list[Manifest]:
    """Return the requirements of a pod's selectors that no node meets by itself."""
    alone = [selector for selector in placement.demand.selectors if len(selector) == 1]
    return [
        entry
        for entry in all_expressions(alone)
        if not any(expression_holds(entry, node.labels) for node in placement.nodes)
    ]


def lacks_architecture(placement: Placement) -> bool:
    return any(entry["key"] in ARCHITECTURES for entry in unmet(placement))


def selector_words(case: Examination, placement: Placement) -> Words:
    if not placement.nodes:
        return Words("the cluster has no node")
    entries = unmet(placement)
    if not entries:
        asked = map(spell_expression, all_expressions(placement.demand.selectors))
        what = f"no node has all of {', '.join(asked)}"
        return Words(what, case.kubectl("get nodes --show-labels", namespaced=False))
    entry = next((each for each in entries if each["key"] in ARCHITECTURES), entries[0])
    key, asked_for = entry["key"], spell_expression(entry)
    values = sorted({node.labels[key] for node in placement.nodes if key in node.labels})
    if values:
        what = f"no node has {asked_for}; the nodes have {key}: {', '.join(values[:9])}"
    else:
        what = f"no node has {asked_for}, and none the label {key}"
        similar = {label for node in placement.nodes for label in node.labels}
        if close := difflib.get_close_matches(key, similar, 1):
            what += f"; there is {close[0]}"
    return Words(what, label_remedy(case, entry, values))


def label_remedy(case: Examination, entry: Manifest, values: Sequence[str]) -> str:
    """Return what to do where no node has a label: give it to one, or ask for another."""
    key, asked = entry["key"], [str(value) for value in entry.get("values") or ["VALUE"]]
    other = ""
    if values and entry["operator"] == "In":
        nearest = difflib.get_close_matches(asked[0], values, 1) or values
        other = write_line(nearest[0], "node_selector", key)
    label = case.kubectl(f"label node NODE {key}={asked[0]}", namespaced=False)
    label += " --overwrite" if values else ""
    if entry["operator"] not in ("In", "Exists") or key.startswith(OF_THE_MACHINE):
        delete = f"delete {toml_key('node_selector', key)} from k8s.toml"
        return other or f"{delete}, or add such a node"
    return f"{label}  # NODE is the one to use{'; or ' if other else ''}{other}"


def way_to(case: Examination, node: Node, placement: Placement) -> Words:
    """Return which of a pod's selectors keep it from a node, and how it gets there."""
    demand = placement.demand
    unmet_there = [
        entry
        for entry in all_expressions(demand.selectors)
        if not expression_holds(entry, node.labels)
    ]
    what = ", ".join(map(spell_expression, unmet_there))
    if not unmet_there:
        return Words(what)
    entry = unmet_there[0]
    key, values = entry["key"], entry.get("values") or ["VALUE"]
    if key in node.labels:
        return Words(what, write_line(node.labels[key], "node_selector", key))
    if key.startswith(OF_THE_MACHINE) or key in keys_of(demand.volumes):
        return Words(what, f"delete {toml_key('node_selector', key)} from k8s.toml")
    label = f"label node {node.name} {key}={values[0]}"
    return Words(what, case.kubectl(label, namespaced=False))


def taint_words(case: Examination, placement: Placement, pod: FlowPod) -> Words:
    demand = placement.demand
    taints = {
        node: [
            taint
            for taint in untolerated(node.taints, demand.tolerations)
            if stage_of(taint) == TAINT
        ]
        for node in placement.nodes
    }
    by_taints: dict[str, list[Node]] = {}
    for node, of_node in taints.items():
        by_taints.setdefault(", ".join(map(str, of_node)), []).append(node)
    texts = [f"{text} ({names(nodes)})" for text, nodes in by_taints.items()]
    more = f" and {len(texts) - SHOWN} other taints" if len(texts) > SHOWN else ""
    what = f"each node that has what it needs is tainted: {'; '.join(texts[:SHOWN])}{more}"
    node = min(taints, key=lambda node: len(taints[node]))
    for taint in taints[node]:
        if taint.key in CONTROL_PLANES:
            command = f"taint node {node.name} {taint.key_and_effect}-"
            return Words(what, case.kubectl(command, namespaced=False))
    lines = ", ".join(map(toleration_line, taints[node]))
    if pod.spec.get("tolerations"):
        return Words(what, f"add {lines} to tolerations in k8s.toml")
    return Words(what, f"write tolerations = [{lines}] into k8s.toml")


def cordoned_words(case: Examination, placement: Placement) -> Words:
    nodes = placement.nodes
    be = "is" if len(nodes) == 1 else "are"
    what = f"{names(nodes)} {be} cordoned, and no other has what it needs"
    return Words(what, case.kubectl(f"uncordon {nodes[0].name}", namespaced=False))


def ready_words(case: Examination, placement: Placement) -> Words:
    nodes, tolerations = placement.nodes, placement.demand.tolerations
    taints = {
        taint.key
        for node in nodes
        for taint in untolerated(node.taints, tolerations)
        if stage_of(taint) == READY
    }
    be = "is" if len(nodes) == 1 else "are"
    what = f"{names(nodes)} {be} not ready ({', '.join(sorted(taints))}), and no other will do"
    look = case.kubectl(f"describe node {nodes[0].name}", namespaced=False)
    return Words(what, look, passes=True)


def now_words(case: Examination, placement: Placement) -> Words:
    demand, nodes = placement.demand, placement.nodes
    texts = []
    for name, asked in demand.requests.items():
        best = max(nodes, key=lambda node: node.free.get(name, 0))
        free = max(best.free.get(name, 0), 0)
        if asked > free and name == PODS:
            texts.append(f"{count(nodes)} that it may get run as many pods as they can")
        elif asked > free:
            free_text = f"{spell(name, free)} is free at most ({best.name})"
            texts.append(f"asks for {name} {spell(name, asked)}, and {free_text}")
    asks = " and ".join(f"{name} {spell(name, asked)}" for name, asked in demand.requests.items())
    what = "; ".join(texts) or f"none of {count(nodes)} has {asks} free at once"
    nodes = sorted(nodes, key=lambda node: -node.free.get("cpu", 0))
    look = case.kubectl(f"describe node {nodes[0].name}", namespaced=False)
    return Words(f"no room now: {what}", f"{look}  # shows what runs there; or wait", passes=True)
