"""Writes flows to Argo Workflows: all of them or none, each pod configured."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..check.compare import check_flows, name_clashes
from ..check.live import check_live
from ..check.print_reports import show_reports
from ..check.report import Report
from ..cluster.argo_fields import as_kind_can
from ..cluster.target import Target
from ..cluster.write_or_undo import write_all
from ..errors import CommandError, Finding, raise_if
from ..metaflow.compile_flows import USE_SCHEDULES, CompiledFile, compile_flows
from ..metaflow.read_defaults import read_metaflow_defaults
from ..metaflow.record_requests import Job, Request, workflow_templates
from ..pods.lay_pod import step_pods
from ..pods.metaflow_defaults import with_defaults
from ..pods.project_labels import marks
from ..pods.read_pods import Manifest
from ..programs.run import UTF_8
from ..project.environment_layer import merged_config
from ..project.flow_files import no_flow_started, starts_flow
from ..project.merge_settings import shared_settings
from ..project.project import Project, shown_path
from ..show.progress import print_line, stage
from .already_deployed import foreign_templates
from .datastore import datastore_findings
from .not_created import last_lines, reason_not_created
from .project_branch import branch_findings, same_name_findings
from .schedules import say_what_starts
from .workflow_findings import limit_findings, release_findings

SCRIPT = "mf_k8s.metaflow.create_on_server"
FOR_CREATE = {
    **USE_SCHEDULES,
    "PYTHONHASHSEED": "0",  # Metaflow puts parameters of events into sets
    **UTF_8,
}
CREATE_TIMEOUT_S = 600  # of Metaflow's create of a flow; more where it resolves packages


def deploy_flows(
    project: Project, compiled: Sequence[CompiledFile], target: Target
) -> list[dict[str, Any]]:
    """Write the objects of each flow, after `try_flows`, and return the WorkflowTemplates."""
    requests = try_flows(project, compiled, target)
    write_all(target, requests)
    return workflow_templates(requests)


def try_flows(
    project: Project, compiled: Sequence[CompiledFile], target: Target, keep_token: bool = True
) -> list[Request]:
    """Return what `write_all` is to write: all flows pass the check, and the server accepts it.

    Nothing is written, except that Metaflow uploads the code packages, and keeps its production
    token on this machine if `keep_token`. Raise CommandError with the reason.
    """
    requests = create_requests(project, compiled, target, SCRIPT, keep_token)
    templates = workflow_templates(requests)
    raise_if(foreign_templates(project, target, templates))
    check_templates(project, compiled, target, templates)
    return requests


def files_to_deploy(project: Project, names: Sequence[str]) -> list[Path]:
    """Return the files that `names` stand for, or every one of flows/ that starts a flow.

    Raise CommandError for a name that is not such a file, or if there is none.
    """
    files = project.flow_files(names)
    starting = [file for file in files if starts_flow(file)]
    if names or not starting:
        raise_if(no_flow_started(shown_path(file)) for file in files if file not in starting)
    if not starting:
        raise CommandError(project.no_flow)
    return starting


def compile_to_deploy(
    project: Project, files: Sequence[Path], target: Target
) -> list[CompiledFile]:
    """Return the flows of files, compiled.

    Raise CommandError if the environment does not say to which branch they go, lets another
    environment's flows be replaced, or has no datastore that pods can reach.
    """
    raise_if(datastore_findings(project, files, target))
    with stage("compile") as compiling:
        # Metaflow's create, whose template must match, gets no values of tests either
        compiled = list(compile_flows(project, files, target.variables))
        compiling.result = ", ".join(shown_path(flow.file) for flow in compiled)
    if target.environment.name != "kind":  # whose only user is kind
        branches = branch_findings(compiled, target)
        raise_if([*branches, *same_name_findings(project, compiled, target)])
    say_what_starts(compiled, target.environment)
    return compiled


def create_requests(
    project: Project,
    compiled: Sequence[CompiledFile],
    target: Target,
    script: str,
    keep_token: bool = False,
    upload: bool = True,
) -> list[Request]:
    """Return the requests by which Metaflow would write all flows, once all pass the check.

    Their objects are completed. `script` is a module that runs Metaflow's create for one flow, by
    record_requests, whose Job explains the other arguments.
    """
    on_server, file = script == SCRIPT, project.config_file.name
    job = job_of_create(project, target, keep_token, upload, on_server)
    raise_if(
        [
            *name_clashes(project, compiled).values(),
            *report_findings(check_flows(project, compiled)),
            *limit_findings(file, job.workflow, job.create_options),
            *(release_findings(project, job.workflow, target) if on_server else ()),
        ]
    )
    return [
        request for flow in compiled for request in create_flow(project, flow, job, target, script)
    ]


def job_of_create(
    project: Project,
    target: Target,
    keep_token: bool = False,
    upload: bool = True,
    on_server: bool = False,
) -> Job:
    """Return what the creates of all flows have in common; `on_server` asks what its Argo has."""
    # helper pods get what the company sets for all in Metaflow's configuration, too
    config = merged_config(project)
    config = as_kind_can(config, target) if on_server else config
    workflow, options = config.get("workflow", {}), target.environment.create_options
    defaults = read_metaflow_defaults(target.configuration, on_argo=True)
    shared = with_defaults(shared_settings(config), defaults)
    starts = target.environment.starts_flows
    labels = marks(project)
    return Job(labels, shared, workflow, options, {}, keep_token, upload, starts)


def create_flow(
    project: Project,
    flow: CompiledFile,
    job: Job,
    target: Target,
    script: str,
) -> list[Request]:
    """Return what Metaflow would write of a flow.

    `job` has the parts that all flows have in common.
    """
    file = shown_path(flow.file)
    if not flow.flow:
        raise CommandError(no_flow_started(file))
    with tempfile.TemporaryDirectory() as folder:
        requests_file = Path(folder, "requests.json")
        job = replace(
            job,
            pods=step_pods(merged_config(project), flow.flow),
            file=str(flow.file),
            requests_file=str(requests_file),
            options=flow.options,
        )
        command = [sys.executable, "-P", "-m", script, json.dumps(asdict(job))]
        resolves = any("--environment" in option for option in flow.options)
        limit = CREATE_TIMEOUT_S * 6 if resolves else CREATE_TIMEOUT_S
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                cwd=project.root,
                env={**target.variables, **FOR_CREATE},
                timeout=limit,
            )
        except subprocess.TimeoutExpired as late:
            output = b"".join(filter(None, (late.stdout, late.stderr))).decode(errors="replace")
            what = f"Metaflow's create did not end within {limit} seconds"
            last = last_lines(output) or "it printed nothing"
            raise CommandError(Finding("create-too-slow", f"{what}: {last}", file)) from None
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise CommandError(reason_not_created(file, output, target.environment))
        requests: list[Request] = json.loads(requests_file.read_text(encoding="utf-8"))
        if not requests:
            remedy = "leave out what only prints, like --help, behind --"
            what = "Metaflow's create has ended without writing anything"
            raise CommandError(Finding("nothing-created", what, file, remedy))
        return requests


def check_templates(
    project: Project,
    compiled: Sequence[CompiledFile],
    target: Target,
    templates: Sequence[Manifest],
) -> None:
    """Raise CommandError unless every pod of the WorkflowTemplates is as k8s.toml says.

    Print which settings Metaflow's own configuration gives.
    """
    reports = list(check_live(project, compiled, target, run=None, templates=templates))
    raise_if(report_findings(reports))
    for report in reports:
        for note in report.notes:
            print_line(f"{report.title}: {note}")


def report_findings(reports: Iterable[Report]) -> list[Finding]:
    """Show the reports in which something is wrong, and return what that is."""
    different = [report for report in reports if not report.matches]
    show_reports(different, markdown=False)
    return [
        report.error or Finding("flow-does-not-match", report.result, report.title)
        for report in different
    ]
