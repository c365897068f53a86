"""The cluster accepts the pods: its webhooks, its policies, and all that is not asked elsewhere.

Before Kubernetes makes a pod, it asks the webhooks and ValidatingAdmissionPolicies of the cluster,
which know rules of its administrators': registries, labels, users. A pod that is refused ends its
step with an error. (https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/)

The cluster is asked by a dry run of the whole pod, which makes none: for this you need the right to
create pods. A webhook that does not support dry runs answers none; whether it accepts the pod shows
when the flow runs. What quotas, LimitRanges and the Pod Security Standards refuse is said by their
own rules. Argo makes the pods of a run by its own account, not by yours: a policy that looks at who
asks may answer it otherwise.
"""

from collections.abc import Iterator

from ...cluster.dry_run import CREATE, Refusal
from ...cluster.view import LIMIT_RANGES, QUOTAS, NotAllowed
from ...pods.refusals import why_refused
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..quota_rooms import quota_excesses

NEEDS = (
    "account-exists",
    "limit-range",
    "quota-requests",
    "quota-size",
    "pod-security",
    "priority-class",
)
READS = (QUOTAS.list, LIMIT_RANGES.list)
NO_DRY_RUN = "does not support dry run"


def examine(case: Examination) -> Iterator[Answer]:
    by_text: dict[str, list[FlowPod]] = {}
    fine: list[FlowPod] = []
    for pod in case.pods:
        answer = case.tried(pod)
        if answer is None:
            yield cannot_tell(f"for want of the right to {CREATE}", case.pods)
            return
        if isinstance(answer, Refusal):
            by_text.setdefault(without_name(answer.message), []).append(pod)
        else:
            fine.append(pod)
    for text, pods in by_text.items():
        yield from explained(case, text, pods)
    if fine:
        yield ok("the cluster accepts them", fine)


def without_name(message: str) -> str:
    """Return a message without the start that names the pod, whose name is made up."""
    for start in (" is forbidden: ", " is invalid: "):
        _, found, rest = message.partition(start)
        if found:
            return rest
    return message


def explained(case: Examination, text: str, pods: list[FlowPod]) -> Iterator[Answer]:
    """Yield what a refusal means; what a quota has no room for now is said by quota-now."""
    if NO_DRY_RUN in text:
        yield cannot_tell(text, pods)
        return
    reason = why_refused(f"forbidden: {text}", {"namespace": case.namespace})
    if reason is None:
        yield problem(f"the cluster refuses the pod: {text}", pods)
    elif rest := [pod for pod in pods if not (reason.passes and pod in full_now(case))]:
        yield problem(reason.what, rest, reason.remedy, reason.passes)


def full_now(case: Examination) -> set[FlowPod]:
    """Return the pods for which quotas have no room now; none where quotas may not be read."""
    try:
        return {pod for _, found in quota_excesses(case) for pod in found}
    except NotAllowed:
        return set()
