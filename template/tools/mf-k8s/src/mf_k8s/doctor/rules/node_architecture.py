"""A pod that asks for an architecture finds a node of it.

The label kubernetes.io/arch says which processor a node has, amd64 or arm64; kubelet writes it
(https://kubernetes.io/docs/reference/labels-annotations-taints/). A node selector or an affinity
for another one than the cluster has leaves a pod pending without an end. The image must be of that
architecture, too, which image-platform looks at.
"""

from collections.abc import Iterator

from ...pods.node_labels import ARCHITECTURES, all_expressions, spell_expression
from ...pods.scheduling import SELECTOR, Placement
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import lacks_architecture, selector_words
from ..placements import READS_OF_NODES, Words, answers_at

NEEDS = ()
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words | None:
        return selector_words(case, placement) if lacks_architecture(placement) else None

    yield from answers_at(case, SELECTOR, words, architecture)


def architecture(placement: Placement) -> str:
    entries = all_expressions(placement.demand.selectors)
    return ", ".join(spell_expression(each) for each in entries if each["key"] in ARCHITECTURES)
