"""A pod tolerates the taints of a node that has what it needs.

A taint keeps all pods from a node but those that tolerate it. Nodes with GPUs often have one, like
nvidia.com/gpu=present:NoSchedule, so that other pods leave them alone; nodes of the control plane
have one, too. A pod that tolerates the taints of no node that it could have stays pending.
(https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/)

A toleration is written into `tolerations` in k8s.toml, of a pool or of the step. It lets a pod onto
such a node and does not lead it there: that is what `node_selector` is for. Taints that Kubernetes
sets by itself while a node is out of order belong to node-ready.
"""

from collections.abc import Iterator

from ...pods.scheduling import SELECTOR, TAINT, Placement, stage_of
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import count, taint_words
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of

NEEDS = ("node-selector",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words:
        return taint_words(case, placement, pod)

    def tolerated(placement: Placement) -> str:
        nodes = nodes_of(case)
        tainted = any(stage_of(each) == TAINT for node in nodes.nodes for each in node.taints)
        open_nodes = nodes.suitable(placement.demand, SELECTOR, TAINT)
        return f"{count(open_nodes)} without a taint that keeps it away" if tainted else ""

    yield from answers_at(case, TAINT, words, tolerated)
