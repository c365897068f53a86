"""What a ResourceQuota says of a pod: whether it counts it, what it demands, what it has room for.

The rules are those of Kubernetes' evaluator of pods (pkg/quota/v1/evaluator/core/pods.go, and
kubernetes.io/docs/concepts/policy/resource-quotas/). A pod is judged as `limits.completed` makes
it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .limits import containers_of, pod_limits
from .pod_requests import PODS, amount, pod_requests
from .read_pods import Manifest

ONE_POD = {"pods": 1, "count/pods": 1}
# What a quota demands that each container names, with the part of its resources that has it.
DEMANDED = {
    "cpu": ("requests", "cpu"),
    "memory": ("requests", "memory"),
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
}
SHORT = ("cpu", "memory", "ephemeral-storage", "hugepages-")  # `cpu` means `requests.cpu`
LIMITED = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class Excess:
    """A resource that a quota has too little of. Amounts are those of pod_requests."""

    quota: str
    resource: str  # as the quota spells it, like requests.memory
    asked: int
    used: int
    hard: int

    @property
    def is_final(self) -> bool:
        """Return whether it is too little even if nothing else runs."""
        return self.asked > self.hard


def quota_usage(pod: Manifest) -> Counter[str]:
    """Return what a pod takes of quotas, by the names that these have for it."""
    requests, limits = pod_requests(pod["spec"]), pod_limits(pod["spec"])
    del requests[PODS]
    usage = Counter(ONE_POD)
    usage.update({f"requests.{name}": number for name, number in requests.items()})
    usage.update({name: n for name, n in requests.items() if name.startswith(SHORT)})
    usage.update({f"limits.{name}": n for name, n in limits.items() if name in LIMITED})
    return usage


def hard_of(quota: Manifest) -> Mapping[str, Any]:
    status: Mapping[str, Any] = quota.get("status") or {}
    return status.get("hard") or quota["spec"].get("hard") or {}


def counts(quota: Manifest, pod: Manifest) -> bool:
    """Return whether a quota counts a pod: all of its scopes must fit."""
    spec = quota["spec"]
    selector = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return all(in_scope(pod, scope) for scope in [*scopes, *selector])


def in_scope(pod: Manifest, scope: Manifest) -> bool:
    spec = pod["spec"]
    if scope["scopeName"] == "PriorityClass":
        return has_priority(str(spec.get("priorityClassName") or ""), scope)
    test = SCOPES.get(scope["scopeName"])
    return test is not None and test(pod)


def has_priority(name: str, scope: Manifest) -> bool:
    values = scope.get("values") or ()
    return {
        "In": name in values,
        "NotIn": name not in values,
        "Exists": bool(name),
        "DoesNotExist": not name,
    }[scope["operator"]]


def is_terminating(pod: Manifest) -> bool:
    return pod["spec"].get("activeDeadlineSeconds") is not None


def is_best_effort(pod: Manifest) -> bool:
    """Return whether no container asks for cpu or memory; other resources do not count here."""
    resources = [
        container.get("resources") or {} for container in [pod["spec"], *containers_of(pod)]
    ]
    return not any(
        amount(name, str(part[name]))
        for resource in resources
        for part in (resource.get("requests") or {}, resource.get("limits") or {})
        for name in ("cpu", "memory")
        if name in part
    )


def has_affinity_elsewhere(pod: Manifest) -> bool:
    affinity = pod["spec"].get("affinity") or {}
    terms: list[Any] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [term["podAffinityTerm"] for term in preferred]
    return any(term.get("namespaces") or "namespaceSelector" in term for term in terms)


SCOPES: Mapping[str, Callable[[Manifest], bool]] = {
    "Terminating": is_terminating,
    "NotTerminating": lambda pod: not is_terminating(pod),
    "BestEffort": is_best_effort,
    "NotBestEffort": lambda pod: not is_best_effort(pod),
    "CrossNamespacePodAffinity": has_affinity_elsewhere,
}


def unnamed(quota: Manifest, pod: Manifest) -> dict[str, list[str]]:
    """Return what a quota demands that containers lack: their names by its resources."""
    lacking: dict[str, list[str]] = {}
    for resource in hard_of(quota):
        part, name = DEMANDED.get(resource, ("", ""))
        if not part or name in ((pod["spec"].get("resources") or {}).get(part) or {}):
            continue  # nothing is demanded, or the pod as a whole says it
        for container in containers_of(pod):
            if name not in ((container.get("resources") or {}).get(part) or {}):
                lacking.setdefault(resource, []).append(container["name"])
    return lacking


def excesses(quota: Manifest, usage: Mapping[str, int]) -> list[Excess]:
    """Return the resources that a quota has too little of for this usage, beside what is used."""
    name, used = quota["metadata"]["name"], (quota.get("status") or {}).get("used") or {}
    found = []
    for resource, hard in hard_of(quota).items():
        plain = resource.removeprefix("requests.").removeprefix("limits.")
        excess = Excess(
            name,
            resource,
            usage.get(resource, 0),
            amount(plain, str(used.get(resource, 0))),
            amount(plain, str(hard)),
        )
        if excess.asked and excess.asked + excess.used > excess.hard:
            found.append(excess)
    return found


def usage_of_all(quota: Manifest, pods: Iterable[tuple[Manifest, int]]) -> Counter[str]:
    """Return what pods take of a quota together; each with how many there are of it."""
    total: Counter[str] = Counter()
    for pod, number in pods:
        if counts(quota, pod):
            total.update({name: value * number for name, value in quota_usage(pod).items()})
    return total
