"""Where pods would run, as the real kube-scheduler has said of the same nodes and pods.

tests/recorded/scheduling.json has what kube-scheduler 1.34 did with each pod, alone on a cluster of
made-up nodes: the node that it chose, or its message.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from mf_k8s.pods.node_labels import holds, untolerated
from mf_k8s.pods.pod_requests import shortages
from mf_k8s.pods.scheduling import FITS, NOW, demand_of, read_nodes

RECORDED = json.loads((Path(__file__).parents[2] / "recorded/scheduling.json").read_text())
NODES = read_nodes(RECORDED["nodes"], RECORDED["pods"])


def named(case):
    return case["case"]


def demand(case):
    return demand_of(case["spec"], case.get("volumes", ()))


def words(node, demand):
    """Return why a node is refused, in the scheduler's words; its filters stop at the first."""
    taints = untolerated(node.taints, demand.tolerations)
    if any(taint.key == "node.kubernetes.io/unschedulable" for taint in taints):
        return ["node(s) were unschedulable"]
    if taints:
        return ["node(s) had untolerated taint(s)"]
    if not all(holds(selector, node.labels) for selector in demand.selectors):
        return ["node(s) didn't match Pod's node affinity/selector"]
    short = shortages(demand.requests, node.free)
    if short:
        return ["Too many pods" if name == "pods" else f"Insufficient {name}" for name in short]
    if not all(holds(affinity, node.labels) for affinity in demand.volumes):
        return ["node(s) didn't match PersistentVolume's node affinity"]
    return []


@pytest.mark.parametrize("case", RECORDED["cases"], ids=named)
def test_placement_is_the_schedulers(case):
    placement = NODES.place(demand(case))
    assert (placement.stage == FITS) == ("node" in case)
    if "node" in case:
        free = [node.name for node in NODES.nodes if not words(node, demand(case))]
        assert case["node"] in free
        assert {node.name for node in placement.nodes} >= set(free)


@pytest.mark.parametrize("case", RECORDED["cases"], ids=named)
def test_each_node_is_refused_for_the_schedulers_reason(case):
    if "node" in case or "didn't satisfy plugin" in case["message"]:
        return  # it gives no reason, or leaves out the nodes before it looks at them
    reasons = case["message"].split(": ", 1)[1].split(". no new claims")[0]
    counted = (text.split(" ", 1) for text in reasons.split(", "))
    expected = {reason: int(count) for count, reason in counted}
    assert Counter(word for node in NODES.nodes for word in words(node, demand(case))) == expected


@pytest.mark.parametrize("case", RECORDED["cases"], ids=named)
def test_only_what_lacks_room_alone_is_not_now(case):
    """The scheduler says of each node whether it would help to remove pods from it."""
    if "node" in case or "volumes" in case:  # of volumes it finds out after the room
        return
    found = re.search(r"(\d+) No preemption victims found", case["message"])
    assert (NODES.place(demand(case)).stage == NOW) == bool(found)
