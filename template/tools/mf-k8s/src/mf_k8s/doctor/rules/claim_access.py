"""As many pods may mount a claim at once as the flows start.

ReadWriteOnce lets pods of one node mount a claim, ReadWriteOncePod one pod of the whole cluster,
and ReadWriteMany all
(https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes). The pods of a
foreach, of @parallel and of the branches of a split run at once, and the scheduler spreads them
over the nodes: those on another node than the first wait, with the event `Multi-Attach error`, and
a @parallel step waits for its own pods without an end.

What mends it is a claim that is ReadWriteMany, whose StorageClass is one of files, like NFS, EFS,
Filestore or Azure Files; or one node for all of these pods, by a node selector. Where every node
that the pods could have is the same one, ReadWriteOnce is enough.

A pod of something else, like a notebook, that has such a claim mounted on another node keeps it as
long as it runs.

ReadOnlyMany protects nothing once a volume is mounted; some drivers refuse to mount it for writing,
and Metaflow mounts claims for writing.
"""

from collections.abc import Iterator

from ...cluster.view import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES
from ...pods.branches import branches
from ...pods.claims import (
    MANY,
    ONCE,
    ONCE_POD,
    READ_MANY,
    access_modes,
    claims_of,
    new_claim,
    writing_claims,
)
from ...pods.project_labels import annotation
from ...pods.scheduling import SELECTOR, SIZE, TAINT, VOLUME, Node
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..claim_volumes import volumes_of
from ..claims import SIZE as SIZE_NOTE
from ..claims import claims, is_wide
from ..examination import Examination
from ..node_words import count
from ..placements import READS_OF_NODES, demand_at, nodes_of
from ..toml_lines import write_line

NEEDS = ("claim-exists",)
READS = (CLAIMS.get, STORAGE_CLASSES.get, VOLUMES.get, PODS.list, *READS_OF_NODES)


def examine(case: Examination) -> Iterator[Answer]:
    for name, claim, pods in claims(case):
        modes = access_modes(claim)
        answers: list[Answer] = []
        if MANY not in modes and (ONCE in modes or ONCE_POD in modes):
            answers = [*of_one_place(case, name, modes, pods)]
        writing = [pod for pod in pods if name in writing_claims(pod.spec)]
        if modes == [READ_MANY] and writing:
            what = f"the claim {name} is {READ_MANY}, and mounted for writing: its driver decides"
            answers = [cannot_tell(what, writing)]
        yield from answers
        answered = {pod for answer in answers for pod in answer.pods}
        if rest := [pod for pod in pods if pod not in answered]:
            yield ok(f"{name}: {'/'.join(modes)}", rest)


def of_one_place(
    case: Examination, name: str, modes: list[str], pods: list[FlowPod]
) -> Iterator[Answer]:
    """Yield the problems with a claim that one node, or one pod, can mount at a time."""
    several = [pod for pod in pods if is_wide(pod) or has_branches(case, pod, pods)]
    rest = [pod for pod in pods if pod not in several]
    if ONCE not in modes:
        if several:
            what = f"the claim {name} is {ONCE_POD}: of several pods at once, one can mount it"
            yield problem(what, several, another_claim(case, name))
    elif len(nodes := nodes_together(case, several)) > 1:
        what = (
            f"the claim {name} is {ONCE}: pods of one node can mount it at once, and several may"
            f" run at once on {count(nodes)}"
        )
        best = max(nodes, key=lambda node: node.free.get("cpu", 0))
        host = best.labels.get("kubernetes.io/hostname", best.name)
        line = write_line(host, "node_selector", "kubernetes.io/hostname")
        yield problem(what, several, f"{line}, or {another_claim(case, name)}")
    else:
        rest = pods
    for holder, node in holders(case, name):
        held = [
            pod
            for pod in rest
            if ONCE not in modes or {node} != {each.name for each in nodes_together(case, [pod])}
        ]
        if held:
            what = f"the claim {name} is {modes[0]}, and the pod {holder} on {node} mounts it now"
            look = f"{case.kubectl(f'describe pod {holder}')}  # wait until it ends, or delete it"
            yield problem(what, held, look, passes=True)
            return


def has_branches(case: Examination, pod: FlowPod, others: list[FlowPod]) -> bool:
    """Return whether another of these pods may be at work at once with one, as of a split."""
    if "branches" not in case.found:
        case.found["branches"] = {
            annotation(template, "flow_name"): branches(template) for template in case.templates
        }
    pairs = case.found["branches"].get(pod.flow, ())
    return any(
        frozenset((pod.name, other.name)) in pairs for other in others if other.flow == pod.flow
    )


def holders(case: Examination, claim: str) -> Iterator[tuple[str, str]]:
    """Yield each pod that has a claim mounted now, and its node."""
    for pod in case.view.list(PODS):
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if not ended and pod["spec"].get("nodeName") and claim in claims_of(pod["spec"]):
            yield pod["metadata"]["name"], pod["spec"]["nodeName"]


def nodes_together(case: Examination, pods: list[FlowPod]) -> list[Node]:
    """Return the nodes that one of these pods could have, when nothing else ran there."""
    found: dict[str, Node] = {}
    for pod in pods:
        demand = demand_at(case, pod, volumes_of(case, pod))
        for node in nodes_of(case).suitable(demand, SELECTOR, VOLUME, TAINT, SIZE):
            found[node.name] = node
    return [*found.values()]


def another_claim(case: Examination, name: str) -> str:
    """Return the advice to use a claim that all may mount."""
    make = case.apply(new_claim(f"{name}-shared", MANY, "SIZE", "CLASS"))
    rename = f"write {name}-shared for {name} into persistent_volume_claims of k8s.toml"
    return f"{make}  # {SIZE_NOTE}; CLASS is a StorageClass of files; then {rename}"
