"""What is deployed already: whose it is, and what a deploy changes of it."""

from collections.abc import Iterator, Mapping, Sequence

from ..cluster.api import ARGO
from ..cluster.target import Target
from ..errors import Finding
from ..plan.differences import Plan, differences, planned_settings
from ..pods.project_labels import IDENTITY, PROJECT, annotation, foreign_marks, marks
from ..pods.read_pods import Manifest
from ..project.project import Project
from ..show.progress import print_line


def deployed_templates(target: Target, namespace: str) -> dict[str, Manifest]:
    """Return the WorkflowTemplates of a namespace by their names."""
    listed = target.list(f"{ARGO}/{namespace}/workflowtemplates")
    return {manifest["metadata"]["name"]: manifest for manifest in listed}


def foreign_templates(
    project: Project, target: Target, templates: Sequence[Manifest]
) -> Iterator[Finding]:
    """Yield each WorkflowTemplate that would replace that of another project.

    Print a line for each that another user has deployed. Metaflow lets whoever has its production
    token replace it, and keeps the token on each machine that has deployed it.
    """
    namespace = templates[0]["metadata"]["namespace"]
    deployed = deployed_templates(target, namespace)
    for template in templates:
        name = template["metadata"]["name"]
        if name not in deployed:
            continue
        if foreign := foreign_marks(deployed[name], marks(project)):
            owner, remedy = other_project(project, foreign)
            what = f"WorkflowTemplate {name} in namespace {namespace} belongs to {owner}"
            yield Finding("template-of-another-project", what, f"WorkflowTemplate {name}", remedy)
        before, now = annotation(deployed[name], "owner"), annotation(template, "owner")
        if before and before != now:
            print_line(f"{name} was deployed by the user {before}; a deploy makes it {now}'s")


def other_project(project: Project, foreign: Mapping[str, str]) -> tuple[str, str]:
    """Return whose an object with these foreign marks is, and what to do."""
    remedy = "give this flow another class name, or"
    if PROJECT in foreign:
        return f"the project {foreign[PROJECT]}", f'{remedy} @project(name="{project.package}")'
    return f"another project of the name {project.name}", (
        f"{remedy} another name in @project; or, if the two are one, write"
        f" `mf_k8s_identity: {foreign[IDENTITY]}` into .copier-answers.yml"
    )


def change_by(template: Manifest, deployed: Mapping[str, Manifest]) -> Plan:
    """Return what a WorkflowTemplate would change of the deployed one of its name.

    `deployed` are all of its namespace, as `deployed_templates` returns them.
    """
    name = template["metadata"]["name"]
    old = {name: planned_settings(deployed[name])} if name in deployed else {}
    return differences(old, {name: planned_settings(template)}, "the cluster")
