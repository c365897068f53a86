"""The options of `k8s deploy`."""

from typing import Annotated

import typer

from ..check.live import check_live
from ..cluster_api import api_client
from ..compile_flows import compile_flows
from ..options import Debug, Env, apply_environment
from ..plan.differences import show_plan
from ..progress import stage
from ..project import find_project, shown_path
from .create import change_by, deploy_flows, must_match


def deploy(
    flows: Annotated[list[str], typer.Argument(help="Files, or flows by their names.")],
    env: Env = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Check flows, and deploy them to Argo Workflows.

    Every pod is checked before and after. Nothing is written unless all flows pass the check and
    the server accepts all of it.
    """
    project = find_project()
    apply_environment(project, env)
    with stage("compile") as compiling:
        compiled = list(compile_flows(project, project.flow_files(flows)))
        compiling.result = ", ".join(shown_path(flow.file) for flow in compiled)
    with stage("dry run" if dry_run else "deploy") as deploying:
        templates = deploy_flows(project, compiled, dry_run)
        names = [template["metadata"]["name"] for template in templates]
        namespace = templates[0]["metadata"]["namespace"]
        cluster = api_client().configuration.host
        deploying.result = f"{', '.join(names)} in namespace {namespace} of {cluster}"
    if dry_run:
        for template in templates:
            show_plan(change_by(template), markdown=False)
        return
    with stage("check --live") as checking:
        written = {f"WorkflowTemplate {name}" for name in names}
        reports = [
            report for report in check_live(project, compiled, run=None) if report.of in written
        ]
        must_match(reports)
        pods = sum(len(report.pods) for report in reports)
        checking.result = f"{pods} pods match k8s.toml"
