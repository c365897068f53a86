"""The Roles of whoever runs the doctor: what its rules read."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ..cluster.rights import SYSTEM
from ..cluster.target import Target
from ..pods.rbac import RBAC, manifest
from .grants import role_rules
from .rules import Rule
from .run_objects import READS

NAME = "k8s-doctor"
ARGO_NAMESPACE = "argo"  # where its manifest puts the controller


def doctor_roles(rules: Mapping[str, Rule], namespace: str, argo: str) -> Iterator[dict[str, Any]]:
    """Yield the Roles of who runs the doctor: of the runs' namespace, of Argo's, of
    Kubernetes', and of the cluster.

    Each rule says which rights it reads with; --run has its own.
    """
    rights = {right for rule in rules.values() for right in rule.reads} | {*READS}
    places = {"namespace": namespace, "argo": argo, "system": SYSTEM}
    for scope, place in places.items():
        role = manifest(
            f"{RBAC}/v1", "Role", NAME, rules=role_rules(r for r in rights if r.scope == scope)
        )
        role["metadata"]["namespace"] = place
        if role["rules"]:
            yield role
    of_cluster = role_rules(right for right in rights if right.scope == "cluster")
    yield manifest(f"{RBAC}/v1", "ClusterRole", NAME, rules=of_cluster)


def print_roles(rules: Mapping[str, Rule], target: Target) -> None:
    """Print the Roles as YAML, to be bound to whoever runs the doctor."""
    roles = doctor_roles(rules, target.namespace, ARGO_NAMESPACE)
    print(yaml.safe_dump_all(roles, sort_keys=False), end="")
