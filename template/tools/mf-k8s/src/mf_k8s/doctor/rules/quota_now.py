"""The quotas of the namespace have room for each pod now.

What other pods of the namespace have taken of a ResourceQuota is free again when they end. Until
then the pod is not made: Argo shows the step as pending, with "exceeded quota", and tries again;
the Job of `run --with kubernetes` does the same.
(https://kubernetes.io/docs/concepts/policy/resource-quotas/)

`kubectl describe resourcequota` shows what is used. A namespace in which this is the rule needs a
larger quota, or flows with `--max-workers`, or `parallelism` in [workflow] of k8s.toml.
"""

from collections.abc import Iterator

from ...cluster.view import LIMIT_RANGES, QUOTAS
from ..answers import Answer, ok
from ..examination import Examination
from ..quota_rooms import quota_excesses, quota_problem

NEEDS = ("quota-size",)
READS = (QUOTAS.list, LIMIT_RANGES.list)


def examine(case: Examination) -> Iterator[Answer]:
    for quota, all_of in quota_excesses(case):
        found = {pod: own for pod, own in all_of.items() if not any(e.is_final for e in own)}
        if found:
            yield quota_problem(case, quota, found, final=False)
        if fine := [pod for pod in case.pods if pod not in found]:
            used = (quota.get("status") or {}).get("used") or {}
            texts = ", ".join(f"{key} {value}" for key, value in used.items())
            yield ok(f"quota {quota['metadata']['name']}: {texts} used", fine)
