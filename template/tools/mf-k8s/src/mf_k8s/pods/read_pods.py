"""Reads the settings of pods: of a WorkflowTemplate's, and of those on a cluster.

A pod is a dictionary of settings, named as in k8s.toml. A setting that the pod does not have is not
in it.
"""

import json
import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from ..project.pod_table import POD
from ..project.workflow_table import METADATA, METADATA_KINDS, PENDING_TIMEOUT, workflow_fields
from .pod_fields import main_fields, part_of
from .read_container import read_resources, read_volumes
from .read_yaml import read_yaml
from .strategic_merge import POD as POD_KEYS
from .strategic_merge import strategic_merge

Pod = dict[str, Any]
Manifest = Mapping[str, Any]

# Settings that a pod takes from the WorkflowSpec where its own template has none.
INHERITED = {
    "service_account": "serviceAccountName",
    "node_selector": "nodeSelector",
    "tolerations": "tolerations",
    "image_pull_secrets": "imagePullSecrets",
}
WORKFLOW = "(workflow)"  # stands in a pod's place for what the whole workflow has
# Labels and annotations that Metaflow, Argo and `deploy` add to pods: names, and how names begin.
# Not mf-k8s/image-digest, which is in k8s.toml.
ADDED_NAMES = {"app.kubernetes.io/name", "app.kubernetes.io/part-of", "num_parallel"}
ADDED_NAMES |= {"mf-k8s/project", "mf-k8s/identity"}
ADDED_PREFIXES = ("metaflow/", "workflows.argoproj.io/", "task_id_")


def normalized(pod: Mapping[str, Any]) -> Pod:
    """Return a pod without the settings that it does not have, and with its lists sorted."""
    pod = {**pod, "service_account": pod.get("service_account") or "default"}
    by_json = partial(json.dumps, sort_keys=True)
    return {
        key: sorted(value, key=by_json) if isinstance(value, list) else value
        for key, value in pod.items()
        if value not in (None, [], {})
    }


def without_none(table: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (table or {}).items() if value is not None}


def step_name(template: Manifest) -> str | None:
    """Return the step that a template or pod runs, or None for a helper pod's.

    A template's own name is not the step's: it is `recursive-…` in a loop, with `-` for `_`.
    """
    annotations: dict[str, str] = (template.get("metadata") or {}).get("annotations") or {}
    name: str | None = annotations.get("metaflow/step_name")
    return name


def workflow_settings(workflow_template: Manifest) -> dict[str, Any]:
    """Return the settings of [workflow] that a WorkflowTemplate has, in Argo's spelling.

    Without the labels and annotations that Metaflow gives to the workflow and its pods.
    """
    spec, fields = workflow_template["spec"], workflow_fields()
    settings = {key: spec[field.name] for key, field in fields.items() if spec.get(field.name)}
    for key in METADATA:
        if own := without_added(settings.pop(key, {})):
            settings[key] = own
    timeouts = {template.get("pendingTimeout") for template in pod_templates(workflow_template)}
    if timeouts - {None}:
        settings[PENDING_TIMEOUT] = " and ".join(sorted(each or "none" for each in timeouts))
    return settings


def pod_templates(workflow_template: Manifest) -> list[dict[str, Any]]:
    """Return the templates of a WorkflowTemplate that are pods, and no graphs of others."""
    templates: list[dict[str, Any]] = workflow_template["spec"].get("templates") or []
    return [each for each in templates if each.get("container") or each.get("resource")]


class RawPod(NamedTuple):
    """A pod as Kubernetes gets it."""

    metadata: Manifest
    spec: Manifest  # with what Argo reads of a template, like retryStrategy
    container: Manifest  # the one that runs the step; empty for a pod that makes a JobSet


def workflow_pods(
    workflow_template: Manifest, expected: Mapping[str, Pod] = MappingProxyType({})
) -> dict[str, Pod]:
    """Return the pods of a WorkflowTemplate by their names (see expected_pods.expected_pods).

    Of the fields that [pod] can have, those that are `expected`.
    """
    return {
        name: read_pod(*raw, fields=expected.get(name, {}).get(POD))
        for name, raw in raw_pods(workflow_template).items()
    }


