"""Asks a cluster whether its Argo Workflows has a field that k8s.toml uses."""

from typing import Any

from ..pods.read_pods import PENDING_TIMEOUT
from .api import ARGO, explain_errors, reason_given
from .target import Target

FIELD, NO_FIELD = "pendingTimeout", "noSuchField"
PROBE = {  # of which the server keeps nothing
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "mf-k8s-probe"},
    "spec": {"templates": [{"name": "a", FIELD: "1h", NO_FIELD: "", "container": {"image": "a"}}]},
}


def knows_pending_timeout(target: Target) -> bool | None:
    """Return whether Argo's definitions on the cluster have the field pendingTimeout.

    None where they do not say which fields there are, as Argo 3 installs them, or where the user
    may not try to write a WorkflowTemplate: a dry run is refused with all fields it does not know.
    """
    from kubernetes.client import ApiException

    path = f"{ARGO}/{target.namespace}/workflowtemplates"
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    with explain_errors("ask which fields Argo Workflows has"):
        try:
            target.ask("POST", path, PROBE, query)
        except ApiException as error:
            if error.status in (401, 500, 502, 503, 504):
                raise
            refused = reason_given(error.body)
            return FIELD not in refused if NO_FIELD in refused else None
    return None


def as_kind_can(config: dict[str, Any], target: Target) -> dict[str, Any]:
    """Return k8s.toml for a cluster: on kind without pending_timeout where its Argo is older.

    There a pod that cannot start ends `kind test` anyway.
    """
    workflow = config.get("workflow", {})
    if target.environment.name != "kind" or PENDING_TIMEOUT not in workflow:
        return config
    if knows_pending_timeout(target) is True:
        return config
    rest = {key: value for key, value in workflow.items() if key != PENDING_TIMEOUT}
    return {**config, "workflow": rest}
