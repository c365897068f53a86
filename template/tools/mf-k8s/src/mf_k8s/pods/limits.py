"""What LimitRanges say of a pod: what they add to it, and what they refuse.

The rules are those of the admission plugin LimitRanger (pkg LimitRanger of Kubernetes, and
kubernetes.io/docs/concepts/policy/limit-range/), with the API server's own before it: a container's
limit is its request, too, where it has none.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .pod_requests import PODS, amount, amounts, pod_requests
from .quantities import quantity
from .read_pods import Manifest

RATIO = "maxLimitRequestRatio"
ROUNDS = (
    6  # in which a LimitRange is widened: a larger default may need a larger maximum of the pod
)


@dataclass(frozen=True)
class Breach:
    """What a LimitRange refuses of a pod."""

    limit_range: str
    item: int  # its place in spec.limits
    rule: str  # the key of that item: max, min, maxLimitRequestRatio or default
    resource: str
    bound: str  # what the item says
    container: str  # empty for the pod as a whole
    asked: int | None  # what should be within the bound, as an amount; None: nothing is asked for

    @property
    def statement(self) -> str:
        """Return what the LimitRange says, without the pod."""
        whom = "a container" if self.container else "a pod"
        return f"LimitRange {self.limit_range} " + {
            "max": f"allows {whom} at most {self.bound} of {self.resource}",
            "min": f"demands at least {self.bound} of {self.resource} of {whom}",
            RATIO: f"allows {whom} a {self.resource} limit of at most {self.bound} times the"
            " request",
            "default": f"gives {whom} without a {self.resource} limit that of {self.bound}",
        }.get(self.rule, self.rule)

    @property
    def fault(self) -> str:
        """Return what of the pod does not fit."""
        whose = f"container {self.container}" if self.container else "the pod"
        if self.rule == RATIO:
            times = "no limit or no request" if self.asked is None else f"{self.asked} times"
            return f"{whose} has {times}"
        if self.asked is None:
            return f"{whose} has no {self.resource} {'request' if self.rule == 'min' else 'limit'}"
        return f"{whose} asks for {quantity_of(self.resource, self.asked)}"


def completed(pod: Manifest, limit_ranges: Sequence[Manifest]) -> dict[str, Any]:
    """Return a pod with the requests and limits that LimitRanges and the API server add to it."""
    whole: dict[str, Any] = copy.deepcopy({**pod})
    for container in containers_of(whole):
        requests, limits, _ = resources_of(container, limit_ranges)
        if requests or limits:
            resources = container.get("resources") or {}
            container["resources"] = {**resources, "requests": requests, "limits": limits}
    return whole


def containers_of(pod: Manifest) -> list[dict[str, Any]]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def quantity_of(resource: str, number: int) -> str:
    """Return an amount as Kubernetes writes it: `1.5`, `4096M` or `2`."""
    return quantity(Decimal(number) / 1000 if resource == "cpu" else number)


def pod_limits(spec: Manifest) -> dict[str, int]:
    """Return the limits of a pod, which Kubernetes sums up as it does requests."""
    limited = pod_requests(
        {
            **limits_only(spec),
            **{
                key: [limits_only(container) for container in spec.get(key) or ()]
                for key in ("initContainers", "containers")
            },
            "overhead": {},
        }
    )
    for name, number in amounts(spec.get("overhead")).items():
        if limited.get(name):
            limited[name] += number
    return {name: number for name, number in limited.items() if name != PODS}


def limits_only(container: Manifest) -> dict[str, Any]:
    """Return a container, or a pod's specification, that requests its limits and nothing else."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return {**container, "resources": {"requests": limits}}


def items_of(limit_range: Manifest, kind: str) -> list[tuple[int, Manifest]]:
    limits = limit_range["spec"].get("limits") or ()
    return [(number, item) for number, item in enumerate(limits) if item["type"] == kind]


def resources_of(
    container: Manifest, limit_ranges: Sequence[Manifest]
) -> tuple[dict[str, str], dict[str, str], dict[str, tuple[str, int]]]:
    """Return a container's requests and limits with defaults.

    The last part names for each limit that is a default the LimitRange that gives it, and the place
    of the item there. The first LimitRange counts; within one, its last item.
    """
    resources = container.get("resources") or {}
    limits = dict(resources.get("limits") or {})
    requests = limits | dict(resources.get("requests") or {})
    given: dict[str, tuple[str, int]] = {}
    for limit_range in limit_ranges:
        new: dict[str, str] = {}
        for number, item in items_of(limit_range, "Container"):
            for name, value in (item.get("default") or {}).items():
                if name not in limits:
                    new[name] = value
                    given[name] = (limit_range["metadata"]["name"], number)
            default_requests = item.get("defaultRequest") or {}
            requests = default_requests | requests
        limits = new | limits
    return requests, limits, given


