"""Works out which pods a place would get: by Metaflow's own create, without writing anything."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..check.compare import name_clashes
from ..cluster.target import Target
from ..cluster.view import NotAllowed, View
from ..deploy.create import create_flow, job_of_create
from ..errors import CommandError, Finding
from ..metaflow.compile_flows import EVENTS, CompiledFile, compile_flows, not_compiled
from ..metaflow.record_requests import Request
from ..pods.argo_controller import Controller
from ..pods.argo_pods import argo_pods
from ..pods.project_labels import annotation
from ..pods.read_pods import Manifest
from ..pods.side_by_side import side_by_side
from ..project.detect_secrets import ADDRESS_VARIABLES
from ..project.project import Project, shown_path
from .answers import FlowPod
from .examination import Examination
from .find_controller import find_controller

OFFLINE = "mf_k8s.metaflow.create_offline"
# In the place of what a rule asks for later, so that Metaflow makes the pods without it.
STAND_INS = {
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://doctor/metaflow",
    **{f"METAFLOW_ARGO_EVENTS_{name}": "none" for name in EVENTS},
}
ADDRESS = "METAFLOW_ARGO_WORKFLOWS_CREATE_NOTIFY_SLACK_WEBHOOK_URL"
NOWHERE = "https://example.com/"


def prepare(
    project: Project, target: Target, files: Sequence[Path], probe_pod: bool = False
) -> tuple[Examination, list[Finding]]:
    """Return what is to be examined, and which flows cannot be because they do not compile.

    Nothing is uploaded or written. Raise CommandError if the cluster does not answer.
    """
    view = View(target)
    controller_of(view)  # the flows are compiled only where the cluster answers
    requests, errors = requests_of(project, target, files)
    return examination(project, view, requests, files, probe_pod), errors


def examination(
    project: Project,
    view: View,
    requests: Sequence[Request],
    files: Sequence[Path],
    probe_pod: bool = False,
) -> Examination:
    """Return what is to be examined of flows, from what `deploy` would write."""
    controller = controller_of(view)
    case = Examination(project, view.target, view, (), requests, controller, files, probe_pod)
    return replace(case, pods=flow_pods(case.templates, controller or Controller()))


def controller_of(view: View) -> Controller | None:
    """Return Argo's controller; None where it is not found, or may not be, as rules say then."""
    try:
        return find_controller(view)
    except NotAllowed:
        return None


def requests_of(
    project: Project, target: Target, files: Sequence[Path]
) -> tuple[list[Request], list[Finding]]:
    """Return what `deploy` would write, and why flows are left out."""
    own = {key: value for key, value in target.configuration.settings.items() if value}
    own = {key: value for key, value in own.items() if isinstance(value, str)}
    variables = {**STAND_INS, **own, **with_address(target.variables)}
    compiled = list(compile_flows(project, files, variables))
    errors = [not_compiled(shown_path(flow.file), flow.error) for flow in compiled if flow.error]
    errors += name_clashes(project, compiled).values()
    place = target.with_variables(variables)
    job = job_of_create(project, target, upload=False)

    def create(flow: CompiledFile) -> Sequence[Request] | CommandError:
        try:
            return create_flow(project, flow, job, place, OFFLINE)
        except CommandError as error:
            return error

    requests: list[Request] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(create, [flow for flow in compiled if flow.template]):
            if isinstance(result, CommandError):
                errors += result.findings
            else:
                requests += result
    return requests, errors


def with_address(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return variables with an address of notifications, without which Metaflow makes no pods.

    The rule `notify` says whether the user's own is missing.
    """
    return variables if ADDRESS_VARIABLES & variables.keys() else {**variables, ADDRESS: NOWHERE}


def flow_pods(templates: Iterable[Manifest], controller: Controller) -> tuple[FlowPod, ...]:
    """Return the pods of WorkflowTemplates, with all that Argo adds to them."""
    pods = []
    for template in templates:
        counts, flow = side_by_side(template), annotation(template, "flow_name")
        for name, manifest in argo_pods(template, controller).items():
            pods.append(FlowPod(flow, name, manifest, counts.get(name, 1)))
    return tuple(pods)
