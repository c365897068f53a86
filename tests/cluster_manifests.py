"""Manifests as a cluster gives them, of which tests make simulated clusters."""

from typing import Any

from kinds_of_objects import Manifest

RBAC = "rbac.authorization.k8s.io"
EXECUTOR = {
    "apiGroups": ["argoproj.io"],
    "resources": ["workflowtaskresults"],
    "verbs": ["create", "patch"],
}
# What the ClusterRole `view` of Kubernetes lets read (its bootstrappolicy), with what Argo's
# install manifest adds to it. Not Secrets, Roles, nodes, volumes or anything of the whole cluster.
VIEW: Manifest = {
    "kind": "ClusterRole",
    "metadata": {"name": "view"},
    "rules": [
        {
            "apiGroups": [""],
            "resources": [
                "bindings", "configmaps", "endpoints", "events", "limitranges", "namespaces",
                "namespaces/status", "persistentvolumeclaims", "pods", "pods/log", "pods/status",
                "replicationcontrollers", "resourcequotas", "resourcequotas/status",
                "serviceaccounts", "services",
            ],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["apps"],
            "resources": ["daemonsets", "deployments", "replicasets", "statefulsets"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["batch", "policy"],
            "resources": ["cronjobs", "jobs", "poddisruptionbudgets"],
            "verbs": ["get", "list", "watch"],
        },
        {
            "apiGroups": ["argoproj.io"],
            "resources": [
                "workflows", "workfloweventbindings", "workflowtemplates",
                "clusterworkflowtemplates", "cronworkflows",
            ],
            "verbs": ["get", "list", "watch"],
        },
    ],
}  # fmt: skip


def manifest(kind: str, name: str, namespace: str = "", **more: Any) -> Manifest:
    where = {"namespace": namespace} if namespace else {}
    return {"kind": kind, "metadata": {"name": name, **where}, **more}


def in_namespace(role: Manifest, namespace: str) -> Manifest:
    """Return the Role that a RoleBinding to a ClusterRole amounts to."""
    return role | {"kind": "Role", "metadata": {"name": "viewer", "namespace": namespace}}


def node(name: str, *taints: str, **more: Any) -> Manifest:
    """Return a node of 8 CPUs, 32 GiB and 110 pods; `allocatable` and `labels` add to it.

    Taints are written like `nvidia.com/gpu=present:NoSchedule`.
    """
    allocatable = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    allocatable |= more.pop("allocatable", {})
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    } | more.pop("labels", {})
    spec: Manifest = {"taints": [taint(text) for text in taints]} if taints else {}
    status = {
        "allocatable": allocatable,
        "capacity": allocatable,
        "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"architecture": labels["kubernetes.io/arch"], "operatingSystem": "linux"},
    }
    found = manifest("Node", name, spec=spec | more, status=status)
    found["metadata"]["labels"] = labels
    return found


def taint(text: str) -> Manifest:
    key_and_value, _, effect = text.partition(":")
    key, _, value = key_and_value.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def pod(name: str, namespace: str = "default", on: str = "", **requests: str) -> Manifest:
    """Return a pod that runs on a node, or is pending without one; `cpu="2"` is what it asks."""
    container = {"name": "main", "image": "a:1", "resources": {"requests": requests}}
    spec: Manifest = {"containers": [container], "serviceAccountName": "default"}
    if on:
        spec["nodeName"] = on
    status = {"phase": "Running" if on else "Pending"}
    return manifest("Pod", name, namespace, spec=spec, status=status)


def claim(
    name: str, namespace: str = "default", mode: str = "ReadWriteMany", **status: Any
) -> Manifest:
    """Return a claim that is bound to a volume `pv-NAME`, unless `phase` says otherwise."""
    spec: Manifest = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
    status = {"phase": "Bound", **status}
    if status["phase"] == "Bound":
        spec["volumeName"] = f"pv-{name}"
    return manifest("PersistentVolumeClaim", name, namespace, spec=spec, status=status)


def account(name: str, namespace: str = "default", *rules: Manifest) -> list[Manifest]:
    """Return a service account with rights, and without any if no rule is given."""
    found = [manifest("ServiceAccount", name, namespace)]
    if rules:
        role = {"apiGroup": RBAC, "kind": "Role", "name": f"{name}-role"}
        subjects = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
        found += [
            manifest("Role", f"{name}-role", namespace, rules=[*rules]),
            manifest("RoleBinding", f"{name}-role", namespace, roleRef=role, subjects=subjects),
        ]
    return found


def argo(release: str = "v4.0.5", namespace: str = "argo", *args: str, **settings: str) -> Any:
    """Return Argo's definitions and controller, with arguments and settings of its ConfigMap."""
    container = {
        "name": "workflow-controller",
        "image": f"quay.io/argoproj/workflow-controller:{release}",
        "command": ["workflow-controller"],
        "args": [*args],
    }
    labels = {"app": "workflow-controller"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "serviceAccountName": "argo"},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    status = {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    plurals = (
        "clusterworkflowtemplates", "cronworkflows", "workflows", "workflowtaskresults",
        "workflowtasksets", "workflowtemplates",
    )  # fmt: skip
    return [
        *(manifest("CustomResourceDefinition", f"{name}.argoproj.io") for name in plurals),
        manifest("Namespace", namespace, status={"phase": "Active"}),
        manifest("Deployment", "workflow-controller", namespace, spec=spec, status=status),
        manifest("ConfigMap", "workflow-controller-configmap", namespace, data=settings),
    ]


def healthy(namespace: str = "default", service_account: str = "metaflow") -> list[Manifest]:
    """Return a cluster on which a flow of no claims, secrets and GPUs can run."""
    return [
        manifest("Namespace", namespace, status={"phase": "Active"}),
        *account(service_account, namespace, EXECUTOR),
        *argo(),
        node("node-1"),
        node("node-2"),
    ]
