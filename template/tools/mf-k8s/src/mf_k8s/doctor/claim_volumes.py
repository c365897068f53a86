"""On which nodes the volumes of a pod can be mounted."""

from ..cluster.view import CLAIMS, STORAGE_CLASSES, VOLUMES
from ..pods.claims import claims_of, class_terms, volume_terms
from ..pods.node_labels import Terms
from .answers import FlowPod
from .examination import Examination


def volumes_by_claim(case: Examination, pod: FlowPod) -> dict[str, Terms]:
    """Return the node selector of the volume of each claim, where it has one.

    Of a claim without a volume, it is that of its StorageClass. Raise NotAllowed where the user may
    not read volumes.
    """
    found: dict[str, Terms] = {}
    for name in claims_of(pod.spec):
        spec = (case.view.get(CLAIMS, name) or {}).get("spec") or {}
        terms: Terms = ()
        if volume := spec.get("volumeName"):
            manifest = case.view.get(VOLUMES, volume)
            terms = volume_terms(manifest) if manifest else ()
        elif class_name := spec.get("storageClassName"):
            manifest = case.view.get(STORAGE_CLASSES, class_name)
            terms = class_terms(manifest) if manifest else ()
        if terms:
            found[name] = terms
    return found


def volumes_of(case: Examination, pod: FlowPod) -> list[Terms]:
    return [*volumes_by_claim(case, pod).values()]
