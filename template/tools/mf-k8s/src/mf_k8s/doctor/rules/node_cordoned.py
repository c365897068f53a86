"""A node that has what a pod needs is not cordoned.

`kubectl cordon`, and `kubectl drain` before maintenance, close a node to new pods; what runs there
goes on. If all nodes that a pod could have are closed, it stays pending until one is opened. Ask
why it was closed before you open it: `kubectl describe node NODE`.
(https://kubernetes.io/docs/concepts/architecture/nodes/#manual-node-administration)
"""

from collections.abc import Iterator

from ...pods.scheduling import CORDONED, Placement, stage_of
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import cordoned_words, names
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of

NEEDS = ("node-taint",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words:
        return cordoned_words(case, placement)

    nodes = nodes_of(case).nodes
    closed = [node for node in nodes if any(stage_of(each) == CORDONED for each in node.taints)]
    text = f"cordoned: {names(closed)}; others are open" if closed else ""
    yield from answers_at(case, CORDONED, words, lambda placement: text)
