"""A node is large enough for a pod: its cores, memory and disk.

What a pod requests must be allocatable on one node, less what the pods of DaemonSets take there;
what else runs there now is node-now's matter. A pod requests what its containers do together, and
Argo adds one to that of the step; an init container that needs more counts instead
(https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/). A pod that is too
large for every node stays pending without an end, unless the cluster makes larger nodes by itself.

The sizes are `cpu` (cores), `memory` and `disk` (MB) in k8s.toml, of a pool or of the step.
`@resources` may raise them.
"""

from collections.abc import Iterator

from ...pods.pod_requests import spell
from ...pods.scheduling import NEVER, SIZE, Placement
from ..answers import Answer, FlowPod
from ..examination import Examination
from ..node_words import count
from ..placements import READS_OF_NODES, Words, answers_at, nodes_of
from ..size_words import KEYS, devices, size_words

NEEDS = ("node-ready",)
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    def words(placement: Placement, pod: FlowPod) -> Words | None:
        return None if devices(placement) else size_words(case, placement, pod)

    def fits(placement: Placement) -> str:
        asked = placement.demand.requests
        sizes = ", ".join(f"{name} {spell(name, asked[name])}" for name in KEYS if name in asked)
        return f"{sizes or 'nothing'}: {count(nodes_of(case).suitable(placement.demand, *NEVER))}"

    yield from answers_at(case, SIZE, words, fits)
