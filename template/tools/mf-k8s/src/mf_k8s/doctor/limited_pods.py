"""Pods with the requests and limits that the cluster gives them, for the rules about quotas."""

from collections.abc import Mapping

from ..cluster.dry_run import Refusal
from ..cluster.view import LIMIT_RANGES
from ..pods.limits import completed
from ..pods.read_pods import Manifest
from .answers import FlowPod
from .examination import Examination


def completed_pods(case: Examination) -> Mapping[FlowPod, Manifest]:
    """Return each pod as the server makes it, or else by the LimitRanges of the namespace."""
    pods: dict[FlowPod, Manifest] = case.found.setdefault("completed pods", {})
    for pod in case.pods:
        if pod not in pods:
            answer = case.tried(pod)
            if answer is None or isinstance(answer, Refusal):
                answer = completed(pod.manifest, case.view.list(LIMIT_RANGES))
            pods[pod] = answer
    return {pod: pods[pod] for pod in case.pods}


def is_admitted(case: Examination, pod: FlowPod) -> bool:
    """Return whether the server has said that it would make a pod; webhooks may have changed it."""
    answer = case.tried(pod)
    return answer is not None and not isinstance(answer, Refusal)
