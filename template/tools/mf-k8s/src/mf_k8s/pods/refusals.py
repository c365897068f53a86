"""Why a pod was not created, from the message of the API server.

Argo gives that message to the node of the step, and Kubernetes to an event about the Job.
"""

import re
from collections.abc import Mapping

from .quantities import parse_quantity
from .reasons import Reason, Rule, first_reason

EXCEEDED = re.compile(
    r"exceeded quota: (?P<quota>\S+?), requested: (?P<asked>\S+), used: (?P<used>\S+),"
    r" limited: (?P<hard>\S+)"
)
RIGHT = (
    r"User \"system:serviceaccount:(?P<of>[^:]+):(?P<account>[^\"]+)\" cannot (?P<verb>\S+)"
    r" resource \"(?P<resource>[^\"]+)\"(?: in API group \"(?P<group>[^\"]*)\")?"
)
NEEDED_VERBS = {
    "workflowtaskresults": "create,patch",
    "jobsets": "create,get,watch,delete",
    "workflowtasksets": "list,watch",
    "workflowtasksets/status": "patch",
}
RULES = (
    Rule(
        "quota-requests",
        r"failed quota: (?P<quota>\S+): must specify (?P<resource>\S+) for: (?P<containers>\S+)",
        "the quota {quota} demands {resource} of every container, and {containers} have none",
        "init and wait get theirs from `executor: resources` in the ConfigMap"
        " workflow-controller-configmap of Argo's namespace, limits of steps from"
        ' `qos = "Guaranteed"` in k8s.toml; or let a LimitRange of the namespace give defaults',
    ),
    Rule(
        "limit-range",
        r"forbidden: \[?(?P<which>(?:maximum|minimum) [\w./-]+ usage per \w+ is [^,\]]+), but"
        r" (?P<asked>[^,\]]+)",
        "a LimitRange says: {which}; {asked}",
        "ask for what it allows, in k8s.toml or by @k8s(…) on the step, or see"
        " `kubectl -n {namespace} get limitrange -o yaml`",
    ),
    Rule(
        "limit-range",
        r"forbidden: \[?(?P<which>[\w./-]+ max limit to request ratio per \w+ is [^,\]]+)",
        "a LimitRange says: {which}",
        "see `kubectl -n {namespace} get limitrange -o yaml`",
    ),
    Rule(
        "pod-security",
        r"violates PodSecurity \"(?P<level>[^\"]+)\": (?P<faults>.+)",
        "the namespace enforces the Pod Security Standard {level}, which the pod violates:"
        " {faults}",
        "`kubectl label namespace {namespace} --overwrite"
        " pod-security.kubernetes.io/enforce=baseline`, or write what it lacks into"
        " [security_context] of k8s.toml, and for Argo's own containers into `executor:"
        " securityContext` of its ConfigMap workflow-controller-configmap",
    ),
    Rule(
        "account-exists",
        r"serviceaccount \"(?P<account>[^\"]+)\" not found",
        "there is no service account {account} in namespace {namespace}",
        "kubectl -n {namespace} create serviceaccount {account}",
    ),
    Rule(
        "priority-class",
        r"no PriorityClass with name (?P<name>\S+) was found",
        "there is no priority class {name}",
        "kubectl create priorityclass {name} --value=0",
    ),
    Rule(
        "admission",
        r"admission webhook \"(?P<name>[^\"]+)\" denied the request:? ?(?P<why>.*)",
        "the cluster's webhook {name} refuses the pod: {why}",
        "change what it names in k8s.toml, or ask those who run the webhook",
    ),
    Rule(
        "admission",
        r"failed calling webhook \"(?P<name>[^\"]+)\":? ?(?P<why>.*)",
        "the cluster's webhook {name} cannot be reached: {why}",
        "ask those who run the webhook",
        passes=True,
    ),
    Rule(
        "admission",
        r"ValidatingAdmissionPolicy '(?P<name>[^']+)'.*? denied request: (?P<why>.+)",
        "the cluster's policy {name} refuses the pod: {why}",
        "change what it names in k8s.toml, or ask those who run the cluster",
    ),
    Rule(
        "namespace-exists",
        r"because it is being terminated|namespaces? \"[^\"]+\" not found",
        "the namespace {namespace} does not exist, or is being deleted",
        "kubectl create namespace {namespace}",
    ),
    Rule(
        "jobset",
        r"no matches for kind \"JobSet\"|resource mapping not found.*JobSet"
        r"|doesn't have a resource type \"jobsets",
        "the cluster has no JobSet, which @parallel needs",
        "have JobSet installed: `uv run k8s doctor` prints the command",
    ),
)


def why_refused(text: str, facts: Mapping[str, str]) -> Reason | None:
    """Return why the API server refused a request, or None if no rule knows its message."""
    if found := EXCEEDED.search(text):
        return quota_reason(found, facts)
    if found := re.search(RIGHT, text):
        return missing_right(found)
    return first_reason(RULES, text, facts)


def quota_reason(found: "re.Match[str]", facts: Mapping[str, str]) -> Reason:
    """Return what a quota has too little of: for ever, or only now."""
    quota, namespace = found["quota"], facts["namespace"]
    asked, used, hard = (amounts(found[name]) for name in ("asked", "used", "hard"))
    final = {name: text for name, text in asked.items() if exceeds(text, hard.get(name, ""))}
    if final:
        parts = [f"{name} {text}, and it allows {hard[name]}" for name, text in final.items()]
        patch = ", ".join(f'"{name}": "AMOUNT"' for name in final)
        remedy = (
            f"ask for less in k8s.toml, or `kubectl -n {namespace} patch resourcequota {quota}"
            f' --type=merge -p \'{{"spec": {{"hard": {{{patch}}}}}}}\'` with what all of its'
            " pods together may have"
        )
        what = f"the quota {quota} is too small: the pod asks for {'; '.join(parts)}"
        return Reason("quota-size", what, remedy)
    parts = [
        f"{used.get(name, '?')} of {hard[name]} {name} are used, and the pod asks for {text}"
        for name, text in asked.items()
        if name in hard
    ]
    what = f"the quota {quota} is full now: {'; '.join(parts)}"
    remedy = (
        f"wait for other pods, or see what they ask for:"
        f" `kubectl -n {namespace} describe quota {quota}`"
    )
    return Reason("quota-now", what, remedy, passes=True)


def amounts(text: str) -> dict[str, str]:
    """Return quantities by the names of their resources, from `pods=1,requests.cpu=2`."""
    return dict(part.split("=", 1) for part in text.rstrip(".").split(",") if "=" in part)


def exceeds(asked: str, hard: str) -> bool:
    left, right = parse_quantity(asked), parse_quantity(hard)
    return left is not None and right is not None and left > right


def missing_right(found: "re.Match[str]") -> Reason:
    """Return which right a service account lacks: the pod's, or that of Argo's controller."""
    account, namespace, resource = found["account"], found["of"], found["resource"]
    plural, _, part = resource.partition("/")
    kind = ".".join(filter(None, (plural, found["group"]))) + (part and f"/{part}")
    what = f"the service account {account} of namespace {namespace} may not {found['verb']} {kind}"
    verbs = NEEDED_VERBS.get(resource)
    if not verbs:
        return Reason("account-rights", what, "ask for a Role that allows it")
    role = f"{account}-{resource.replace('/', '-')}"
    remedy = (
        f"kubectl -n {namespace} create role {role} --verb={verbs} --resource={kind} &&"
        f" kubectl -n {namespace} create rolebinding {role} --role={role}"
        f" --serviceaccount={namespace}:{account}"
    )
    return Reason("account-rights", what, remedy)
