"""What starts a deployed flow by itself, as a WorkflowTemplate says."""

import json

from .project_labels import annotation
from .read_pods import Manifest

SCHEDULE, EVENTS = "schedule", "events"
A_SENSOR = "a Sensor"


def starters(workflow_template: Manifest) -> dict[str, str]:
    """Return the time of @schedule, as in cron, and that @trigger has a Sensor, where it has them.

    The names of events are left out: those of @trigger_on_finish have the branch of @project.
    """
    found = {}
    if cron := json.loads(annotation(workflow_template, "cron") or "{}"):
        found[SCHEDULE] = f"{cron['schedule']} {cron['tz'] or ''}".rstrip()
    if annotation(workflow_template, "triggers"):
        found[EVENTS] = A_SENSOR
    return found


def cron_text(cron_workflow: Manifest) -> str:
    """Return the time of a CronWorkflow as `starters` has it."""
    spec = cron_workflow["spec"]
    times = spec.get("schedules") or [spec.get("schedule") or ""]
    return " ".join([*times, spec.get("timezone") or ""]).rstrip()
