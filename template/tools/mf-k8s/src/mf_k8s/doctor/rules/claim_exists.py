"""The claims that pods mount are there, and are not being deleted.

A pod that names a PersistentVolumeClaim which is missing, or is being deleted, stays pending
without an end: the scheduler waits for the claim. The names are those of `persistent_volume_claims`
in k8s.toml, of a pool or of the step; each namespace has claims of its own.
(https://kubernetes.io/docs/concepts/storage/persistent-volumes/)

A new claim needs a size, and a StorageClass if the cluster has no default. Where many pods write to
it at once, on several nodes, its access mode is to be ReadWriteMany: claim-access says more.
"""

from collections.abc import Iterator

from ...cluster.view import CLAIMS, STORAGE_CLASSES
from ...pods.claims import claims_of
from ..answers import Answer, ok, problem
from ..claims import claim_to_make
from ..examination import Examination

NEEDS = ("namespace-exists",)
READS = (CLAIMS.get, STORAGE_CLASSES.list)


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(lambda pod: claims_of(pod.spec)):
        claim = case.view.get(CLAIMS, name)
        if claim is None:
            what = f"there is no claim {name} in namespace {case.namespace}"
            yield problem(what, pods, claim_to_make(case, name, pods))
        elif claim["metadata"].get("deletionTimestamp"):
            what = f"the claim {name} is being deleted: it goes when no pod uses it any more"
            yield problem(what, pods, f"{case.kubectl(f'describe pvc {name}')}  # shows who does")
        else:
            yield ok(name, pods)
