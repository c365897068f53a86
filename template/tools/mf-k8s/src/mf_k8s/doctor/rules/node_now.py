"""A node has room for a pod now.

A pod is put onto a node that has as much left as the pod requests, when what the pods there request
is taken off; how much they use does not count. Where no node has, the pod waits until others end:
nothing is broken, but if what fills the nodes never ends, it waits without an end. `kubectl
describe node NODE` lists what runs there, and what is left.
(https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/)

A pod of a higher priority than others may put them out; that is not taken into account. Nor are
affinities between pods, topology spread constraints and claims of devices: of pods with one of
them it cannot be told.
"""

from collections.abc import Iterator

from ...cluster.rights import EVERYWHERE
from ...cluster.view import DEMANDS
from ...pods.read_pods import Manifest
from ...pods.scheduling import NOW, Placement
from ..answers import Answer, FlowPod, cannot_tell
from ..examination import Examination
from ..node_words import count, now_words
from ..placements import READS_OF_NODES, Words, answers_at

NEEDS = ("node-size", "node-gpu")
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    case.view.list(DEMANDS, EVERYWHERE)  # without the right to, the nodes seem to be empty
    for field, pods in case.pods_by(lambda pod: not_looked_at(case.admitted(pod)["spec"])):
        yield cannot_tell(f"the scheduler also looks at the {field} of the pod", pods)

    def words(placement: Placement, pod: FlowPod) -> Words:
        return now_words(case, placement)

    def room(placement: Placement) -> str:
        return f"room on {count(placement.nodes)}"

    yield from answers_at(case, NOW, words, room)


def not_looked_at(spec: Manifest) -> Iterator[str]:
    """Yield what decides where a pod can run, and is not understood here."""
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        if (affinity.get(field) or {}).get("requiredDuringSchedulingIgnoredDuringExecution"):
            yield field
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("whenUnsatisfiable") == "DoNotSchedule":
            yield "topologySpreadConstraints"
            break
    for field in ("resourceClaims", "schedulingGates"):
        if spec.get(field):
            yield field
    if spec.get("schedulerName") not in (None, "", "default-scheduler"):
        yield f"schedulerName {spec['schedulerName']}"
