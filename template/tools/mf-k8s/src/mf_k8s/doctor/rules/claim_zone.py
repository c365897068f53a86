"""The volumes of a pod can be mounted on a node that the pod could have.

A disk of a cloud is in one zone, and a local volume on one node: the volume's node affinity says
where (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#node-affinity). A pod that
mounts it runs only there. If its node selector, its size or the taints that it tolerates leave it
none of these nodes, it stays pending without an end, with the event `didn't match
PersistentVolume's node affinity`. Two claims whose volumes are in different zones cannot be mounted
by one pod.

The volume stays where it is: bring the pod to it, by the node selector or a toleration, or use
another claim. A StorageClass that waits for the first consumer makes volumes where the pod runs.
"""

from collections.abc import Iterator

from ...cluster.view import CLAIMS, STORAGE_CLASSES, VOLUMES
from ...pods.autoscaling import spell_selector
from ...pods.node_labels import NAME, all_expressions, holds
from ...pods.scheduling import CORDONED, FITS, NOW, READY, SIZE, TAINT, VOLUME, Placement
from ..answers import Answer, FlowPod, ok
from ..claim_volumes import volumes_by_claim, volumes_of
from ..examination import Examination
from ..node_words import (
    cordoned_words,
    names,
    now_words,
    ready_words,
    taint_words,
    way_to,
)
from ..placements import READS_OF_NODES, Words, answer_without_node, demand_at, nodes_of, placements
from ..size_words import size_words

NEEDS = ("claim-binds", "node-size", "node-gpu")
READS = (CLAIMS.get, STORAGE_CLASSES.get, VOLUMES.get, *READS_OF_NODES)


def examine(case: Examination) -> Iterator[Answer]:
    for placement, pods in placements(case, lambda pod: volumes_of(case, pod)):
        volumes = volumes_by_claim(case, pods[0])
        without = nodes_of(case).place(demand_at(case, pods[0]))
        if not volumes or without.stage not in (NOW, FITS):
            continue  # or a node may come, which a rule before this one says
        held = "; ".join(f"{claim} on {spell_selector(terms)}" for claim, terms in volumes.items())
        if placement.stage in (FITS, without.stage):
            yield ok(held, pods)
            continue
        words = words_of(case, placement, pods[0])
        what = f"its volumes can be mounted only there: {held}; {words.what}"
        yield answer_without_node(case, placement, pods, words._replace(what=what))


def words_of(case: Examination, placement: Placement, pod: FlowPod) -> Words:
    """Return what is wrong with the nodes of the volumes."""
    if placement.stage == SIZE:
        return size_words(case, placement, pod)
    words = {
        VOLUME: volume_words,
        CORDONED: cordoned_words,
        READY: ready_words,
        NOW: now_words,
    }
    if placement.stage == TAINT:
        return taint_words(case, placement, pod)
    return words[placement.stage](case, placement)


def nobody_there(case: Examination, placement: Placement) -> Words:
    """Return what to do where no node has the labels of a volume, which may be those of a zone."""
    entry = next(all_expressions(placement.demand.volumes))
    key, values = entry["key"], entry.get("values") or []
    other = "add a node there, or use another claim"
    if entry["operator"] != "In" or key in (NAME, "kubernetes.io/hostname"):
        return Words("no node is there", other)
    labelled = any(key in node.labels for node in nodes_of(case).nodes)
    label = f"label node NODE {key}={values[0]}{' --overwrite' if labelled else ''}"
    note = f"NODE is one that is there, if its label is wrong; else {other}"
    return Words("no node is there", f"{case.kubectl(label, namespaced=False)}  # {note}")


def volume_words(case: Examination, placement: Placement) -> Words:
    """Return why no node that a pod selects is one of its volumes."""
    demand, every = placement.demand, nodes_of(case).nodes
    at_hand = [n for n in every if all(holds(terms, n.labels) for terms in demand.volumes)]
    if not at_hand:
        if len(demand.volumes) > 1 and all(
            any(holds(terms, node.labels) for node in every) for terms in demand.volumes
        ):
            return Words("no node has all of them", "use claims whose volumes are in one place")
        return nobody_there(case, placement)
    way = way_to(case, at_hand[0], placement)
    be = "is" if len(at_hand) == 1 else "are"
    return Words(f"{names(at_hand)} {be} not {way.what}", way.remedy)
