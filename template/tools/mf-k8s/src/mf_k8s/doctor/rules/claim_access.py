"""As many pods may mount a claim at once as the flows start.

ReadWriteOnce lets pods of one node mount a claim, ReadWriteOncePod one pod of the whole cluster,
and ReadWriteMany all
(https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes). The pods of a
foreach or of @parallel run at once, and the scheduler spreads them over the nodes: those on another
node than the first wait, with the event `Multi-Attach error`, and a @parallel step waits for its
own pods without an end.

What mends it is a claim that is ReadWriteMany, whose StorageClass is one of files, like NFS, EFS,
Filestore or Azure Files; or one node for all of these pods, by a node selector. Where every node
that the pods could have is the same one, ReadWriteOnce is enough.

ReadOnlyMany protects nothing once a volume is mounted; some drivers refuse to mount it for writing,
and Metaflow mounts claims for writing.
"""

from collections.abc import Iterator

from ...cluster.view import CLAIMS, STORAGE_CLASSES, VOLUMES
from ...pods.claims import MANY, ONCE, ONCE_POD, READ_MANY, access_modes, new_claim, writing_claims
from ...pods.scheduling import SELECTOR, SIZE, TAINT, VOLUME, Node, demand_of
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..claim_volumes import volumes_of
from ..claims import SIZE as SIZE_NOTE
from ..claims import claims, is_wide
from ..examination import Examination
from ..node_words import count
from ..placements import READS_OF_NODES, nodes_of
from ..toml_lines import write_line

NEEDS = ("claim-exists",)
READS = (CLAIMS.get, STORAGE_CLASSES.get, VOLUMES.get, *READS_OF_NODES)


def examine(case: Examination) -> Iterator[Answer]:
    for name, claim, pods in claims(case):
        modes, wide = access_modes(claim), [pod for pod in pods if is_wide(pod)]
        shown = "/".join(modes)
        stopped: list[FlowPod] = []
        if not wide or MANY in modes:
            pass
        elif modes == [ONCE_POD]:
            stopped = wide
            what = f"the claim {name} is {ONCE_POD}: of many pods at once, one can mount it"
            yield problem(what, wide, another_claim(case, name))
        elif ONCE in modes:
            nodes = nodes_together(case, wide)
            if len(nodes) > 1:
                stopped = wide
                what = (
                    f"the claim {name} is {ONCE}: pods of one node can mount it at once, and many"
                    f" may run at once on {count(nodes)}"
                )
                best = max(nodes, key=lambda node: node.free.get("cpu", 0))
                host = best.labels.get("kubernetes.io/hostname", best.name)
                line = write_line(host, "node_selector", "kubernetes.io/hostname")
                yield problem(what, wide, f"{line}, or {another_claim(case, name)}")
        writing = [pod for pod in pods if name in writing_claims(pod.spec)]
        if modes == [READ_MANY] and writing:
            what = f"the claim {name} is {READ_MANY}, and mounted for writing: its driver decides"
            yield cannot_tell(what, writing)
            stopped = writing
        if rest := [pod for pod in pods if pod not in stopped]:
            yield ok(f"{name}: {shown}", rest)


def nodes_together(case: Examination, pods: list[FlowPod]) -> list[Node]:
    """Return the nodes that one of these pods could have, when nothing else ran there."""
    found: dict[str, Node] = {}
    for pod in pods:
        demand = demand_of(pod.spec, volumes_of(case, pod))
        for node in nodes_of(case).suitable(demand, SELECTOR, VOLUME, TAINT, SIZE):
            found[node.name] = node
    return [*found.values()]


def another_claim(case: Examination, name: str) -> str:
    """Return the advice to use a claim that all may mount."""
    make = case.apply(new_claim(f"{name}-shared", MANY, "SIZE", "CLASS"))
    rename = f"write {name}-shared for {name} into persistent_volume_claims of k8s.toml"
    return f"{make}  # {SIZE_NOTE}; CLASS is a StorageClass of files; then {rename}"
