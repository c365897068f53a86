"""Runs Metaflow's own `argo-workflows create`, and keeps the requests that it makes.

For scripts: a process can create one flow only (see compile_worker).
"""

import json
import runpy
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..pods.configure_template import configure_template
from ..pods.project_labels import mark

Request = tuple[str, dict[str, Any]]  # a method of CustomObjectsApi, and its arguments
Send = Callable[..., Any]  # is given a method, the client that has it, and its arguments

VERBS = ("create", "replace", "delete")


@dataclass(frozen=True)
class Job:
    """What a script that creates a flow is given, as JSON."""

    labels: Mapping[str, str]  # that all is marked with
    shared: Mapping[str, Any]  # the settings that all pods have in common
    workflow: Mapping[str, Any]  # [workflow] of k8s.toml
    create_options: Sequence[str]  # behind Metaflow's command
    pods: Mapping[str, Any] = field(default_factory=dict)  # [pod] of each step
    keep_token: bool = False  # Metaflow's production token, on this machine: the flow is deployed
    upload: bool = True  # the code package
    starts: bool = True  # by @schedule and @trigger; else as if the flow had neither
    file: str = ""  # of the flow
    requests_file: str = ""  # where the result goes
    options: Sequence[str] = ()  # before Metaflow's command


def record_requests(job: Job, send: Send) -> None:
    """Create a flow with its objects completed, and write its requests to the job's file, as JSON.

    `send` is called for each, and what it returns is what Metaflow gets as the server's answer.
    """
    from kubernetes import client

    api: Any = client.CustomObjectsApi
    requests: list[Request] = []

    def instead_of(verb: str, method: Any) -> Any:
        def request(this: Any, **arguments: Any) -> Any:
            if removes_schedule(arguments):
                del arguments["body"]
                return this.delete_namespaced_custom_object(**arguments)
            if "body" in arguments:
                if arguments["plural"] == "workflowtemplates":
                    arguments["body"] = configure_template(
                        arguments["body"], job.shared, job.workflow, job.pods
                    )
                mark(arguments["body"], job.labels)
            answer = send(method, this, **arguments)
            requests.append((f"{verb}_namespaced_custom_object", arguments))
            return answer

        return request

    for verb in VERBS:
        name = f"{verb}_namespaced_custom_object"
        setattr(api, name, instead_of(verb, getattr(api, name)))
    if not job.starts:
        leave_out_starters()
    create = ["argo-workflows", "create", *job.create_options]
    sys.argv = [job.file, "--no-pylint", *job.options, *create]
    sys.path.insert(0, str(Path(job.file).parent))
    try:
        runpy.run_path(job.file, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    content = json.dumps(without_replaced_deletes(requests))
    Path(job.requests_file).write_text(content, encoding="utf-8")


def leave_out_starters() -> None:
    """Let Metaflow see no @schedule, @trigger and @trigger_on_finish.

    It then deletes the Sensor and suspends the CronWorkflow that are there from before.
    """
    from metaflow.plugins.argo import argo_workflows

    workflows: Any = argo_workflows.ArgoWorkflows
    workflows._get_schedule = lambda _: (None, None)
    workflows._process_triggers = lambda _: ([], None)


def without_replaced_deletes(requests: Sequence[Request]) -> list[Request]:
    """Return requests without those that delete an object which a later one writes.

    Metaflow deletes a Sensor that an older Metaflow wrote, and creates it anew
    (cleanup_previous_sensors in metaflow/plugins/argo/argo_workflows.py). A dry run deletes
    nothing, so Metaflow still finds the Sensor and replaces it, which needs no deletion.
    """
    return [
        (method, request)
        for index, (method, request) in enumerate(requests)
        if "body" in request
        or identity(request) not in [identity(later) for _, later in requests[index + 1 :]]
    ]


def identity(request: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return plural, namespace and name of what a request writes or deletes."""
    name = request.get("name") or request["body"]["metadata"]["name"]
    return request["plural"], request["namespace"], name


def workflow_templates(requests: Iterable[Request]) -> list[dict[str, Any]]:
    """Return the WorkflowTemplates that requests write."""
    return [
        request["body"]
        for _, request in requests
        if request["plural"] == "workflowtemplates" and "body" in request  # not one to delete
    ]


def without_nulls(value: Any) -> Any:
    """Return a value of JSON without the keys whose value is null, at any depth."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def removes_schedule(request: dict[str, Any]) -> bool:
    """Return whether a request only suspends a CronWorkflow: its flow has no @schedule.

    Metaflow leaves it without a schedule, which Argo 4 does not accept: so it is deleted instead.
    """
    spec = request.get("body", {}).get("spec", {})
    suspended: bool = request["plural"] == "cronworkflows" and spec.get("suspend", False)
    return suspended and not spec.get("schedules")
