"""Service accounts of pods, and the rights that they need."""

from collections.abc import Iterable
from typing import Any

RBAC = "rbac.authorization.k8s.io"
EXECUTOR_ROLE = "argo-executor"
EXECUTOR = {  # https://argo-workflows.readthedocs.io/en/latest/workflow-rbac/
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
JOBSETS = {  # for the pod that creates the JobSet of a @parallel step
    "apiGroups": ["jobset.x-k8s.io"],
    "resources": ["jobsets"],
    "verbs": ["create", "get", "watch", "delete"],
}

AGENT = [  # for the pod in which Argo sends the requests of `notify`
    {"apiGroups": ["argoproj.io"], "resources": ["workflowtasksets"], "verbs": ["list", "watch"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflowtasksets/status"], "verbs": ["patch"]},
]


def accounts(
    names: Iterable[str], parallel: bool, role_name: str = EXECUTOR_ROLE
) -> list[dict[str, Any]]:
    """Return service accounts, with the rights that Argo's executor needs of them.

    `parallel` adds those that a @parallel step needs.
    """
    names = list(names)
    role = {"apiGroup": RBAC, "kind": "Role", "name": role_name}
    subjects = [{"kind": "ServiceAccount", "name": name} for name in names]
    rules = [EXECUTOR, JOBSETS] if parallel else [EXECUTOR]
    return [
        *(manifest("v1", "ServiceAccount", name) for name in names),
        manifest(f"{RBAC}/v1", "Role", role_name, rules=rules),
        manifest(f"{RBAC}/v1", "RoleBinding", role_name, roleRef=role, subjects=subjects),
    ]


def manifest(version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}
