"""The pods that Argo Workflows makes of a WorkflowTemplate, whole."""

from typing import Any

from .argo_controller import Controller
from .read_pods import Manifest, raw_pods

OF_A_POD = ("serviceAccountName", "nodeSelector", "tolerations", "imagePullSecrets", "volumes")


def argo_pods(workflow_template: Manifest, controller: Controller) -> dict[str, dict[str, Any]]:
    """Return the whole Pods of a WorkflowTemplate, by the names of read_pods.raw_pods."""
    pods = {}
    for name, raw in raw_pods(workflow_template).items():
        spec = {key: raw.spec[key] for key in OF_A_POD if raw.spec.get(key)}
        container = {"name": "main", **raw.container}
        metadata = {"generateName": f"{name}-", **raw.metadata}
        pods[name] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {**spec, "containers": [container], "restartPolicy": "Never"},
        }
    return pods
