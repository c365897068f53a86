"""Why a pod has no node, from the scheduler's message about it.

It counts the nodes by the first filter that refused each (kube-scheduler's order: cordoned, taint,
selector, size, volumes), so the last filter named is that of the nodes that come nearest. Only the
nodes themselves say more: the rules of `k8s doctor` read them.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from .read_pods import Manifest
from .reasons import GIVE, Reason, Rule, facts_of, first_reason

PART = re.compile(r"(?P<count>\d+) (?P<why>(?:[^{,.]|\{[^}]*\}|\.(?! |$)|,(?! \d))+)")
FOR_EVER = "Preemption is not helpful"  # said of a node that no end of a pod makes large enough
PASSING_TAINTS = (
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "karpenter.sh/disrupt",
)
KEY = re.compile(r"\{(?P<taint>(?P<key>[^:}]+)[^}]*)\}")


class Filter(NamedTuple):
    """A filter of the scheduler, by what it says of nodes, and what that is called here."""

    code: str
    pattern: str
    words: str  # of so many nodes


# The nodes that come nearest are those of the first filter here.
FILTERS = (
    Filter("claim-zone", r"PersistentVolume's node affinity|volume node affinity conflict"
           r"|no available volume zone", "out of reach of a volume"),
    Filter("claim-binds", r"didn't find available persistent volumes|non-existent pv",
           "without a volume for a claim"),
    Filter("node-now", r"Too many pods|max volume count|free ports", "full"),
    Filter("node-affinity", r"anti-affinity|pod affinity|topology spread",
           "ruled out by the affinity or spread of pods"),
    Filter("node-size", r"Insufficient (?P<resource>\S+)", "with too little {resource}"),
    Filter("node-selector", r"node affinity/selector|node selector",
           "not selected by {selector}"),
    Filter("node-taint", r"taint", "with a taint that it does not tolerate{taint}"),
    Filter("node-cordoned", r"were unschedulable", "cordoned"),
)  # fmt: skip
OF_ALL_NODES = (
    Rule(
        "claim-exists",
        r"persistentvolumeclaim \"(?P<claim>[^\"]+)\" not found",
        "there is no claim {claim} in namespace {namespace}",
        """echo '{{"apiVersion": "v1", "kind": "PersistentVolumeClaim","""
        """ "metadata": {{"name": "{claim}"}}, "spec": {{"accessModes": ["ReadWriteMany"],"""
        """ "resources": {{"requests": {{"storage": "10Gi"}}}}}}}}'"""
        """ | kubectl -n {namespace} apply -f -""",
    ),
    Rule(
        "claim-exists",
        r"persistentvolumeclaim \"(?P<claim>[^\"]+)\" is being deleted",
        "the claim {claim} is being deleted",
        "wait until it is gone, and make it again",
    ),
    Rule(
        "claim-binds",
        r"unbound immediate PersistentVolumeClaims",
        "a claim of the pod has no volume yet: {claims}",
        "its events say why: `kubectl -n {namespace} describe pvc {claims}`",
    ),
    Rule(
        "claim-binds",
        r"persistentvolumeclaim \"(?P<claim>[^\"]+)\" bound to non-existent persistentvolume",
        "the volume of the claim {claim} is gone",
        "delete the claim and make it again, without its data",
    ),
)
REMEDIES = {
    "node-selector": "write node_selector of a node that exists into k8s.toml"
    " (`kubectl get nodes --show-labels`), or `kubectl label node NODE {selector_option}`",
    "node-taint": 'write into k8s.toml, with the key of the taint: tolerations = [{{ key = "KEY",'
    ' operator = "Exists" }}]; `kubectl get nodes -o custom-columns='
    "NAME:.metadata.name,TAINTS:.spec.taints` shows them",
    "node-cordoned": "kubectl uncordon NODE",
    "node-ready": "see what is wrong with them: `kubectl get nodes`",
    "node-size": f"ask for less {GIVE.format('{setting}')}, or add a larger node",
    "node-gpu": f"ask for what a node has {GIVE.format('gpu')}, or add a node that has more",
    "node-now": "wait for other pods, ask for less, or add a node",
    "node-affinity": "wait for other pods, or change the cluster's policy that adds it",
    "claim-zone": "write the volume's zone as node_selector into k8s.toml:"
    " `kubectl get pv -o custom-columns=CLAIM:.spec.claimRef.name,NODES:.spec.nodeAffinity`",
    "claim-binds": "its events say why: `kubectl -n {namespace} describe pvc {claims}`",
}
SETTINGS = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "disk"}


def why_unschedulable(message: str, pod: Manifest) -> Reason:
    """Return why the scheduler has found no node for a pod."""
    facts = facts_of(pod)
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    ]
    facts |= {"claims": " ".join(claims) or "CLAIM"}
    if reason := first_reason(OF_ALL_NODES, message, facts):
        return reason
    filtered, _, preemption = message.partition("preemption:")
    refused = refusals(filtered.partition("available:")[2], facts)
    if not refused:
        return Reason("unschedulable", message)
    code, resource = (
        nearest(refused),
        next((each.resource for each in refused if each.resource), ""),
    )
    never = FOR_EVER in preemption and "No preemption victims" not in preemption
    if code == "node-size" and not never:
        code = "node-now"
    elif code == "node-size" and "/" in resource:
        code = "node-gpu"
    parts = ", ".join(f"{each.nodes} {each.words}" for each in refused)
    facts |= {"setting": SETTINGS.get(resource, "extended_resources")}
    return Reason(
        code,
        f"no node takes it: {parts}",
        REMEDIES[code].format_map(facts),
        passes=code in ("node-now", "node-ready"),
    )


class Refusal(NamedTuple):
    """Nodes that one filter refused."""

    code: str
    nodes: str
    words: str
    resource: str = ""


def refusals(text: str, facts: Mapping[str, str]) -> list[Refusal]:
    """Return what the scheduler says of groups of nodes, those that come nearest first."""
    found = []
    for part in PART.finditer(text):
        for number, (code, pattern, words) in enumerate(FILTERS):
            if match := re.search(pattern, part["why"]):
                named, taint = match.groupdict(), KEY.search(part["why"])
                if taint and taint["key"].startswith(PASSING_TAINTS):
                    code, words = "node-ready", "not ready{taint}"
                known = {
                    "selector": facts["selector"] or "the pod's affinity",
                    "taint": f" ({taint['taint'].rstrip(': ')})" if taint else "",
                    **named,
                }
                refusal = Refusal(
                    code, part["count"], words.format(**known), named.get("resource", "")
                )
                found.append((number, refusal))
                break
    return [refusal for _, refusal in sorted(found, key=lambda each: each[0])]


def nearest(refused: list[Refusal]) -> str:
    """Return the code of the filter to be mended.

    Nodes with a named taint that their own pool has come nearer than those of other pools; where
    the message does not name it, control planes may be meant, which all clusters have.
    """
    codes = [each.code for each in refused]
    for each in refused:
        named = "(" in each.words and "node-role.kubernetes.io" not in each.words
        if codes[0] == "node-selector" and each.code == "node-taint" and named:
            return each.code
    return codes[0]
