"""What a pod takes of its node, as kube-scheduler counts it.

Amounts are whole numbers, rounded up as Kubernetes does: of cpu thousandths of a core, of memory
and storage bytes, of devices pieces.
"""

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from .quantities import parse_quantity
from .read_pods import Manifest

Amounts = Mapping[str, int]
PODS = "pods"  # the resource that each pod takes one of


@lru_cache(maxsize=65_536)
def amount(resource: str, quantity: str) -> int:
    """Return a quantity as a whole number; 0 if it is not one."""
    number = parse_quantity(quantity) or 0
    return math.ceil(number * 1000 if resource == "cpu" else number)


def amounts(resources: Mapping[str, object] | None) -> dict[str, int]:
    """Return the amounts of a table of quantities, as in `requests` or `allocatable`."""
    return {name: amount(name, str(value)) for name, value in (resources or {}).items()}


def spell(resource: str, number: int) -> str:
    """Return an amount as one reads it: `1.5` cores, `4096 MB` or `2`."""
    if resource == "cpu":
        return f"{number / 1000:g}"
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return f"{number // 10**6} MB"
    return str(number)


def pod_requests(spec: Manifest) -> dict[str, int]:
    """Return what a pod's specification asks for, with `pods`: 1.

    It is the larger of what its containers ask for together and of what its init containers do,
    one after the other; an init container that restarts always (a sidecar) counts with all that
    start after it. A RuntimeClass may add an overhead. (Source:
    kubernetes.io/docs/concepts/workloads/pods/init-containers, "Resource sharing within
    containers".)
    """
    sidecars: Counter[str] = Counter()
    start: Counter[str] = Counter()
    for container in spec.get("initContainers") or ():
        requests = container_requests(container)
        if container.get("restartPolicy") == "Always":
            sidecars.update(requests)
            start |= sidecars
        else:
            start |= sidecars + Counter(requests)
    together = sidecars.copy()
    for container in spec.get("containers") or ():
        together.update(container_requests(container))
    total = {**(together | start)}
    whole = spec.get("resources") or {}  # counts instead of the sum
    total = {**amounts(whole.get("limits")), **total, **amounts(whole.get("requests"))}
    return {**Counter(total) + Counter(amounts(spec.get("overhead"))), PODS: 1}


def container_requests(container: Manifest) -> dict[str, int]:
    """Return a container's requests; the API server takes its limit for a request that it lacks."""
    resources = container.get("resources") or {}
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def shortages(requests: Amounts, room: Amounts) -> list[str]:
    """Return the resources that `room` has not enough of."""
    return [name for name, number in requests.items() if number > max(room.get(name, 0), 0)]


def copies_in(requests: Amounts, room: Amounts) -> int:
    """Return how many pods with these requests `room` is enough for."""
    return max(0, min(room.get(name, 0) // number for name, number in requests.items() if number))
