"""The quotas of the namespace are large enough for each pod, even if nothing else runs.

A ResourceQuota counts pods, and what they request and may use at most, of cpu, memory, storage,
GPUs and other devices. A pod that asks for more than all of it is never made: Argo takes the
refusal for one that passes, and tries again for ever. The pods of a @parallel step count together,
with one worker at least. (https://kubernetes.io/docs/concepts/policy/resource-quotas/)

The remedy raises the quota to what the largest pod needs, which is for an administrator of the
cluster; several pods at once need more. Or give the step less, in k8s.toml or by @k8s(…).
"""

from collections.abc import Iterator

from ...cluster.view import LIMIT_RANGES, QUOTAS
from ..answers import Answer, ok
from ..examination import Examination
from ..quota_rooms import quota_excesses, quota_problem

NEEDS = ("quota-requests",)
READS = (QUOTAS.list, LIMIT_RANGES.list)


def examine(case: Examination) -> Iterator[Answer]:
    for quota, found in quota_excesses(case):
        final = {
            pod: own for pod, all_of in found.items() if (own := [e for e in all_of if e.is_final])
        }
        if final:
            yield quota_problem(case, quota, final, final=True)
        if fine := [pod for pod in case.pods if pod not in final]:
            hard = (quota.get("status") or {}).get("hard") or {}
            sizes = ", ".join(f"{key} {value}" for key, value in hard.items())
            yield ok(f"quota {quota['metadata']['name']}: {sizes}", fine)
