"""Whether a service account has a right: by the cluster's answer, else by Roles and bindings."""

from collections.abc import Iterable, Iterator
from typing import Any

from ..cluster.rights import Kind, Right
from ..cluster.view import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    NotAllowed,
    View,
)
from ..pods.rbac_rules import Request, allows, groups_of, is_bound, username
from ..pods.read_pods import Manifest

READS = (ROLES.list, ROLE_BINDINGS.list, CLUSTER_ROLES.list, CLUSTER_ROLE_BINDINGS.list)


def lacking(view: View, account: str, rights: Iterable[Right]) -> list[Right]:
    """Return the rights that a service account lacks in the namespace of the runs.

    Raise NotAllowed if that cannot be told: the user may neither ask for a review of the account's
    access nor read all that could give it.
    """
    return [right for right in rights if not has_right(view, account, right)]


def has_right(view: View, account: str, right: Right) -> bool:
    namespace = view.target.namespace
    request = Request(right.verb, right.group, right.resource)
    spec: dict[str, Any] = {
        "user": username(namespace, account),
        "groups": groups_of(namespace),
        "resourceAttributes": {**request.attributes, "namespace": namespace},
    }
    for plural, place in (("localsubjectaccessreviews", namespace), ("subjectaccessreviews", "")):
        status = view.review(plural, spec, place)
        if status and (status.get("allowed") or not status.get("evaluationError")):
            return bool(status.get("allowed"))
    return is_allowed_by_roles(view, account, request)


def is_allowed_by_roles(view: View, account: str, request: Request) -> bool:
    refusals: list[NotAllowed] = []
    for role in bound_roles(view, account, refusals):
        if allows(role.get("rules") or (), request):
            return True
    if refusals:  # what could not be read may allow it
        raise refusals[0]
    return False


def bound_roles(view: View, account: str, refusals: list[NotAllowed]) -> Iterator[Manifest]:
    """Yield the Roles and ClusterRoles of an account; add what could not be read to `refusals`."""
    for bindings in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
        for binding in listed(view, bindings, refusals):
            if is_bound(binding, view.target.namespace, account):
                reference = binding["roleRef"]
                kind = ROLES if reference["kind"] == "Role" else CLUSTER_ROLES
                for role in listed(view, kind, refusals):
                    if role["metadata"]["name"] == reference["name"]:
                        yield role


def listed(view: View, kind: Kind, refusals: list[NotAllowed]) -> list[Manifest]:
    try:
        return view.list(kind)
    except NotAllowed as refusal:
        refusals.append(refusal)
        return []
