"""The service accounts of the pods have the rights that Argo needs of them.

Argo's executor, which runs beside each step, writes what came of it into a WorkflowTaskResult, by
the account of the pod: without create and patch on workflowtaskresults the step ends with an error
after its work is done. The pod that starts a @parallel step creates a JobSet, waits for it and
deletes it; the pod that sends what `notify` asks for reads workflowtasksets.
(https://argo-workflows.readthedocs.io/en/latest/workflow-rbac/)

The cluster is asked by a LocalSubjectAccessReview or SubjectAccessReview, which the ClusterRole
`admin` may ask for; else Roles and bindings are read
(https://kubernetes.io/docs/reference/access-authn-authz/rbac/). The remedy makes a Role for the
account with all that these flows need of it, and what it has for others; docs/production.md has one
for all accounts.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from ...cluster.rights import Right
from ...pods.rbac import AGENT, EXECUTOR, JOBSETS
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..grants import grant
from ..rights_of_accounts import READS as READS_OF_ACCOUNTS
from ..rights_of_accounts import lacking

NEEDS = ("account-exists",)
READS = READS_OF_ACCOUNTS
AGENT_POD, CREATOR = "(agent)", "/creator"  # names of pods in argo_pods


def examine(case: Examination) -> Iterator[Answer]:
    for account, pods in case.pods_by(lambda pod: [pod.account] if needed(pod) else []):
        every = list(dict.fromkeys(right for pod in pods for right in needed(pod)))
        missing = lacking(case.view, account, every)
        stopped = [pod for pod in pods if not {*needed(pod)}.isdisjoint(missing)]
        if missing:
            what = f"the service account {account} may not {named(missing)}"
            others = [right for right in KNOWN if right not in every]
            without = lacking(case.view, account, others)
            role = every + [right for right in others if right not in without]  # it has by now
            name, namespace = f"k8s-{account}", case.namespace
            remedy = grant(case, name, namespace, role, "ServiceAccount", account)
            yield problem(what, stopped, remedy)
        if fine := [pod for pod in pods if pod not in stopped]:
            yield ok(account, fine)


def needed(pod: FlowPod) -> list[Right]:
    """Return what a pod does with its account: one of a JobSet, without Argo, nothing."""
    if pod.name == AGENT_POD:
        return rights(AGENT)
    if pod.name.endswith(CREATOR):
        return rights([EXECUTOR, JOBSETS])
    return [] if "/" in pod.name else rights([EXECUTOR])


def rights(rules: Iterable[dict[str, Any]]) -> list[Right]:
    return [
        Right(verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


KNOWN = rights([EXECUTOR, JOBSETS, *AGENT])


def named(missing: Iterable[Right]) -> str:
    """Return rights in words, like `create and patch workflowtaskresults.argoproj.io`."""
    verbs: dict[str, list[str]] = {}
    for right in missing:
        resource = str(right).removeprefix(f"{right.verb} ")
        verbs.setdefault(resource, []).append(right.verb)
    texts = [f"{in_words(words)} {resource}" for resource, words in verbs.items()]
    return ", ".join(texts)


def in_words(words: list[str]) -> str:
    """Return a list like `create, get and watch`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
