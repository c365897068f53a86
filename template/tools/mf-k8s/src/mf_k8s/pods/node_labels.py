"""Which nodes a pod selects by their labels, and which taints it tolerates.

Source: kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node and /taint-and-toleration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .read_pods import Manifest

NAME = "metadata.name"  # the one field of nodes that can be selected; stands among the labels
ARCHITECTURES = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"  # taint of cordoned nodes
CONTROL_PLANES = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
# Keys, and how keys begin, of taints that the cluster sets and takes away by itself.
PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "ToBeDeletedByClusterAutoscaler",
    "karpenter.sh/disrupt",
    "karpenter.sh/unregistered",
    "node.cilium.io/agent-not-ready",
    "ebs.csi.aws.com/agent-not-ready",
    "efs.csi.aws.com/agent-not-ready",
)
REPELLING = ("NoSchedule", "NoExecute")  # effects; PreferNoSchedule is only a wish

Terms = Sequence[Manifest]  # of a node selector: one of them must hold


class Taint(NamedTuple):
    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else self.key_and_effect

    @property
    def key_and_effect(self) -> str:
        return f"{self.key}:{self.effect}"

    @property
    def passing(self) -> bool:
        """Return whether the cluster takes it away by itself, as when the node is ready again."""
        return self.key.startswith(PASSING_TAINTS)


def repelling_taints(node: Manifest) -> list[Taint]:
    """Return the taints of a node that keep pods away; of a cordoned one, always that of cordon."""
    spec = node.get("spec") or {}
    taints = [
        Taint(taint["key"], taint.get("value") or "", taint["effect"])
        for taint in spec.get("taints") or ()
        if taint["effect"] in REPELLING
    ]
    cordon = Taint(UNSCHEDULABLE, "", "NoSchedule")
    return taints + ([cordon] if spec.get("unschedulable") and cordon not in taints else [])


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Manifest]) -> list[Taint]:
    return [taint for taint in taints if not any(tolerates(entry, taint) for entry in tolerations)]


def tolerates(toleration: Manifest, taint: Taint) -> bool:
    """Return whether a toleration is for a taint: one without a key or an effect is for all."""
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    return toleration["key"] == taint.key and (
        exists or (toleration.get("value") or "") == taint.value
    )


def required_selectors(spec: Manifest) -> list[Terms]:
    """Return the node selectors that a pod's specification has: each of them must hold."""
    selectors: list[Terms] = []
    if labels := spec.get("nodeSelector"):
        entries = [
            {"key": key, "operator": "In", "values": [value]} for key, value in labels.items()
        ]
        selectors.append([{"matchExpressions": entries}])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    if required := affinity.get("requiredDuringSchedulingIgnoredDuringExecution"):
        selectors.append(required.get("nodeSelectorTerms") or ())
    return selectors


def holds(selector: Terms, labels: Mapping[str, str]) -> bool:
    """Return whether a term holds of a node; an empty one never does."""
    return any(
        all(expression_holds(entry, labels) for entry in entries)
        for entries in map(expressions, selector)
        if entries
    )


def expressions(term: Manifest) -> list[dict[str, Any]]:
    return [*(term.get("matchExpressions") or ()), *(term.get("matchFields") or ())]


def expression_holds(entry: Manifest, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(entry["key"]), entry.get("values") or []
    match entry["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    try:  # Gt, Lt
        number, bound = int(str(value)), int(values[0])
    except ValueError:
        return False
    return number > bound if entry["operator"] == "Gt" else number < bound


def keys_of(selectors: Iterable[Terms]) -> set[str]:
    return {entry["key"] for entry in all_expressions(selectors)}


def all_expressions(selectors: Iterable[Terms]) -> Iterator[dict[str, Any]]:
    for selector in selectors:
        for term in selector:
            yield from expressions(term)


def spell_expression(entry: Manifest) -> str:
    """Return a requirement as `kubectl get nodes -l` takes it: `zone=a`, `zone in (a,b)`."""
    key, values = entry["key"], entry.get("values") or []
    match entry["operator"]:
        case "In" if len(values) == 1:
            return f"{key}={values[0]}"
        case "In" | "NotIn":
            return f"{key} {entry['operator'].lower()} ({','.join(values)})"
        case "Exists":
            return str(key)
        case "DoesNotExist":
            return f"!{key}"
    return f"{key}{'>' if entry['operator'] == 'Gt' else '<'}{values[0]}"
