"""A node that has what a pod needs is in order.

Kubernetes taints a node that does not report, lacks memory, disk or process numbers, has no network
yet, or is about to be removed, and takes the taint away when that is over
(https://kubernetes.io/docs/concepts/architecture/nodes/#node-status, node.kubernetes.io/… ). Until
then it gets no new pod. `kubectl describe node NODE` shows the conditions, each with a reason.
"""

from collections.abc import Iterator

from ...pods.scheduling import READY, Placement, stage_of
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import names, ready_words
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of

NEEDS = ("node-cordoned",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words:
        return ready_words(case, placement)

    nodes = nodes_of(case).nodes
    ill = [node for node in nodes if any(stage_of(each) == READY for each in node.taints)]
    text = f"out of order: {names(ill)}; others are well" if ill else ""
    yield from answers_at(case, READY, words, lambda placement: text)
