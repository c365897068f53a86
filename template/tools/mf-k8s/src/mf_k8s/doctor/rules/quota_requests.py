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

from collections.abc import Iterable, Iterator, Mapping

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
NAME = "k8s-defaults"
REQUESTS = {"cpu": "100m", "memory": "64Mi"}  # as in Argo's example of `executor: resources`
LIMITS = {"cpu": "500m", "memory": "512Mi"}


def examine(case: Examination) -> Iterator[Answer]:
    quotas = case.view.list(QUOTAS)
    whole = completed_pods(case) if quotas else {}
    found: dict[str, dict[FlowPod, dict[str, list[str]]]] = {}
    for quota in quotas:
        name = quota["metadata"]["name"]
        counted = [(pod, manifest) for pod, manifest in whole.items() if counts(quota, manifest)]
        lacking = {pod: names for pod, manifest in counted if (names := unnamed(quota, manifest))}
        if lacking:
            found[name] = lacking
        if fine := [pod for pod in case.pods if pod not in lacking]:
            yield ok(f"quota {name}", fine)
    resources = {resource for own in found.values() for names in own.values() for resource in names}
    remedy = ""
    if found:
        earlier = [
            each for each in case.view.list(LIMIT_RANGES) if each["metadata"]["name"] == NAME
        ]
        remedy = case.apply(defaults(sorted(resources), whole.values(), earlier))
    for name, lacking in found.items():
        yield problem(
            f"quota {name} demands of each container {in_words(lacking)}", lacking, remedy
        )


def in_words(lacking: Mapping[FlowPod, Mapping[str, list[str]]]) -> str:
    """Return what is demanded and not there, like `limits.cpu: init, main, wait have none`."""
    containers: dict[str, set[str]] = {}
    for names in lacking.values():
        for resource, of_pod in names.items():
            containers.setdefault(resource, set()).update(of_pod)
    resources: dict[str, list[str]] = {}
    for resource in sorted(containers):
        resources.setdefault(", ".join(sorted(containers[resource])), []).append(resource)
    return "; ".join(f"{' and '.join(res)}: {who} lack it" for who, res in resources.items())


def defaults(
    demanded: Iterable[str], pods: Iterable[Manifest], earlier: Iterable[Manifest]
) -> Manifest:
    """Return a LimitRange that gives what is demanded to containers that lack it.

    It has what an earlier one of its name gives, which it replaces.
    """
    pods = list(pods)
    items = [item for limit_range in earlier for item in limit_range["spec"]["limits"]]
    requests, limits = (
        {name: value for item in items for name, value in (item.get(key) or {}).items()}
        for key in ("defaultRequest", "default")
    )
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
        "metadata": {"name": NAME},
        "spec": {"limits": [item | ({"default": limits} if limits else {})]},
    }
