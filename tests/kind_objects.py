"""Pods and objects of a namespace, of which the tests make what kind needs."""

from typing import Any

GPU_NODE = {
    "node_selector": {"pool": "a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
}
PODS: list[dict[str, Any]] = [
    {"service_account": "metaflow", "image": "a:1", "cpu": "1.5", "memory": "4096M"},
    {"service_account": "metaflow", "cpu": "1", "gpu": {"amd.com/gpu": "3"}, **GPU_NODE},
    {"service_account": "other", "extended_resources": {"nvidia.com/mig-1g.5gb": "2"}},
    {
        "service_account": "metaflow",
        "tolerations": [{"operator": "Exists"}],
        "persistent_volume_claims": {"data": "/data"},
        "secrets": ["db", "kind-s3", "both"],
        "image_pull_secrets": ["regcred", "both"],
    },
    {"service_account": "metaflow", **GPU_NODE},
    {
        "service_account": "metaflow",
        "node_selector": {"pool": "shared"},
        "tolerations": [
            {"key": "team", "operator": "Equal", "value": "a", "effect": "NoExecute"},
            {"key": "team", "operator": "Equal", "value": "b", "effect": "NoExecute"},
        ],
    },
]


def present(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "uid": "1"}, **more}