def breaches(pod: Manifest, limit_ranges: Sequence[Manifest]) -> list[Breach]:
    """Return what LimitRanges refuse of a pod, as Argo or a JobSet makes it."""
    found = [*of_defaults(pod, limit_ranges)]
    whole = completed(pod, limit_ranges)
    for limit_range in limit_ranges:
        name = limit_range["metadata"]["name"]
        for number, item in items_of(limit_range, "Container"):
            for container in containers_of(whole):
                resources = container.get("resources") or {}
                requests, limits = (amounts(resources.get(key)) for key in ("requests", "limits"))
                found += of_item(name, number, item, container["name"], requests, limits)
        for number, item in items_of(limit_range, "Pod"):
            spec = whole["spec"]
            found += of_item(name, number, item, "", pod_requests(spec), pod_limits(spec))
    return found


def of_defaults(pod: Manifest, limit_ranges: Sequence[Manifest]) -> Iterator[Breach]:
    """Yield default limits that are below what their container asks for."""
    for container in containers_of(pod):
        requests, limits, given = resources_of(container, limit_ranges)
        for resource, (limit_range, item) in given.items():
            asked = amount(resource, str(requests.get(resource, 0)))
            bound = str(limits[resource])
            if asked > amount(resource, bound):
                yield Breach(
                    limit_range, item, "default", resource, bound, container["name"], asked
                )


def of_item(
    limit_range: str,
    number: int,
    item: Manifest,
    container: str,
    requests: dict[str, int],
    limits: dict[str, int],
) -> Iterator[Breach]:
    """Yield what one item of a LimitRange refuses of a container, or of a pod."""
    for rule in ("min", "max", RATIO):
        for resource, bound in (item.get(rule) or {}).items():
            request, limit = requests.get(resource), limits.get(resource)
            edge = amount(resource, str(bound))
            present = [value for value in (request, limit) if value is not None]
            if rule == "min":
                asked, fits = request, request is not None and min(present) >= edge
                asked = asked if asked is None else min(present)
            elif rule == "max":
                asked, fits = limit, limit is not None and max(present) <= edge
                asked = asked if asked is None else max(present)
            else:
                asked = math.ceil(limit / request) if limit and request else None
                fits = (limit or 0) * scale(resource) <= edge * (request or 0) and bool(limit)
            if not fits:
                yield Breach(limit_range, number, rule, resource, str(bound), container, asked)


def scale(resource: str) -> int:
    """Return what the amount of 1 is: a ratio is written as a quantity of its resource."""
    return amount(resource, "1")


def widened(limit_range: Manifest, pods: Iterable[Manifest], others: Sequence[Manifest]) -> Any:
    """Return spec.limits of a LimitRange that does not refuse these pods any more.

    `others` are all LimitRanges of the namespace, in the order of `breaches`.
    """
    name = limit_range["metadata"]["name"]
    wide: dict[str, Any] = copy.deepcopy({**limit_range})
    everything = [wide if other["metadata"]["name"] == name else other for other in others]
    pods = [*pods]
    for _ in range(ROUNDS):
        found = [breach for pod in pods for breach in breaches(pod, everything)]
        own = {breach for breach in found if breach.limit_range == name}
        for breach in sorted(own, key=lambda breach: breach.asked or 0):
            widen(wide["spec"]["limits"][breach.item], breach)
        if not own:
            break
    return wide["spec"]["limits"]


def widen(item: dict[str, Any], breach: Breach) -> None:
    """Move one bound of an item to what was asked for, or take it away where nothing was."""
    bounds = item.get(breach.rule, {})  # which another container's breach may have taken away
    if breach.resource not in bounds:
        return
    edge = amount(breach.resource, str(bounds[breach.resource]))
    if breach.asked is None:
        del bounds[breach.resource]
    elif breach.rule == "min":
        bounds[breach.resource] = quantity_of(breach.resource, min(edge, breach.asked))
    elif breach.rule == RATIO:
        bounds[breach.resource] = str(max(math.ceil(edge / scale(breach.resource)), breach.asked))
    else:
        bounds[breach.resource] = quantity_of(breach.resource, max(edge, breach.asked))
    if not bounds:
        del item[breach.rule]
