"""Marks objects on a cluster with the project that deployed them, and reads the mark.

Two projects may have flows of one class name, and so WorkflowTemplates of one name.
"""

from typing import Any

from .project import Project
from .read_pods import Manifest

LABEL = "mf-k8s/project"


def mark(manifest: dict[str, Any], project: str) -> None:
    """Label an object, and the pods of a WorkflowTemplate, as a project's."""
    marked = [manifest["metadata"]]
    if manifest.get("kind") == "WorkflowTemplate":
        marked.append(manifest["spec"].setdefault("podMetadata", {}))
    for metadata in marked:
        metadata["labels"] = {**(metadata.get("labels") or {}), LABEL: project}


def owner(manifest: Manifest) -> str:
    """Return the project that deployed an object; empty for one that is not marked."""
    labels: dict[str, str] = manifest["metadata"].get("labels") or {}
    return labels.get(LABEL, "")


def is_own(manifest: Manifest, project: Project, metaflow_project: str) -> bool:
    """Return whether no mark on an object names another project.

    The marks are the label and Metaflow's annotation of @project; `metaflow_project` is the name
    in the flow's @project, or empty. Pods of `run --with kubernetes` have no label.
    """
    found = annotation(manifest, "project_name") or metaflow_project
    return owner(manifest) in ("", project.name) and found == metaflow_project


def annotation(manifest: Manifest, name: str) -> str:
    """Return one of Metaflow's annotations, or an empty text."""
    annotations: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations.get(f"metaflow/{name}", "")
