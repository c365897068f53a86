"""Each pod is within the LimitRanges of the namespace.

A LimitRange sets a smallest and a largest request and limit of containers and pods, how much larger
than the request a limit may be, and what a container gets that has none of its own. A pod that does
not fit is refused, and the step ends with an error. A default limit below what the step requests is
the frequent case: Metaflow requests memory and sets no limit, unless `qos = "Guaranteed"` in
k8s.toml. (https://kubernetes.io/docs/concepts/policy/limit-range/)

The remedy widens the LimitRange, which is for an administrator of the namespace. If the steps can
do with less, give them less instead: `memory` and `cpu` in k8s.toml, or by @k8s(…) on a step. What
Argo's own containers, init and wait, ask for is `executor: resources` in the ConfigMap of its
controller.
"""

import json
from collections.abc import Iterator, Sequence

from ...cluster.view import LIMIT_RANGES
from ...pods.limits import Breach, breaches, widened
from ...pods.read_pods import Manifest
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..limited_pods import is_admitted

NEEDS = ("namespace-exists",)
READS = (LIMIT_RANGES.list,)


def examine(case: Examination) -> Iterator[Answer]:
    ranges = case.view.list(LIMIT_RANGES)
    found = {pod: breaches(pod.manifest, ranges) for pod in case.pods if ranges}
    found = {pod: all_of for pod, all_of in found.items() if all_of and not is_admitted(case, pod)}
    for limit_range in ranges:
        name = limit_range["metadata"]["name"]
        own = {pod: own for pod, all_of in found.items() if (own := main_breaches(all_of, name))}
        if own:
            yield from problems(case, limit_range, ranges, own)
        if fine := [pod for pod in case.pods if pod not in own]:
            yield ok(f"LimitRange {name}", fine)


def main_breaches(found: Sequence[Breach], limit_range: str) -> list[Breach]:
    """Return those of one LimitRange; a default is a maximum, where nothing else is said."""
    above = {(breach.container, breach.resource) for breach in found if breach.rule == "max"}
    return [
        breach
        for breach in found
        if breach.limit_range == limit_range
        and (breach.rule != "default" or (breach.container, breach.resource) not in above)
    ]


def problems(
    case: Examination,
    limit_range: Manifest,
    ranges: Sequence[Manifest],
    found: dict[FlowPod, list[Breach]],
) -> Iterator[Answer]:
    """Yield a problem for each statement of a LimitRange, all with the same remedy."""
    manifests = [pod.manifest for pod in found]
    patch = {"spec": {"limits": widened(limit_range, manifests, ranges)}}
    name = limit_range["metadata"]["name"]
    remedy = case.kubectl(f"patch limitrange {name} --type=merge -p '{json.dumps(patch)}'")
    by_statement: dict[str, dict[FlowPod, list[Breach]]] = {}
    for pod, own in found.items():
        for breach in own:
            by_statement.setdefault(breach.statement, {}).setdefault(pod, []).append(breach)
    for statement, pods in by_statement.items():
        all_of = [breach for own in pods.values() for breach in own]
        worst = max(all_of, key=lambda breach: breach.asked or 0)
        containers = sorted({breach.container for breach in all_of} - {worst.container})
        more = f", and so for {', '.join(containers)}" if containers else ""
        yield problem(f"{statement}: {worst.fault}{more}", pods, remedy)
