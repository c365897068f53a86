"""The options of `k8s deploy`."""

import sys
from typing import Annotated

import typer

from ..errors import raise_if
from .options import Debug, Env, Flows, wrong_options


def deploy(
    context: typer.Context,
    flows: Flows = None,
    env: Env = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change; the code is uploaded.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Also list deployed flows that the project no longer has."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: delete them.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Deploy even if pods could not run there.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Check flows, and deploy them to Argo Workflows.

    Every pod is checked before and after. Nothing is written unless all flows pass the check and
    the server accepts all of it. Where `k8s doctor` finds that a pod could not run there, it asks,
    or stops if nobody can answer.

    What follows -- goes to Metaflow's `argo-workflows create`, and --branch NAME or --production
    to @project: uv run k8s deploy train -- --tag=team:churn.
    """
    from ..check.live import check_live
    from ..cluster.target import argo_findings
    from ..cluster.user_rights import (
        OF_EACH_DEPLOY,
        OF_PRUNE,
        missing_rights,
        missing_rights_to_start,
    )
    from ..cluster.write_or_undo import write_all
    from ..deploy.already_deployed import change_by, deployed_templates
    from ..deploy.create import compile_to_deploy, files_to_deploy, report_findings, try_flows
    from ..deploy.datastore import datastore_asked
    from ..deploy.project_branch import with_options
    from ..deploy.prune import delete_obsolete, find_obsolete, object_name
    from ..doctor.before_deploy import diagnose, refusals
    from ..kind.find_target import find_target
    from ..metaflow.record_requests import workflow_templates
    from ..plan.differences import show_plan
    from ..pods.read_pods import WORKFLOW
    from ..project.project import find_project
    from ..show.progress import print_error, stage

    if prune and flows:
        raise wrong_options("--prune compares the cluster with all flows: name none")
    if yes and not prune:
        raise wrong_options("--yes needs --prune")
    project = find_project().at(env)
    target = find_target(project, env)
    files = files_to_deploy(project, flows or ())
    target = with_options(target, context.obj or ())
    with datastore_asked(project, files, target, project.root):
        raise_if(argo_findings(target))
        print(f"{'cluster':<16} {target}", flush=True)
        needed = [OF_EACH_DEPLOY, OF_PRUNE] if prune and yes else [OF_EACH_DEPLOY]
        raise_if(finding for rights in needed for finding in missing_rights(target, rights))
    compiled = compile_to_deploy(project, files, target)
    raise_if(missing_rights_to_start(target, compiled))
    with stage("dry run") as trying:
        requests = try_flows(project, compiled, target, keep_token=not dry_run)
        templates = workflow_templates(requests)
        names = [template["metadata"]["name"] for template in templates]
        where = f"{', '.join(names)} in namespace {target.namespace} of {target.cluster}"
        trying.result = where if dry_run else "the server accepts it"
    with stage("doctor") as examining:
        diagnosis = diagnose(project, target, requests, files)
        examining.result = str(diagnosis)
    diagnosis.print_problems()
    for finding in diagnosis.examined.errors:
        print_error(f"k8s: the doctor: {finding}")
    if dry_run:
        deployed = deployed_templates(target, templates[0]["metadata"]["namespace"])
        for template in templates:
            show_plan(change_by(template, deployed), False, ("on the cluster", "after a deploy"))
    else:
        if not (anyway or (diagnosis.lasting and wants("Deploy anyway?"))):
            raise_if(refusals(diagnosis, target.environment))
        with stage("deploy") as deploying:
            write_all(target, requests)
            deploying.result = where
        with stage("check --live") as checking:
            written = {f"WorkflowTemplate {name}" for name in names}
            live = check_live(project, compiled, target, run=None)
            reports = [report for report in live if report.of in written]
            raise_if(report_findings(reports))
            pods = sum(len(report.pods.keys() - {WORKFLOW}) for report in reports)
            checking.result = f"{pods} pods match k8s.toml"
    if prune:
        obsolete = find_obsolete(project, target, templates)
        if yes and not dry_run:
            delete_obsolete(target, obsolete)
        for found in obsolete:
            print(f"{'deleted' if yes and not dry_run else 'obsolete':<16} {object_name(found)}")
        if obsolete and not yes:
            print("to delete them, run the same command with --yes and without --dry-run")


def wants(question: str) -> bool:
    """Return whether somebody on a terminal says yes."""
    return sys.stdin.isatty() and typer.confirm(question)
