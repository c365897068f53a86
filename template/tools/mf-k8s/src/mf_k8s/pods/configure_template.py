"""Adds to a compiled WorkflowTemplate what Metaflow leaves out: what `deploy` writes."""

import copy
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..project.merge_settings import merge
from ..project.pod_table import POD
from ..project.workflow_table import (
    METADATA,
    METADATA_KINDS,
    PENDING_TIMEOUT,
    POD_METADATA,
    argo_fields,
    workflow_fields,
)
from .argo_templates import has_agent
from .edit_jobset import edit_jobset
from .lay_pod import lay_pods
from .read_pods import INHERITED, Manifest, pod_templates, step_name

CONDITIONAL_JOIN = "metaflow.plugins.argo.conditional_input_paths"  # in the command of its pod
TASK_ID = re.compile(r"\{\{tasks\.([\w-]+)\.outputs\.parameters\.task-id\}\}")
OR_SKIPPED = (
    r"{{=tasks['\1'].status == 'Succeeded'"
    r" ? get(get(get(tasks['\1'], 'outputs'), 'parameters'), 'task-id')"
    r" : '{' + '{skipped}' + '}'}}"
)


def configure_template(
    workflow_template: Manifest,
    shared: Mapping[str, Any],
    workflow: Mapping[str, Any],
    pods: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return a WorkflowTemplate in which every pod is configured by k8s.toml's `shared` settings.

    `workflow` is k8s.toml's [workflow], which it gets too, and `pods` has [pod] of each step, by
    its name. In it joins of conditional branches start on every Argo.

    Metaflow configures only the pods that run steps. What the whole workflow has, Argo gives to
    each pod whose template has none: hooks, the creators of JobSets, the agent of HTTP hooks
    (addSchedulingConstraints in argo-workflows' workflow/controller/workflowpod.go).
    """
    completed = let_conditional_joins_start(workflow_template)
    inherited = inherited_fields(shared)
    completed["spec"] |= inherited | workflow_spec_fields(workflow, completed["spec"])
    label_every_pod(completed["spec"], shared)
    label_gangs(completed["spec"], workflow.get(POD_METADATA) or {})
    for template in completed["spec"]["templates"]:
        correct_secrets(template.get("container") or {})
        if step_name(template):
            apply_removals(template, inherited)
    lay_pods(completed["spec"], shared.get(POD) or {}, pods)
    for template in pod_templates(completed):
        if PENDING_TIMEOUT in workflow:
            template["pendingTimeout"] = workflow[PENDING_TIMEOUT]
    return completed


def let_conditional_joins_start(workflow_template: Manifest) -> dict[str, Any]:
    """Return a WorkflowTemplate in which a join of conditional branches does not wait for ever.

    Metaflow refers to the outputs of every branch, also of those that are skipped. From Argo 3.7.11
    and 4.0.2 on, that leaves the join unscheduled (https://github.com/Netflix/metaflow/issues/3043).
    `get` of a skipped branch's outputs is nil instead, and Metaflow's conditional_input_paths drops
    what has {{ in it. A Metaflow that refers to outputs in another way is left as it is.
    """
    completed = copy.deepcopy(dict(workflow_template))
    templates = completed["spec"]["templates"]
    joins = {template["name"] for template in templates if CONDITIONAL_JOIN in json.dumps(template)}
    for template in templates:
        for task in (template.get("dag") or {}).get("tasks", ()):
            if task.get("template") in joins:
                for parameter in (task.get("arguments") or {}).get("parameters", ()):
                    branches = TASK_ID.findall(parameter.get("value") or "")
                    if len(branches) > 1:
                        parameter["value"] = TASK_ID.sub(OR_SKIPPED, parameter["value"])
    return completed


def inherited_fields(shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a WorkflowSpec that pods inherit where they have none of their own."""
    fields = {INHERITED[key]: shared[key] for key in INHERITED if shared.get(key)}
    if "imagePullSecrets" in fields:
        fields["imagePullSecrets"] = [{"name": name} for name in fields["imagePullSecrets"]]
    return fields


def label_every_pod(spec: dict[str, Any], shared: Mapping[str, Any]) -> None:
    """Add the shared labels and annotations to the pods that run no step, too.

    The agent of HTTP templates has no template of its own. It gets those that no step overrides,
    from the whole workflow: Argo lays these over a template's own (addPodMetadata in
    workflow/templateresolution/context.go).
    """
    templates = pod_templates({"spec": spec})
    for kind in METADATA_KINDS:
        values = dict(shared.get(kind) or {})
        for template in templates:
            if not step_name(template) and values:
                metadata = template["metadata"] = dict(template.get("metadata") or {})
                metadata[kind] = values | (metadata.get(kind) or {})
        for name, value in values.items() if has_agent(spec) else ():
            tables = [(template.get("metadata") or {}).get(kind) or {} for template in templates]
            if all(table.get(name) == value for table in tables):
                metadata = spec.setdefault("podMetadata", {})
                metadata[kind] = {name: value} | (metadata.get(kind) or {})


def label_gangs(spec: dict[str, Any], metadata: Manifest) -> None:
    """Add the workflow's labels and annotations to the pods of a gang, which JobSet makes."""

    def label(pod: dict[str, Any]) -> None:
        for kind in METADATA_KINDS:
            if values := metadata.get(kind):
                pod["metadata"][kind] = {**(pod["metadata"].get(kind) or {}), **values}

    for template in spec["templates"]:
        if resource := template.get("resource"):
            resource["manifest"] = edit_jobset(resource["manifest"], label)


def workflow_spec_fields(workflow: Mapping[str, Any], spec: Manifest) -> dict[str, Any]:
    """Return the fields of a WorkflowSpec that k8s.toml's [workflow] names.

    Labels and annotations are laid over those of Metaflow in `spec`.
    """
    found, fields = argo_fields(workflow), workflow_fields()
    found.pop(fields[PENDING_TIMEOUT].name, None)
    for name in (fields[key].name for key in METADATA):
        if name in found:
            found[name] = merge(spec.get(name) or {}, found[name])
    return found


def correct_secrets(container: dict[str, Any]) -> None:
    """Spell `envFrom` right: Metaflow's heartbeat pod has `env_from`, which Kubernetes ignores."""
    for source in container.pop("env_from", None) or ():
        secret = {"secretRef": {"name": source["secret_ref"]["name"]}}
        container["envFrom"] = [*container.get("envFrom", ()), secret]


def apply_removals(template: dict[str, Any], inherited: Mapping[str, Any]) -> None:
    """Keep a step from inheriting from the workflow what it removes with None.

    A null in a strategic merge patch removes the field.
    """
    template["serviceAccountName"] = template.get("serviceAccountName") or "default"
    patch = json.loads(template.get("podSpecPatch") or "{}")
    removed = [key for key in inherited if not template.get(key) and key not in patch]
    if removed:
        template["podSpecPatch"] = json.dumps(patch | dict.fromkeys(removed))
