"""Why Metaflow's create has failed, by what it printed."""

import re

from ..errors import Finding
from ..project.environments import Environment

UNSET_EVENTS = re.compile(r"setting\s+(METAFLOW_ARGO_EVENTS_\w+)")  # in its _compile_sensor
DEPLOYED_BY = re.compile(r"deployed by the user (.+?)\.(?=\s|$)")  # in Metaflow's resolve_token


def reason_not_created(file: str, output: str, environment: Environment) -> Finding:
    """Return why Metaflow's create has failed."""
    if deployer := DEPLOYED_BY.search(output):
        setting, env = f"set METAFLOW_USER={deployer[1]}", ""
        if environment.name:
            setting = f'write "user": "{deployer[1]}" into {environment.file}'
            env = f" --env {environment.name}"
        return Finding(
            "deployed-by-another-user",
            f"it was deployed by {deployer[1]}, and Metaflow lets only that user, or a holder"
            " of its production token, deploy it again",
            file,
            f"{setting}, or give the token once,"
            f" `uv run k8s deploy {file}{env} -- --authorize TOKEN`",
        )
    if variable := UNSET_EVENTS.search(output):
        place = environment.file if environment.name else "Metaflow's configuration"
        remedy = (
            "write METAFLOW_ARGO_EVENTS_EVENT, _EVENT_SOURCE, _SERVICE_ACCOUNT and _WEBHOOK_URL"
            f" into {place}"
        )
        if environment.name:
            remedy += ', or "schedules": false, if nothing is to start flows there'
        return Finding("no-argo-events", f"@trigger needs {variable[1]}", file, remedy)
    return Finding("create-failed", last_lines(output), file)


def last_lines(output: str) -> str:
    """Return the last lines, or the error that Metaflow has announced in a line of its own."""
    lines = list(filter(None, map(str.strip, output.splitlines())))
    starts = [number for number, line in enumerate(lines) if line.endswith(" error:")]
    return " ".join(lines[starts[-1] if starts else -4 :])
