"""Counts how many pods of a step one run may have at once."""

from .read_pods import Manifest, raw_pods

FAN_OUT = ("withItems", "withParam", "withSequence")  # a task with one of them runs many times
WORKERS = "/worker"  # of a @parallel step, whose number is known when the step before it ends


def side_by_side(workflow_template: Manifest) -> dict[str, int | None]:
    """Return how many of each pod of a WorkflowTemplate a run may have at once, by its name.

    None stands for a number that only the run knows: of a foreach, and of @parallel. Names are
    those of read_pods.raw_pods. What no graph reaches, like a hook, is 1.
    """
    spec = workflow_template["spec"]
    templates = {part["name"]: part for part in spec["templates"]}
    reached: set[tuple[str, bool]] = set()  # templates, and whether many of them run

    def visit(name: str, many: bool) -> None:
        if name in templates and (name, many) not in reached:
            reached.add((name, many))
            for task in tasks_of(templates[name]):
                visit(task.get("template", ""), many or any(task.get(key) for key in FAN_OUT))

    visit(spec.get("entrypoint", ""), many=False)
    counts: dict[str, int | None] = {}
    for name, part in templates.items():
        for pod in raw_pods({"spec": {**spec, "templates": [part]}}):
            many = (name, True) in reached or pod.endswith(WORKERS)
            counts[pod] = None if many or counts.get(pod, 1) is None else 1
    return counts


def tasks_of(template: Manifest) -> list[Manifest]:
    """Return the tasks of a graph, or of a list of steps; none of a template that makes a pod."""
    tasks = list((template.get("dag") or {}).get("tasks") or ())
    return tasks + [task for group in template.get("steps") or () for task in group]
