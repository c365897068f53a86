"""Rights as Roles, and the commands that grant them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..cluster.rights import Right
from ..pods.rbac import RBAC, manifest
from .examination import Examination


def role_rules(rights: Iterable[Right]) -> list[dict[str, Any]]:
    """Return the rules of a Role, a rule for each group and set of verbs."""
    verbs: dict[tuple[str, str], set[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.resource), set()).add(right.verb)
    resources: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), of_resource in sorted(verbs.items()):
        resources.setdefault((group, tuple(sorted(of_resource))), []).append(resource)
    return [
        {"apiGroups": [group], "resources": names, "verbs": [*of_resources]}
        for (group, of_resources), names in resources.items()
    ]


def grant_to_user(case: Examination, namespace: str, rights: Sequence[Right]) -> str:
    """Return the command by which an administrator gives the user rights in a namespace.

    The Role is the user's own: one for all would be bound to the last of them only.
    """
    user = case.target.account
    kind = "User"
    if user.startswith("system:serviceaccount:"):
        kind = "ServiceAccount"
    name = re.sub("[/%]", ":", f"k8s-deployer:{user}")  # which no name of a Role may have
    return grant(case, name, namespace, rights, kind, user)


def grant(
    case: Examination,
    name: str,
    namespace: str,
    rights: Iterable[Right],
    kind: str,
    subject: str,
) -> str:
    """Return the command that gives rights in a namespace to a User or ServiceAccount, to paste.

    A service account may be named in full, system:serviceaccount:NAMESPACE:NAME. `rights` are all
    that the Role is for: applied again, it replaces what it had.
    """
    of_namespace, account = f"{namespace}:{subject}".split(":")[-2:]
    subjects: dict[str, Any] = {"kind": kind, "name": subject, "apiGroup": RBAC}
    if kind == "ServiceAccount":
        subjects = {"kind": kind, "name": account, "namespace": of_namespace}
    role = manifest(f"{RBAC}/v1", "Role", name, rules=role_rules(rights))
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    binding = manifest(f"{RBAC}/v1", "RoleBinding", name, roleRef=reference, subjects=[subjects])
    for item in (role, binding):
        item["metadata"]["namespace"] = namespace
    return case.apply({"apiVersion": "v1", "kind": "List", "items": [role, binding]}, False)