def raw_pods(workflow_template: Manifest) -> dict[str, RawPod]:
    """Return the pods of a WorkflowTemplate by their names, as Kubernetes gets them."""
    pods: dict[str, RawPod] = {}
    of_all = workflow_template["spec"].get("podMetadata") or {}
    for template in workflow_template["spec"]["templates"]:
        metadata = laid_over(template.get("metadata") or {}, of_all)
        spec = pod_spec(template, workflow_template["spec"])
        if container := template.get("container"):
            name = step_name(template) or template["name"]
            name = f"{name}, again" if name in pods else name
            container = strategic_merge(container, main_fields(spec), POD_KEYS)
            pods[name] = RawPod(metadata, spec, container)
        elif template.get("resource"):
            jobs = jobset_pods(template["resource"]["manifest"])
            for name, pod in jobs.items():
                retry = {"retryStrategy": template.get("retryStrategy")}
                pods[name] = pod._replace(spec={**pod.spec, **retry})
            step = next(iter(jobs)).partition("/")[0]
            pods[f"{step}/creator"] = RawPod(metadata, spec, {})
    return pods


def laid_over(metadata: Manifest, of_all: Manifest) -> dict[str, Any]:
    """Return the labels and annotations of a template with those of its workflow over them."""
    both = {kind: [metadata.get(kind) or {}, of_all.get(kind) or {}] for kind in METADATA_KINDS}
    return {**metadata} | {kind: own | common for kind, (own, common) in both.items()}


def jobset_pods(manifest: str) -> dict[str, RawPod]:
    """Return the pods of a JobSet, by `step/job`, from the text that Metaflow makes of it."""
    pods = {}
    for job in jobset_manifest(manifest)["spec"]["replicatedJobs"]:
        pod = job["template"]["spec"]["template"]
        raw = RawPod(pod["metadata"], pod["spec"], pod["spec"]["containers"][0])
        pods[f"{step_name(pod)}/{job['name']}"] = raw
    return pods


def jobset_manifest(text: str) -> Any:
    """Return a JobSet from the text in which Argo's expressions, {{=asInt(…)}}, are numbers."""
    return read_yaml(re.sub(r"\{\{=.*?\}\}", "1", text))


def pod_spec(template: Manifest, workflow_spec: Manifest) -> dict[str, Any]:
    """Return the part of a pod's specification that Argo makes of a template and its workflow."""
    fields = INHERITED.values()
    spec = dict(template) | {key: template.get(key) or workflow_spec.get(key) for key in fields}
    patch: dict[str, Any] = json.loads(template.get("podSpecPatch") or "{}")
    merged: dict[str, Any] = strategic_merge(spec, patch, POD_KEYS)
    return merged


def read_pod(
    metadata: Manifest, spec: Manifest, container: Manifest, fields: Manifest | None = None
) -> Pod:
    """Return the settings of one pod, from its metadata, specification and main container.

    `fields` are those beyond @kubernetes to look at; the specification has many of others.
    """
    pull_secrets = spec.get("imagePullSecrets") or ()
    sources = container.get("envFrom") or ()
    variables = {variable["name"]: variable.get("value") for variable in container.get("env") or ()}
    return normalized(
        {
            "image": container.get("image"),
            "image_pull_policy": container.get("imagePullPolicy"),
            "image_pull_secrets": sorted({secret["name"] for secret in pull_secrets}),
            "service_account": spec.get("serviceAccountName"),
            **read_resources(container.get("resources") or {}),
            **read_volumes(spec.get("volumes") or (), container.get("volumeMounts") or ()),
            "tmpfs_tempdir": variables.get("METAFLOW_TEMPDIR"),
            "secrets": [
                source["secretRef"]["name"] for source in sources if source.get("secretRef")
            ],
            "node_selector": spec.get("nodeSelector"),
            "tolerations": [
                without_none(toleration) for toleration in spec.get("tolerations") or ()
            ],
            "labels": metadata.get("labels"),
            "annotations": metadata.get("annotations"),
            "security_context": without_none(container.get("securityContext")),
            "port": [port["containerPort"] for port in container.get("ports") or ()],
            "timeout": spec.get("activeDeadlineSeconds"),
            POD: part_of(spec, fields or {}),
        }
    )


def without_added(pod: Mapping[str, Any]) -> Pod:
    """Return a pod, or metadata, without the labels and annotations that Metaflow and Argo add."""
    pod = dict(pod)
    for key in METADATA_KINDS:
        own = {
            name: value
            for name, value in (pod.pop(key, None) or {}).items()
            if name not in ADDED_NAMES and not name.startswith(ADDED_PREFIXES)
        }
        pod |= {key: own} if own else {}
    return pod
