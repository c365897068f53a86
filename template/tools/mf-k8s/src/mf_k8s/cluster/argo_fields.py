"""Asks a cluster whether its Argo Workflows has the fields that [workflow] of k8s.toml sets."""

import re
from collections.abc import Mapping
from typing import Any

from ..pods.argo_releases import SINCE, fields_of_some_releases
from ..project.workflow_table import argo_fields
from .api import ARGO, explain_errors, reason_given
from .target import Target

NO_FIELD = "noSuchField"
UNKNOWN = re.compile(r'unknown field "[^"]*?(\w+)"')


def unknown_fields(target: Target, workflow: Mapping[str, Any]) -> set[str] | None:
    """Return the fields in [workflow], at any depth, that Argo's definitions there do not have.

    None where they do not say which fields there are, as Argo 3 installs them, or where the user
    may not try to write a WorkflowTemplate: a dry run is refused with all fields it does not know,
    and the server keeps nothing of it. Nothing is asked where each release has all of the fields.
    """
    from kubernetes.client import ApiException

    if not fields_of_some_releases(argo_fields(workflow)):
        return set()
    spec = argo_fields(workflow)
    template = {"name": "a", NO_FIELD: "", "container": {"image": "a"}}
    if timeout := spec.pop("pendingTimeout", None):
        template["pendingTimeout"] = timeout
    probe = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": "mf-k8s-probe"},
        "spec": {**spec, "templates": [template]},
    }
    path = f"{ARGO}/{target.namespace}/workflowtemplates"
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    with explain_errors("ask which fields Argo Workflows has"):
        try:
            target.ask("POST", path, probe, query)
        except ApiException as error:
            if error.status in (401, 500, 502, 503, 504):
                raise
            refused = {*UNKNOWN.findall(reason_given(error.body))}
            return refused - {NO_FIELD} if NO_FIELD in refused else None
    return None


def as_kind_can(config: dict[str, Any], target: Target) -> dict[str, Any]:
    """Return k8s.toml for a cluster: on kind without what its Argo does not have of [workflow].

    There a pod that cannot start ends `kind test` anyway.
    """
    workflow = config.get("workflow", {})
    in_some = fields_of_some_releases(argo_fields(workflow))
    if target.environment.name != "kind" or not in_some:
        return config
    unknown = unknown_fields(target, workflow)
    # Argo 3, whose definitions do not say it, has what Argo 4 dropped
    lacking = in_some.keys() & (SINCE.keys() if unknown is None else unknown)
    rest = {
        key: value
        for key, value in workflow.items()
        if not lacking & fields_of_some_releases(argo_fields({key: value})).keys()
    }
    return {**config, "workflow": rest}
