"""Finds and deletes what a project has deployed, and does not deploy any more."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..cluster.api import ARGO
from ..cluster.target import Target
from ..cluster.write_or_undo import if_unchanged, write_all
from ..errors import CommandError
from ..metaflow.record_requests import Request
from ..pods.project_labels import PROJECT, annotation, foreign_marks, marks
from ..pods.read_pods import Manifest
from ..project.environments import branch_of
from ..project.project import Project


def find_obsolete(
    project: Project, target: Target, templates: Sequence[Manifest]
) -> list[dict[str, Any]]:
    """Return the CronWorkflows, Sensors and WorkflowTemplates that the project deploys no more.

    `templates` are the WorkflowTemplates of all its flows. A flow that is gone leaves such objects,
    and so does one that gets @project, or another name in it. Of flows with @project, only those of
    the same branch count: another branch may still have the flow. Objects without the project's
    label are never among them.
    """
    current = {template["metadata"]["name"] for template in templates}
    branches = {annotation(template, "branch_name") for template in templates}
    branches |= {branch_of(target.variables), ""}
    namespace = templates[0]["metadata"]["namespace"]
    sensors = target.configuration.setting("ARGO_EVENTS_SENSOR_NAMESPACE") or namespace
    deployed = labelled(project, target, namespace, "workflowtemplates")
    obsolete = [
        template
        for template in deployed
        if template["metadata"]["name"] not in current
        and annotation(template, "branch_name") in branches
    ]
    names = {template["metadata"]["name"] for template in obsolete}
    started = [
        starter
        for starter in [
            *labelled(project, target, namespace, "cronworkflows"),
            *labelled(project, target, sensors, "sensors"),
        ]
        if starter["metadata"]["name"] in names | {name.replace(".", "-") for name in names}
    ]
    return [*started, *obsolete]


def labelled(project: Project, target: Target, namespace: str, plural: str) -> list[dict[str, Any]]:
    """Return a namespace's objects of one kind that this project has deployed, with their kind."""
    kinds = {"workflowtemplates": "WorkflowTemplate", "cronworkflows": "CronWorkflow"}
    try:
        found = target.list(
            f"{ARGO}/{namespace}/{plural}", labelSelector=f"{PROJECT}={project.name}"
        )
    except CommandError as error:
        if plural == "sensors" and getattr(error.__cause__, "status", 0) == 404:
            return []  # few clusters have Argo Events
        raise
    own = [manifest for manifest in found if not foreign_marks(manifest, marks(project))]
    return [{"kind": kinds.get(plural, "Sensor"), **manifest} for manifest in own]


def object_name(manifest: Manifest) -> str:
    """Return how messages name an object, like `CronWorkflow trainflow`."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def delete_obsolete(target: Target, obsolete: Iterable[Manifest]) -> None:
    """Delete objects: all of them, or none."""
    requests: list[Request] = []
    for manifest in obsolete:
        group, _, version = manifest.get("apiVersion", "argoproj.io/v1alpha1").partition("/")
        plural = f"{manifest['kind'].lower()}s"
        where = {"group": group, "version": version, "plural": plural}
        metadata = {key: manifest["metadata"][key] for key in ("namespace", "name")}
        options = {"body": if_unchanged(manifest, plural)}
        requests.append(("delete_namespaced_custom_object", {**where, **metadata, **options}))
    write_all(target, requests)
