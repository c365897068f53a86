"""The claims that pods mount, for the rules about them."""

from collections.abc import Iterable, Iterator

from ..cluster.view import CLAIMS, STORAGE_CLASSES, NotAllowed
from ..pods.claims import MANY, OF_ONE_NODE, ONCE, claims_of, default_class, new_claim
from ..pods.read_pods import Manifest
from .answers import FlowPod
from .examination import Examination

SIZE = "SIZE is like 10Gi"


def claims(case: Examination) -> Iterator[tuple[str, Manifest, list[FlowPod]]]:
    """Yield the name of each claim that is there, the claim, and the pods that mount it."""
    for name, pods in case.pods_by(lambda pod: claims_of(pod.spec)):
        if claim := case.view.get(CLAIMS, name):
            yield name, claim, pods


def is_wide(pod: FlowPod) -> bool:
    """Return whether a run may have several of a pod at once."""
    return pod.side_by_side != 1


def classes_of(case: Examination) -> list[Manifest] | None:
    """Return the StorageClasses; None where the user may not list them."""
    try:
        found: list[Manifest] = case.view.list(STORAGE_CLASSES)
    except NotAllowed:
        return None
    return found


def claim_to_make(case: Examination, name: str, pods: Iterable[FlowPod], size: str = "SIZE") -> str:
    """Return the command that makes a claim for pods; what it leaves open is in capitals."""
    classes = classes_of(case)
    default = default_class(classes or ())
    shared = any(map(is_wide, pods)) and (default or {}).get("provisioner") not in OF_ONE_NODE
    storage_class = "" if default or classes is None else "CLASS"
    command = case.apply(new_claim(name, MANY if shared else ONCE, size, storage_class))
    notes = [SIZE] if size == "SIZE" else []
    notes += ["CLASS is a StorageClass: there is no default"] if storage_class else []
    return f"{command}  # {'; '.join(notes)}" if notes else command
