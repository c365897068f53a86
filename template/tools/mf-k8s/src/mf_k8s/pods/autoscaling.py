"""Whether a cluster can get a new node for a pod: what Karpenter and the cluster autoscaler say.

What they may do can be refuted, never promised: which machines a cloud has is not to be seen.
(Sources: karpenter.sh/docs/concepts/nodepools and /scheduling; the FAQ of the cluster autoscaler at
github.com/kubernetes/autoscaler.)
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from .node_labels import Taint, Terms, expression_holds, expressions, spell_expression, untolerated
from .pod_requests import amounts, spell
from .read_pods import Manifest
from .read_yaml import read_yaml
from .scheduling import Demand

STATUS_CONFIG_MAP = "cluster-autoscaler-status"  # of the cluster autoscaler, in kube-system
# Labels of nodes whose groups a cloud may enlarge.
OF_CLOUDS = {
    "cloud.google.com/gke-nodepool": "GKE",
    "eks.amazonaws.com/nodegroup": "EKS",
    "alpha.eksctl.io/nodegroup-name": "EKS",
    "kubernetes.azure.com/agentpool": "AKS",
}
# Labels, and how they begin, that Karpenter gives to nodes without a NodePool's naming them.
WELL_KNOWN = (
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/",
    "topology.",  # of the storage drivers of clouds
    "node.kubernetes.io/instance-type",
    "node.kubernetes.io/windows-build",
    "karpenter.",
    "eks.amazonaws.com/",
    "app.kubernetes.io/managed-by",
)


class Refusal(NamedTuple):
    """Why a NodePool makes no node for a pod."""

    why: str
    passes: bool = False  # it may, when others of its nodes are gone


def refusal(node_pool: Manifest, demand: Demand) -> Refusal | None:
    """Return why a NodePool of Karpenter makes no node for a pod; None where it cannot be told."""
    template = node_pool["spec"]["template"]
    for condition in (node_pool.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "False":
            return Refusal(f"it is not ready: {condition.get('message', '')}".rstrip(": "))
    taints = [
        Taint(taint["key"], taint.get("value") or "", taint["effect"])
        for taint in template["spec"].get("taints") or ()
        if taint["effect"] != "PreferNoSchedule"
    ]
    if left := untolerated(taints, demand.tolerations):
        return Refusal(f"its taint {left[0]} is not tolerated")
    offered = requirements(node_pool)
    for selector in (*demand.selectors, *demand.volumes):
        if not any(may_hold(term, offered) for term in selector):
            return Refusal(f"its nodes are not {spell_selector(selector)}")
    return beyond_limits(node_pool, demand)


def beyond_limits(node_pool: Manifest, demand: Demand) -> Refusal | None:
    used = amounts((node_pool.get("status") or {}).get("resources"))
    for name, limit in amounts(node_pool["spec"].get("limits")).items():
        asked = demand.requests.get(name, 0)
        words = f"its limit of {name} is {spell(name, limit)}"
        if asked > limit:
            return Refusal(words)
        if asked > limit - used.get(name, 0):
            return Refusal(f"{words}, of which {spell(name, used[name])} are used", passes=True)
    return None


def requirements(node_pool: Manifest) -> dict[str, list[Manifest]]:
    """Return what is required of the nodes of a NodePool, by label."""
    template = node_pool["spec"]["template"]
    labels = dict((template.get("metadata") or {}).get("labels") or {})
    labels["karpenter.sh/nodepool"] = node_pool["metadata"]["name"]
    entries: list[Manifest] = [
        {"key": key, "operator": "In", "values": [value]} for key, value in labels.items()
    ]
    found: dict[str, list[Manifest]] = {}
    for entry in (*entries, *(template["spec"].get("requirements") or ())):
        found.setdefault(entry["key"], []).append(entry)
    return found


def may_hold(term: Manifest, offered: Mapping[str, Sequence[Manifest]]) -> bool:
    """Return whether a node with these requirements can be what a term asks for."""
    entries = expressions(term)
    return bool(entries) and all(agree(entry, offered.get(entry["key"], ())) for entry in entries)


def agree(asked: Manifest, offered: Sequence[Manifest]) -> bool:
    """Return whether some value of a label is both what is asked for and what is offered."""
    key, absent_is_right = asked["key"], asked["operator"] in ("NotIn", "DoesNotExist")
    if not offered:
        return absent_is_right or str(key).startswith(WELL_KNOWN)
    if asked["operator"] == "DoesNotExist":
        return all(entry["operator"] in ("NotIn", "DoesNotExist") for entry in offered)
    named = [entry for entry in (asked, *offered) if entry["operator"] == "In"]
    if not named:
        return all(entry["operator"] != "DoesNotExist" for entry in offered)
    return any(
        all(expression_holds(entry, {key: value}) for entry in (asked, *offered))
        for value in named[0]["values"]
    )


def spell_selector(selector: Terms) -> str:
    terms = [",".join(map(spell_expression, expressions(term))) for term in selector]
    return " or ".join(filter(None, terms))


def all_at_maximum(status: str) -> bool:
    """Return whether the cluster autoscaler's status says that none of its groups may grow.

    It is YAML since release 1.30, and prose before.
    """
    try:
        groups: Any = read_yaml(status)["nodeGroups"]
        sizes = [
            (group["health"]["cloudProviderTarget"], group["health"]["maxSize"]) for group in groups
        ]
    except (yaml.YAMLError, KeyError, TypeError):
        return False
    return bool(sizes) and all(target >= maximum for target, maximum in sizes)
