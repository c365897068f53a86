"""What of [workflow] in k8s.toml cannot be deployed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..cluster.argo_fields import unknown_fields
from ..cluster.target import Target
from ..errors import Finding
from ..pods.argo_releases import SINCE, fields_of_some_releases, first_release
from ..project.api_types import snake_case
from ..project.environment_layer import where_written
from ..project.project import Project
from ..project.workflow_table import OF_OPTIONS, argo_fields
from ..show.progress import print_line


def limit_findings(
    file: str, workflow: Mapping[str, Any], options: Sequence[str]
) -> Iterator[Finding]:
    """Yield the fields that both [workflow] and options of create set."""
    for key, option in OF_OPTIONS.items():
        if key in workflow and any(each.startswith(option) for each in options):
            of_environment = "max_workers of the environment (or --max-workers)"
            given = of_environment if key == "parallelism" else f"the option {option}"
            what = f"{given} and {key} of [workflow] in {file} set the same limit"
            yield Finding("limit-given-twice", what, file, "keep one of them")


def release_findings(
    project: Project, workflow: Mapping[str, Any], target: Target
) -> Iterator[Finding]:
    """Yield which fields of [workflow] the cluster's Argo does not have.

    Print a line for each where it cannot be told.
    """
    in_some = fields_of_some_releases(argo_fields(workflow))
    unknown = unknown_fields(target, workflow)
    for field, remedy in in_some.items():
        where = where_written(project, "workflow")
        what = f"{snake_case(field)} of [workflow] in {where}"
        if unknown is None and field in SINCE:
            print_line(
                f"{what}: this cluster does not say whether its Argo Workflows has it; one before"
                f" {first_release(field)} ignores it"
            )
        elif field in (unknown or ()):
            lacks = f"{what}: the Argo Workflows of this cluster has no {field}"
            yield Finding("workflow-field-unsupported", lacks, where, remedy)
