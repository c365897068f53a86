"""Writes flows to Argo Workflows: all of them or none, each pod configured."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..check.compare import check_flows
from ..check.live import check_live
from ..check.report import Report, show_reports
from ..cluster_api import ARGO, api_client, list_objects, refusals
from ..compile_flows import CompiledFlow
from ..config import read_toml, shared_settings
from ..errors import CommandError
from ..plan.differences import Plan, differences, planned_settings
from ..project import Project, shown_path
from ..read_pods import Manifest

Request = tuple[str, dict[str, Any]]  # a method of CustomObjectsApi, and its arguments


def deploy_flows(
    project: Project, compiled: Sequence[CompiledFlow], dry_run: bool = False
) -> list[dict[str, Any]]:
    """Write the WorkflowTemplate, CronWorkflow and Sensor of each flow.

    Return the WorkflowTemplates. Nothing is written unless all flows pass the check, Metaflow
    succeeds and the server accepts all of it in a dry run. With `dry_run` that is all, except that
    Metaflow uploads the code packages. Raise CommandError with the reason.
    """
    must_match(check_flows(project, compiled))
    requests = [request for flow in compiled for request in dry_run_create(project, flow)]
    templates = [of["body"] for _, of in requests if of["plural"] == "workflowtemplates"]
    must_match(check_live(project, compiled, run=None, templates=templates))
    if not dry_run:
        for method, request in requests:
            write(method, request)
    return templates


def dry_run_create(project: Project, flow: CompiledFlow) -> list[Request]:
    """Return what Metaflow would write of a flow, completed, once the server has tried it."""
    file = shown_path(flow.file)
    if not flow.flow:
        raise CommandError(f"{file} starts no flow, so there is nothing to deploy")
    shared = json.dumps(shared_settings(read_toml(project.config_file)))
    with tempfile.TemporaryDirectory() as folder:
        requests_file = Path(folder, "requests.json")
        script = [sys.executable, "-P", "-m", "mf_k8s.deploy.submit"]
        command = [*script, str(flow.file), str(requests_file), shared]
        done = subprocess.run(command, capture_output=True, text=True, cwd=project.root)
        if done.returncode:
            lines = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            raise CommandError(f"{file}: {' '.join(filter(None, lines[-4:]))}")
        requests: list[Request] = json.loads(requests_file.read_text())
        return requests


def write(method: str, request: dict[str, Any]) -> None:
    """Send a request to the cluster; raise CommandError if it is refused."""
    from kubernetes import client

    custom = client.CustomObjectsApi(api_client())
    with refusals(f"write {request['plural']} in namespace {request['namespace']}"):
        if method.startswith("replace") and request["plural"] == "cronworkflows":
            # Argo writes into it at each of its runs, so the dry run may have read an older one
            where = {key: value for key, value in request.items() if key != "body"}
            present = custom.get_namespaced_custom_object(**where)["metadata"]
            request["body"]["metadata"]["resourceVersion"] = present["resourceVersion"]
        getattr(custom, method)(**request)


def must_match(reports: Iterable[Report]) -> None:
    """Show the reports that do not match k8s.toml, and raise CommandError if there are any."""
    different = [report for report in reports if not report.matches]
    show_reports(different, markdown=False)
    for report in different:
        raise CommandError(report.error or f"{report.title} does not match k8s.toml")


def change_by(template: Manifest) -> Plan:
    """Return what a WorkflowTemplate would change of the deployed one of its name."""
    name, namespace = (template["metadata"][key] for key in ("name", "namespace"))
    path = f"{ARGO}/{namespace}/workflowtemplates"
    deployed = {one["metadata"]["name"]: one for one in list_objects(path)}
    old = {name: planned_settings(deployed[name])} if name in deployed else {}
    return differences(old, {name: planned_settings(template)}, "deployed")
