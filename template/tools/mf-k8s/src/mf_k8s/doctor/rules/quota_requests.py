"""Each container of the pods names what the quotas of the namespace demand of it.

A ResourceQuota on cpu or memory refuses every pod with a container that does not say what it
requests, and one on limits.cpu or limits.memory every container without that limit. Argo's own
containers, init and wait, have neither, unless `executor: resources` in the ConfigMap of its
controller gives them; limits of steps come from `qos = "Guaranteed"` in k8s.toml. Argo ends such a
step with an error. (https://kubernetes.io/docs/concepts/policy/resource-quotas/)

The remedy is a LimitRange, which gives containers what they lack, in this namespace alone: a small
request, and where limits are demanded one as high as the largest request, since a default limit
below a request is refused.
"""

from collections.abc import Iterable, Iterator

from ...cluster.view import LIMIT_RANGES, QUOTAS
from ...pods.limits import containers_of, quantity_of
from ...pods.pod_requests import amount, container_requests
from ...pods.quotas import DEMANDED, counts, unnamed
from ...pods.read_pods import Manifest
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..limited_pods import completed_pods

NEEDS = ("limit-range",)
READS = (QUOTAS.list, LIMIT_RANGES.list)
REQUESTS = {"cpu": "100m", "memory": "64Mi"}  # as in Argo's example of `executor: resources`
LIMITS = {"cpu": "500m", "memory": "512Mi"}


def examine(case: Examination) -> Iterator[Answer]:
    quotas = case.view.list(QUOTAS)
    pods = completed_pods(case) if quotas else {}
    found: dict[str, dict[str, list[FlowPod]]] = {}  # by what is lacking, then by quota
    demanded: set[str] = set()
    for quota in quotas:
        name = quota["metadata"]["name"]
        lacking = {
            pod: unnamed(quota, whole) for pod, whole in pods.items() if counts(quota, whole)
        }
        for pod, containers in lacking.items():
            demanded |= {*containers}
            for text in in_words(containers):
                found.setdefault(name, {}).setdefault(text, []).append(pod)
        if fine := [pod for pod in case.pods if not lacking.get(pod)]:
            yield ok(f"quota {name}", fine)
    remedy = case.apply(defaults(demanded, pods.values())) if demanded else ""
    for name, texts in found.items():
        for text, stopped in texts.items():
            yield problem(f"quota {name} demands {text}", stopped, remedy)


def in_words(lacking: dict[str, list[str]]) -> Iterator[str]:
    """Yield what is demanded, like `requests.cpu, requests.memory: init, wait have none`."""
    by_containers: dict[tuple[str, ...], list[str]] = {}
    for resource, containers in sorted(lacking.items()):
        by_containers.setdefault(tuple(containers), []).append(resource)
    for names, resources in by_containers.items():
        has = "have" if len(names) > 1 else "has"
        yield f"{' and '.join(resources)} of each container: {', '.join(names)} {has} none"


def defaults(demanded: Iterable[str], pods: Iterable[Manifest]) -> Manifest:
    """Return a LimitRange that gives what is demanded to containers that lack it."""
    pods = list(pods)
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for part, name in (DEMANDED[resource] for resource in demanded):
        requests[name] = REQUESTS[name]
        if part == "limits":
            asked = [
                container_requests(container).get(name, 0)
                for pod in pods
                for container in containers_of(pod)
            ]
            limits[name] = quantity_of(name, max(amount(name, LIMITS[name]), *asked))
    item = {"type": "Container", "defaultRequest": requests}
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "k8s-defaults"},
        "spec": {"limits": [item | ({"default": limits} if limits else {})]},
    }
