"""Whether Roles and their bindings let a service account do something.

The rules are those of Kubernetes' authorizer (pkg/apis/rbac/v1/evaluation_helpers.go, and
kubernetes.io/docs/reference/access-authn-authz/rbac/). A ClusterRole that is aggregated has the
rules of the others in it already, when it is read.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .read_pods import Manifest

USERS, GROUPS, ACCOUNTS = "User", "Group", "ServiceAccount"


class Request(NamedTuple):
    """What somebody wants to do in a namespace."""

    verb: str
    group: str
    resource: str  # with a subresource, like workflowtasksets/status
    name: str = ""  # of the object; `create`, `list` and `watch` have none

    @property
    def attributes(self) -> dict[str, str]:
        """Return it as the resourceAttributes of a review of access."""
        resource, _, subresource = self.resource.partition("/")
        attributes = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "name": self.name,
        }
        return {key: value for key, value in attributes.items() if value or key == "group"}


def username(namespace: str, account: str) -> str:
    return f"system:serviceaccount:{namespace}:{account}"


def groups_of(namespace: str) -> list[str]:
    """Return the groups of every service account of a namespace."""
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]


def is_bound(binding: Manifest, namespace: str, account: str) -> bool:
    """Return whether a RoleBinding or ClusterRoleBinding is for a service account."""
    home = binding["metadata"].get("namespace", "")
    return any(
        is_subject(subject, home, namespace, account) for subject in binding.get("subjects") or ()
    )


def is_subject(subject: Manifest, home: str, namespace: str, account: str) -> bool:
    kind, name = subject["kind"], subject["name"]
    if kind == ACCOUNTS:
        return (subject.get("namespace") or home, name) == (namespace, account)
    if kind == GROUPS:
        return name in groups_of(namespace)
    return bool(kind == USERS and name == username(namespace, account))


def allows(rules: Iterable[Manifest], request: Request) -> bool:
    """Return whether one of the rules of a Role allows a request."""
    return any(allowed_by(rule, request) for rule in rules or ())


def allowed_by(rule: Manifest, request: Request) -> bool:
    """Return whether a rule allows a request; one about URLs has neither groups nor resources."""
    names: Sequence[Any] = rule.get("resourceNames") or ()
    _, slash, subresource = request.resource.partition("/")
    resources = {"*", request.resource} | ({f"*/{subresource}"} if slash else set())
    return (
        not {"*", request.verb}.isdisjoint(rule["verbs"])
        and not {"*", request.group}.isdisjoint(rule.get("apiGroups") or ())
        and not resources.isdisjoint(rule.get("resources") or ())
        and (not names or request.name in names)
    )
