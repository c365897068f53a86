"""Which nodes the pods of the flows would get: the part that the rules about nodes share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..cluster.rights import EVERYWHERE, SYSTEM
from ..cluster.view import CONFIG_MAPS, DEMANDS, NODE_POOLS, NODES, NotAllowed, View
from ..pods.autoscaling import OF_CLOUDS, STATUS_CONFIG_MAP, all_at_maximum, refusal
from ..pods.node_labels import Terms
from ..pods.scheduling import NOW, STAGES, Demand, Nodes, Placement, demand_of, read_nodes
from .answers import Answer, FlowPod, cannot_tell, ok, problem
from .examination import Examination

READS_OF_NODES = (NODES.list, DEMANDS.list_everywhere, NODE_POOLS.list, CONFIG_MAPS.get_of_system)

Volumes = Callable[[FlowPod], Sequence[Terms]]  # node affinities of a pod's volumes


class Words(NamedTuple):
    """What a rule says of pods that stay without a node, and what to do."""

    what: str
    remedy: str = ""
    passes: bool = False


def nodes_of(case: Examination) -> Nodes:
    """Return the nodes; as if nothing ran there, where the user may not list all pods.

    Raise NotAllowed where the user may not list nodes.
    """
    if "nodes" not in case.found:
        nodes = case.view.list(NODES)
        try:
            pods = case.view.list(DEMANDS, EVERYWHERE)
        except NotAllowed:
            pods = []
        case.found["nodes"] = read_nodes(nodes, pods)
    nodes_found: Nodes = case.found["nodes"]
    return nodes_found


def demand_at(case: Examination, pod: FlowPod, volumes: Sequence[Terms] = ()) -> Demand:
    """Return the demand of a pod as the cluster makes it, worked out once for all rules.

    Webhooks and plugins of clouds add to it: on GKE, a toleration of the taint of GPUs.
    """
    if ("demand", pod) not in case.found:
        case.found["demand", pod] = demand_of(case.admitted(pod)["spec"])
    demand: Demand = case.found["demand", pod]
    return replace(demand, volumes=volumes) if volumes else demand


def placements(
    case: Examination, volumes: Volumes = lambda pod: ()
) -> list[tuple[Placement, list[FlowPod]]]:
    """Return what becomes of the pods; those with the same demands are together."""
    nodes = nodes_of(case)
    found: dict[str, tuple[Placement, list[FlowPod]]] = {}
    for pod in case.pods:
        demand = demand_at(case, pod, volumes(pod))
        found.setdefault(demand.identity, (nodes.place(demand), []))[1].append(pod)
    return [*found.values()]


def answers_at(
    case: Examination,
    stage: str,
    words: Callable[[Placement, FlowPod], Words | None],
    fine: Callable[[Placement], str],
) -> Iterator[Answer]:
    """Yield the answers of the rule for a stage, of the pods that come so far.

    `words` returns None for what another rule answers, and `fine` what is right of pods that come
    further, empty where there is nothing to say.
    """
    well: dict[str, list[FlowPod]] = {}
    later = STAGES[STAGES.index(stage) + 1 :]
    for placement, pods in placements(case):
        if placement.stage == stage and (reason := words(placement, pods[0])):
            yield answer_without_node(case, placement, pods, reason)
        elif placement.stage in later and (text := fine(placement)):
            well.setdefault(text, []).extend(pods)
    for text, pods in well.items():
        yield ok(text, pods)


def answer_without_node(
    case: Examination, placement: Placement, pods: Iterable[FlowPod], words: Words
) -> Answer:
    """Return a problem, unless a new node may come for the pods."""
    try:
        new = new_node(case.view, nodes_of(case), placement)
    except NotAllowed as refused:
        lack = f"for want of the right to {refused.right}"
        what = f"{words.what}; whether a new node comes, {lack}"
        return cannot_tell(what, pods)
    if new.may_come:
        return cannot_tell(f"{words.what}; needs a new node, {new.why}", pods, words.remedy)
    what = f"{words.what}; no new node comes: {new.why}" if new.why else words.what
    return problem(what, pods, words.remedy, words.passes or new.passes)


class NewNode(NamedTuple):
    may_come: bool
    why: str = ""  # from whom, or why not
    passes: bool = False


def new_node(view: View, nodes: Nodes, placement: Placement) -> NewNode:
    """Return whether an autoscaler may make a node for a pod.

    Raise NotAllowed where there is one, and the user may not look.
    """
    pools = view.list(NODE_POOLS) if view.serves(NODE_POOLS) else []
    refusals = {pool["metadata"]["name"]: refusal(pool, placement.demand) for pool in pools}
    willing = [name for name, refused in refusals.items() if not refused]
    if willing:
        return NewNode(True, f"which NodePool {' or '.join(willing)} may make")
    texts = [f"NodePool {name}: {refused.why}" for name, refused in refusals.items() if refused]
    passes = any(refused.passes for refused in refusals.values() if refused)
    if status := autoscaler_status(view, nodes):
        if placement.stage != NOW or not all_at_maximum(status):
            return NewNode(True, "which the cluster autoscaler may make")
        texts.append("each group of the cluster autoscaler has its largest size")
    return NewNode(False, "; ".join(texts), passes)


def autoscaler_status(view: View, nodes: Nodes) -> str:
    """Return what the cluster autoscaler says of itself; empty where there is none."""
    try:
        found = view.get(CONFIG_MAPS, STATUS_CONFIG_MAP, SYSTEM, scope="system")
    except NotAllowed:
        if any(label in node.labels for node in nodes.nodes for label in OF_CLOUDS):
            raise
        return ""
    return str((found.get("data") or {}).get("status") or "running") if found else ""
