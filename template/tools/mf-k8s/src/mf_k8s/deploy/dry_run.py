"""Runs Metaflow's own `argo-workflows create` as a dry run, and keeps the requests that it makes.

A script, because a process can create one flow only (see compile_worker).
"""

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any, TypedDict

from ..cluster_api import TIMEOUT
from ..complete_template import complete_template
from ..ownership import mark

VERBS = ("create", "replace", "delete")


class Job(TypedDict):
    """What the script is given, as JSON."""

    file: str  # of the flow
    requests_file: str  # where the result goes
    project: str  # the name that all is marked with
    shared: dict[str, Any]  # the settings that all pods have in common
    workflow: dict[str, Any]  # [workflow] of k8s.toml
    options: list[str]  # before Metaflow's command
    create_options: list[str]  # behind it


def dry_run(job: Job) -> None:
    """Create a flow as a dry run, and write its requests to the job's file, as JSON.

    They are a list of [method of kubernetes.client.CustomObjectsApi, its arguments]. The server
    tries each and keeps nothing.
    """
    from kubernetes import client

    api: Any = client.CustomObjectsApi
    requests: list[tuple[str, dict[str, Any]]] = []

    def without_effect(verb: str, method: Any) -> Any:
        def send(this: Any, **request: Any) -> Any:
            if takes_schedule_away(request):
                del request["body"]
                return this.delete_namespaced_custom_object(**request)
            if "body" in request:
                if request["plural"] == "workflowtemplates":
                    request["body"] = complete_template(
                        request["body"], job["shared"], job["workflow"]
                    )
                mark(request["body"], job["project"])
            answer = method(this, **request, dry_run="All")
            requests.append((f"{verb}_namespaced_custom_object", request))
            return answer

        return send

    for verb in VERBS:
        name = f"{verb}_namespaced_custom_object"
        setattr(api, name, without_effect(verb, getattr(api, name)))
    bound_requests(client.rest.RESTClientObject)
    # The one key of a CronWorkflow that Argo 4 knows; Argo 3.6 and later know it too.
    os.environ["METAFLOW_ARGO_WORKFLOWS_USE_SCHEDULES"] = "1"
    create = ["argo-workflows", "create", *job["create_options"]]
    sys.argv = [job["file"], "--no-pylint", *job["options"], *create]
    sys.path.insert(0, str(Path(job["file"]).parent))
    try:
        runpy.run_path(job["file"], run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    Path(job["requests_file"]).write_text(json.dumps(requests))


def takes_schedule_away(request: dict[str, Any]) -> bool:
    """Return whether a request only suspends a CronWorkflow, because its flow has no @schedule.

    Metaflow leaves it with no schedule, which Argo 4.1 does not accept.
    """
    spec = request.get("body", {}).get("spec", {})
    suspended: bool = request["plural"] == "cronworkflows" and spec.get("suspend", False)
    return suspended and not spec.get("schedules")


def bound_requests(rest_client: Any) -> None:
    """Set a timeout on the requests of the Kubernetes library, which has none of its own."""
    request = rest_client.request

    def bounded(this: Any, *positional: Any, **named: Any) -> Any:
        named["_request_timeout"] = named.get("_request_timeout") or TIMEOUT
        return request(this, *positional, **named)

    rest_client.request = bounded


if __name__ == "__main__":
    dry_run(json.loads(sys.argv[1]))
