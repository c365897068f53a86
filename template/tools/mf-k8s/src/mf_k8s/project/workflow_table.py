"""What [workflow] of k8s.toml may say: the fields of a WorkflowSpec that Metaflow does not set."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Finding
from .api_types import WORKFLOW_SPEC, Field, fields_of, spelled, table_findings

ALIASES = {"ttl_strategy": "ttl", "pod_priority_class_name": "priority_class"}  # shorter names
PENDING_TIMEOUT = "pending_timeout"  # a field of each template that is a pod, not of the workflow
POD_METADATA = "pod_metadata"
METADATA = (POD_METADATA, "workflow_metadata")  # which Metaflow sets, too: they are merged
METADATA_KINDS = ("labels", "annotations")
METAFLOW_NAMES = ("metaflow/", "app.kubernetes.io/name", "app.kubernetes.io/part-of", "mf-k8s/")
# Fields that options of Metaflow's create set, too.
OF_OPTIONS = {
    "active_deadline_seconds": "--workflow-timeout",
    "parallelism": "--max-workers",
    "priority": "--workflow-priority",
}
# Fields that Metaflow, or `deploy`, sets: what says it in a project.
SAID_ELSEWHERE = {
    "arguments": "give the flow Parameters",
    "entrypoint": "leave it out: it is the flow",
    "hooks": "write notify into environments/*.json, or @exit_hook above the flow",
    "image_pull_secrets": "write image_pull_secrets above the first [table]: every pod gets them",
    "node_selector": "write node_selector above the first [table]: every pod gets it",
    "on_exit": "write @exit_hook above the flow",
    "retry_strategy": "write @retry above the steps: Metaflow counts their attempts",
    "service_account_name": "write service_account above the first [table]: every pod gets it",
    "templates": "leave it out: they are the steps of the flow",
    "tolerations": "write tolerations above the first [table]: every pod gets them",
    "workflow_template_ref": "leave it out: the flow is deployed as a WorkflowTemplate",
}


def workflow_fields() -> dict[str, Field]:
    """Return the fields that [workflow] may have, by their names there."""
    fields = {ALIASES.get(key, key): field for key, field in fields_of(WORKFLOW_SPEC).items()}
    return fields | {PENDING_TIMEOUT: Field("pendingTimeout", "str")}


def own_names(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Return [workflow] with the shorter name of each field that has two."""
    return {ALIASES.get(key, key): value for key, value in workflow.items()}


def argo_fields(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Return [workflow] by Argo's names, in Argo's spelling; pendingTimeout is of templates."""
    fields, written = workflow_fields(), own_names(workflow)
    return {fields[key].name: argo_value(key, written[key]) for key in written}


def argo_value(key: str, value: Any) -> Any:
    """Return the value of a key of [workflow] in Argo's spelling."""
    return spelled(value, workflow_fields()[key].type)


def workflow_findings(workflow: Any, where: str) -> Iterator[Finding]:
    """Yield what is wrong with [workflow] in a file, or layer, that messages call `where`."""
    if not isinstance(workflow, dict):
        return  # which the schema refuses
    fields = workflow_fields()
    for key, value in workflow.items():
        path, alias = f"workflow.{key}", ALIASES.get(key)
        if key in SAID_ELSEWHERE:
            what = f"{where}: {path} is set by Metaflow or `k8s deploy`"
            yield Finding("field-of-metaflow", what, where, SAID_ELSEWHERE[key])
        elif alias and alias in workflow:
            what = f"{where}: {path} and workflow.{alias} are one field"
            yield Finding("field-given-twice", what, where, "keep one of them")
        else:
            yield from table_findings({alias or key: value}, fields, where, "workflow")
            if key in METADATA and isinstance(value, dict):
                yield from metaflow_names(value, where, path)


def metaflow_names(metadata: Mapping[str, Any], where: str, path: str) -> Iterator[Finding]:
    """Yield the labels and annotations that Metaflow, or `deploy`, sets itself."""
    for kind in METADATA_KINDS:
        table = metadata.get(kind)
        for name in table if isinstance(table, dict) else ():
            if name.startswith(METAFLOW_NAMES):
                what = f"{where}: {path}.{kind}.{name}: the name is Metaflow's own"
                yield Finding("name-of-metaflow", what, where, "use another name")
