"""A node has the labels that a pod selects.

A pod with a node selector, or a required node affinity, runs only on nodes that have all of these
labels. If none has them, it stays pending without an end. `kubectl get nodes --show-labels` lists
them. (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/)

The selector is `node_selector` in k8s.toml, of a pool or of the step; an administrator may have
added one to what Argo makes. Labels that the cloud or kubelet writes, like
topology.kubernetes.io/zone, cannot be given to a node by hand: ask for one that is there.

Where the cluster makes nodes by itself, Karpenter's NodePools say which labels their nodes have; of
another autoscaler it cannot be told.
"""

from collections.abc import Iterator

from ...pods.node_labels import all_expressions, spell_expression
from ...pods.scheduling import SELECTOR, Placement
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import count, lacks_architecture, selector_words
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of

NEEDS = ("node-architecture",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words | None:
        return None if lacks_architecture(placement) else selector_words(case, placement)

    def selected(placement: Placement) -> str:
        entries = ", ".join(map(spell_expression, all_expressions(placement.demand.selectors)))
        nodes = nodes_of(case).suitable(placement.demand, SELECTOR)
        return f"{entries}: {count(nodes)}" if entries else ""

    yield from answers_at(case, SELECTOR, words, selected)
