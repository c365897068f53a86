"""The pods of a @parallel step have room at once.

A JobSet starts all pods of a @parallel step, and they wait for each other: where the nodes have
room for some of them only, these hold their room, and none goes on
(https://jobset.sigs.k8s.io/docs/overview/). How many a run has is known when the step before has
ended, by `num_parallel`. So two of them must find room, when nothing else is on the nodes; how many
do is what the answer says.

Smaller pods, more nodes, or a queue that admits a JobSet only as a whole, like Kueue's, mend it.
"""

from collections.abc import Iterator

from ...cluster.rights import EVERYWHERE
from ...cluster.view import DEMANDS
from ...pods.scheduling import FITS, NEVER, NOW
from ...pods.side_by_side import WORKERS
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..node_words import count
from ..placements import READS_OF_NODES, Words, answer_without_node, demand_at, nodes_of

NEEDS = ("node-size", "node-gpu")
READS = READS_OF_NODES


def examine(case: Examination) -> Iterator[Answer]:
    nodes = nodes_of(case)
    for control, worker in gangs(case.pods):
        case.view.list(DEMANDS, EVERYWHERE)  # without the right to, the nodes seem to be empty
        placement = nodes.place(demand_at(case, worker))
        if placement.stage not in (FITS, NOW):
            continue  # a node may come, which a rule before this one says
        now, at_most = (nodes.room(placement.demand, when_empty) for when_empty in (False, True))
        pods, suitable = [control, worker], nodes.suitable(placement.demand, *NEVER)
        if at_most < 2:
            what = f"{count(suitable)} that it may get: no room for two of its pods at once"
            remedy = "add a node, or ask for less cpu, memory or gpu in @k8s(…) of the step"
            yield answer_without_node(case, placement, pods, Words(what, remedy))
        elif now < 2:
            what = f"no room for two of its pods at once now; empty nodes have some for {at_most}"
            yield problem(what, pods, "wait until other pods end", passes=True)
        else:
            yield ok(f"room for {now} pods at once, on empty nodes for {at_most}", pods)


def gangs(pods: tuple[FlowPod, ...]) -> Iterator[tuple[FlowPod, FlowPod]]:
    """Yield the pods of each @parallel step: that of its first node, and one of the others."""
    by_name = {(pod.flow, pod.name): pod for pod in pods}
    for pod in pods:
        control = by_name.get((pod.flow, f"{pod.name.removesuffix(WORKERS)}/control"))
        if pod.name.endswith(WORKERS) and control:
            yield control, pod
