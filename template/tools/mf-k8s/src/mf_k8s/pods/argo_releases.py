"""Finds what some releases of Argo cannot run, as a plain `argo-workflows create` writes it.

What `deploy` writes runs on all of them: on 3.7 as on 4.
"""

from collections.abc import Iterator

from .project_labels import annotation
from .read_pods import Manifest


def release_problems(compiled: Manifest, completed: Manifest) -> Iterator[str]:
    """Yield a line for each part of a compiled WorkflowTemplate that some release cannot run.

    `completed` is what `deploy` makes of it.
    """
    if annotation(compiled, "cron"):
        yield (
            "Argo 4 refuses the schedule that a plain `argo-workflows create` writes, unless"
            " METAFLOW_ARGO_WORKFLOWS_USE_SCHEDULES=1 is set; `k8s deploy` sets it"
        )
    if joins := sorted(rewritten_tasks(compiled, completed)):
        yield (
            f"{', '.join(joins)}: by a plain `argo-workflows create`, this join waits forever for a"
            " skipped branch, on Argo 3.7.11, 4.0.2 and later; `k8s deploy` corrects it"
        )


def rewritten_tasks(compiled: Manifest, completed: Manifest) -> Iterator[str]:
    """Yield the names of the tasks whose arguments `deploy` changes."""
    for before, after in zip(tasks(compiled), tasks(completed), strict=True):
        if before.get("arguments") != after.get("arguments"):
            yield before["name"]


def tasks(template: Manifest) -> Iterator[Manifest]:
    """Yield the tasks of every graph in a WorkflowTemplate."""
    for part in template["spec"]["templates"]:
        yield from (part.get("dag") or {}).get("tasks", ())
