"""Finds what some releases of Argo cannot run, as a plain `argo-workflows create` writes it.

What `deploy` writes runs on all of them: on 3.7 as on 4.
"""

from collections.abc import Iterator
from typing import Any

from .project_labels import annotation
from .read_pods import Manifest

Version = tuple[int, int, int]
SINCE: dict[str, Version] = {  # the first release that knows a field
    "schedules": (3, 6, 0),
    "semaphores": (3, 6, 0),
    "mutexes": (3, 6, 0),
    "addressingStyle": (4, 1, 0),
    "executorPlugins": (4, 1, 0),
    "pendingTimeout": (4, 1, 0),
    "podResources": (4, 1, 0),
    "resourceClaims": (4, 1, 0),
    "restartPolicyRules": (4, 1, 0),
    "saveStreamViaFile": (4, 1, 0),
}
GONE: dict[str, tuple[Version, str]] = {  # the first that has dropped it, and what to write
    "mutex": ((4, 0, 0), "mutexes, a list of tables"),
    "semaphore": ((4, 0, 0), "semaphores, a list of tables"),
}
OLDEST: Version = (3, 7, 0)  # that is supported


def fields_of_some_releases(item: Any) -> dict[str, str]:
    """Return the fields in an object that not every supported release has: by field, a remedy."""
    found = {}
    for field in fields_of(item):
        if SINCE.get(field, OLDEST) > OLDEST:
            found[field] = f"leave it out, or upgrade Argo there to {first_release(field)}"
        elif field in GONE:
            found[field] = f"write {GONE[field][1]}"
    return found


def first_release(field: str) -> str:
    return ".".join(map(str, SINCE[field][:2]))


def fields_of(value: Any) -> Iterator[str]:
    """Yield the names of all fields of an object that have a value, at any depth."""
    if isinstance(value, dict):
        for field, item in value.items():
            if item not in (None, [], {}):
                yield field
                yield from fields_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from fields_of(item)


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
