"""The claims that pods mount have a volume, or get one with their first pod.

A claim is Bound when it has a volume. Pending is well if its StorageClass waits for the first
consumer: the volume is made where the first pod runs
(https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode). Else a pending
claim lacks something: its StorageClass does not exist, the provisioner is not installed or fails,
or no volume of an administrator fits. Lost says that the volume was deleted, with what was on it.
Pods that mount such a claim stay pending.

`kubectl describe pvc NAME` shows what the provisioner said. The class of a claim cannot be changed:
a claim without a volume can be deleted, and made anew.
"""

from collections.abc import Iterator

from ...cluster.view import CLAIMS, EVENTS, STORAGE_CLASSES, VOLUMES
from ...pods.claims import FIRST_POD, MANY, NO_PROVISIONER, OF_ONE_NODE, access_modes, may_bind
from ...pods.read_pods import Manifest
from ..answers import Answer, FlowPod, ok, problem
from ..claims import claim_to_make, claims
from ..examination import Examination

NEEDS = ("claim-exists",)
READS = (
    CLAIMS.get,
    STORAGE_CLASSES.get,
    STORAGE_CLASSES.list,
    VOLUMES.get,
    VOLUMES.list,
    EVENTS.list,
)


def examine(case: Examination) -> Iterator[Answer]:
    for name, claim, pods in claims(case):
        phase = (claim.get("status") or {}).get("phase", "Pending")
        if phase == "Bound":
            yield ok(f"{name} is bound", pods)
        elif phase == "Lost":
            volume = claim["spec"].get("volumeName", "")
            what = f"the claim {name} has lost its volume {volume}, which was deleted"
            yield problem(what, pods, anew(case, claim, pods))
        else:
            yield of_pending(case, claim, pods)


def of_pending(case: Examination, claim: Manifest, pods: list[FlowPod]) -> Answer:
    """Return whether a claim without a volume gets one."""
    name, class_name = claim["metadata"]["name"], claim["spec"].get("storageClassName")
    if volume := claim["spec"].get("volumeName"):
        return of_named_volume(case, claim, volume, pods)
    if not class_name:
        what = f"the claim {name} has no StorageClass, and no volume fits it"
        return problem(what, pods, anew(case, claim, pods))
    found = case.view.get(STORAGE_CLASSES, class_name)
    if found is None:
        names = sorted(each["metadata"]["name"] for each in case.view.list(STORAGE_CLASSES))
        there = f"there are {', '.join(names)}" if names else "there is none"
        what = f"the StorageClass {class_name} of the claim {name} does not exist; {there}"
        return problem(what, pods, anew(case, claim, pods))
    provisioner = found["provisioner"]
    if failure := last_failure(case, name):
        what = f"the claim {name} gets no volume: {failure}"
        return problem(what, pods, anew(case, claim, pods))
    if provisioner in OF_ONE_NODE and MANY in access_modes(claim):
        what = f"the claim {name} is {MANY}, and {provisioner} makes no such volumes"
        return problem(what, pods, anew(case, claim, pods))
    if provisioner == NO_PROVISIONER:
        if any(may_bind(volume, claim) for volume in case.view.list(VOLUMES)):
            return ok(f"{name} gets a volume with its first pod", pods)
        what = f"no volume of StorageClass {class_name} fits the claim {name}, and none is made"
        return problem(what, pods, f"{case.kubectl('get pv', False)}  # shows which there are")
    if found.get("volumeBindingMode") == FIRST_POD:
        return ok(f"{name} gets a volume with its first pod", pods)
    what = f"the claim {name} waits for {provisioner} to make a volume"
    return problem(what, pods, case.kubectl(f"describe pvc {name}"), passes=True)


def of_named_volume(
    case: Examination, claim: Manifest, volume_name: str, pods: list[FlowPod]
) -> Answer:
    name, volume = claim["metadata"]["name"], case.view.get(VOLUMES, volume_name)
    if volume is None:
        what = f"the volume {volume_name} of the claim {name} does not exist"
        return problem(what, pods, anew(case, claim, pods))
    owner = volume["spec"].get("claimRef") or {}
    if owner and (owner.get("namespace"), owner.get("name")) != (case.namespace, name):
        of = f"belongs to the claim {owner.get('name')} in {owner.get('namespace')}"
        what = f"the volume {volume_name} of the claim {name} {of}"
        return problem(what, pods, anew(case, claim, pods))
    what = f"the claim {name} waits for its volume {volume_name}"
    return problem(what, pods, case.kubectl(f"describe pvc {name}"), passes=True)


def last_failure(case: Examination, name: str) -> str:
    """Return what the provisioner said last of a claim that it could not serve."""
    events = [
        event
        for event in case.view.list(EVENTS)
        if event["involvedObject"].get("kind") == "PersistentVolumeClaim"
        and event["involvedObject"].get("name") == name
    ]
    events.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    if not events or events[-1].get("type") != "Warning":
        return ""
    return " ".join(str(events[-1].get("message", "")).split())


def anew(case: Examination, claim: Manifest, pods: list[FlowPod]) -> str:
    """Return the commands that delete a claim and make it again."""
    name = claim["metadata"]["name"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    return f"{case.kubectl(f'delete pvc {name}')} && {claim_to_make(case, name, pods, size)}"
