"""Which steps of a flow one run may have at work at once, because they are branches of a split."""

import itertools
import re
from collections.abc import Mapping

from .read_pods import Manifest, raw_pods
from .side_by_side import tasks_of


def branches(workflow_template: Manifest) -> set[frozenset[str]]:
    """Return the pairs of pods, by the names of raw_pods, that no task puts one behind the other.

    A task with a condition is left out: of the branches of a switch, one runs.
    """
    spec = workflow_template["spec"]
    templates = {part["name"]: part for part in spec["templates"]}
    pods = {
        name: [*raw_pods({"spec": {**spec, "templates": [part]}})]
        for name, part in templates.items()
    }
    found: set[frozenset[str]] = set()
    for part in templates.values():
        tasks = {task["name"]: task for task in tasks_of(part)}
        before = ancestors(tasks)
        for one, other in itertools.combinations(tasks, 2):
            if one in before[other] or other in before[one]:
                continue
            if tasks[one].get("when") or tasks[other].get("when"):
                continue
            made = [pods.get(tasks[name].get("template", ""), ()) for name in (one, other)]
            found |= {frozenset(pair) for pair in itertools.product(*made)}
    return found


def ancestors(tasks: Mapping[str, Manifest]) -> dict[str, set[str]]:
    """Return of each task of a graph which must have ended before it starts."""
    found: dict[str, set[str]] = {}

    def of(name: str) -> set[str]:
        if name not in found:
            found[name] = set()  # a graph has no circles
            task = tasks[name]
            text = " ".join([task.get("depends") or "", *(task.get("dependencies") or ())])
            direct = {word for word in re.findall(r"[\w-]+", text) if word in tasks}
            found[name] = direct.union(*(of(each) for each in direct))
        return found[name]

    for name in tasks:
        of(name)
    return found
