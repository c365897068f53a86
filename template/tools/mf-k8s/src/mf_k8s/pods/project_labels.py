"""Marks objects on a cluster with the project that deployed them, and reads the mark.

Two projects may have flows of one class name, and so WorkflowTemplates of one name. Two projects
may have one name, too, like the default one: they differ in their identity.
"""

from collections.abc import Mapping
from typing import Any

from ..project.project import Project
from .read_pods import Manifest

PROJECT, IDENTITY = "mf-k8s/project", "mf-k8s/identity"


def marks(project: Project) -> dict[str, str]:
    """Return the labels of what a project deploys: its name, and its identity if it has one."""
    labels = {PROJECT: project.name, IDENTITY: project.identity}
    return {label: value for label, value in labels.items() if value}


def mark(manifest: dict[str, Any], labels: Mapping[str, str]) -> None:
    """Add labels to an object, and to the pods of a WorkflowTemplate."""
    marked = [manifest["metadata"]]
    if manifest.get("kind") == "WorkflowTemplate":
        marked.append(manifest["spec"].setdefault("podMetadata", {}))
    for metadata in marked:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}


def foreign_marks(manifest: Manifest, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the marks on an object that differ from `labels`.

    One that is missing does not count, on either side: version 0.3.0 knew no identity.
    """
    found: dict[str, str] = manifest["metadata"].get("labels") or {}
    return {
        label: found[label]
        for label, own in labels.items()
        if found.get(label, own) not in ("", own)
    }


def is_own(manifest: Manifest, labels: Mapping[str, str], metaflow_project: str) -> bool:
    """Return whether no mark on an object names another project.

    The marks are the labels and Metaflow's annotation of @project; `metaflow_project` is the name
    in the flow's @project, or empty. Pods of `run --with kubernetes` have no labels.
    """
    found = annotation(manifest, "project_name") or metaflow_project
    return not foreign_marks(manifest, labels) and found == metaflow_project


def annotation(manifest: Manifest, name: str) -> str:
    """Return one of Metaflow's annotations, or an empty text."""
    annotations: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations.get(f"metaflow/{name}", "")
