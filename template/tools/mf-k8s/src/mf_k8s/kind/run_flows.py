"""Runs a flow on the development cluster, by `run --with kubernetes` or on Argo Workflows."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cluster.api import ARGO
from ..cluster.pod_states import list_pods
from ..cluster.target import Target
from ..deploy.create import deploy_flows
from ..errors import CommandError, Finding
from ..metaflow.compile_flows import CompiledFile
from ..pods.failure_rules import failed_pods
from ..pods.read_pods import Manifest, step_name
from ..pods.workflow_reasons import not_taken_up, why_steps, why_workflow
from ..project.project import Project
from .cluster import Cluster
from .failed_pods import explain_failed_pods
from .stuck_runs import RunWatch, pods_and_jobs

MOST_TRIGGERS = 5  # until Argo has seen what was deployed
TAKE_UP_TIMEOUT_S = 60  # in which Argo gives a new workflow a status
END_TIMEOUT_S = 20  # in which a run that is given up ends
LOG_LINES = 30


@dataclass(frozen=True)
class FlowRun:
    """One run of a compiled flow on the cluster, and the files it writes in .kind/logs."""

    project: Project
    cluster: Cluster
    target: Target
    compiled: CompiledFile
    parameters: Sequence[str]
    name: str  # of the files: two flows may have one file name, in different folders

    @property
    def log(self) -> Path:
        return self.cluster.folder / "logs" / f"{self.name}.log"

    @property
    def id_file(self) -> Path:
        return self.log.with_suffix(".id")

    @property
    def flow_command(self) -> list[str]:
        return [sys.executable, str(self.compiled.file), "--no-pylint", *self.compiled.options]

    @property
    def flow_name(self) -> str:
        assert self.compiled.flow
        return self.compiled.flow["name"]

    def run_command(
        self, *command: str, timeout: float | None = None
    ) -> "subprocess.CompletedProcess[bytes]":
        """Return what came of one of Metaflow's commands for this flow."""
        return subprocess.run(
            [*self.flow_command, *command],
            capture_output=True,
            cwd=self.project.root,
            env=self.target.variables,
            timeout=timeout,
        )

    def watch(self) -> RunWatch:
        """Return a watch of what the cluster makes from now on; call it before the run starts."""
        self.log.parent.mkdir(exist_ok=True)
        return RunWatch(self.target, self.flow_name, set(pods_and_jobs(self.target)))

    def last_lines(self) -> str:
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:])


def run_with_kubernetes(run: FlowRun) -> str:
    """Run a flow with a pod for each step, and return the run's ID.

    Raise CommandError with its last lines if it fails, or with what a pod lacks to start.
    """
    watch = run.watch()
    options = ["run", "--with", "kubernetes", "--run-id-file", str(run.id_file), *run.parameters]
    with open(run.log, "wb") as log:
        process = subprocess.Popen(
            [*run.flow_command, *options],
            stdout=log,
            stderr=log,
            cwd=run.project.root,
            env=run.target.variables,
            start_new_session=True,
        )
    try:
        exit_code = watch.until_end(process.poll)
    except BaseException:
        end_with_tasks(process)
        delete_jobs(run, watch)
        raise
    if exit_code:
        own = watch.own_objects(pods_and_jobs(run.target)).values()
        failed = explain_failed_pods(run.cluster, run.target.namespace, own)
        raise run_failed(failed or run.last_lines())
    return run.id_file.read_text(encoding="utf-8")


def run_failed(printed: str) -> CommandError:
    return CommandError(Finding("run-failed", printed))


def end_with_tasks(process: "subprocess.Popen[bytes]") -> None:
    """End a run and its tasks, which wait for their pods."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, how)
            process.wait(END_TIMEOUT_S)
            return


def delete_jobs(run: FlowRun, watch: RunWatch) -> None:
    """Delete the Jobs of a run that was given up: their pods would go on."""
    own = watch.own_objects(pods_and_jobs(run.target))
    jobs = [name for name, pod_or_job in own.items() if pod_or_job["status"].get("active")]
    if jobs:
        run.cluster.kubectl(
            "delete", "jobs", "-n", run.target.namespace, "--ignore-not-found", *jobs
        )


def run_on_argo(run: FlowRun) -> str:
    """Deploy and trigger a flow, and return the run's ID.

    Raise CommandError with the reason if it fails, or with what a pod lacks to start.
    """
    watch = run.watch()
    (template,) = deploy_flows(run.project, [run.compiled], run.target)
    prepare_for_test(run, template)
    for _ in range(MOST_TRIGGERS):
        name = trigger(run)
        try:
            workflow = watch.until_end(WorkflowEnd(run.target, name))
        except BaseException:
            terminate = ["argo-workflows", "terminate", f"argo-{name}"]
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.run_command(*terminate, timeout=60)
            raise
        # Argo may not have seen yet what was deployed: argoproj/argo-workflows#14615
        if "workflowtemplates.argoproj.io" not in workflow["status"].get("message", ""):
            break
        time.sleep(2)
    if workflow["status"]["phase"] != "Succeeded":
        raise run_failed(workflow_failure(run, workflow))
    return f"argo-{name}"


def prepare_for_test(run: FlowRun, template: Manifest) -> None:
    """Delete the schedule of a deployed flow, and keep its pods until they have been compared.

    The schedule would start the flow again and again, and without the parameters of a test.
    """
    name, where = template["metadata"]["name"], ("--namespace", run.target.namespace)
    run.cluster.kubectl("delete", "cronworkflow", name, *where, "--ignore-not-found")
    if "podGC" in template["spec"]:
        patch = ("--type=merge", "--patch", '{"spec": {"podGC": null}}')
        run.cluster.kubectl("patch", "workflowtemplate", name, *where, *patch)


def trigger(run: FlowRun) -> str:
    """Trigger a deployed flow, and return the name of the Workflow."""
    options = ["argo-workflows", "trigger", "--run-id-file", str(run.id_file), *run.parameters]
    done = run.run_command(*options)
    run.log.write_bytes(done.stdout + done.stderr)
    if done.returncode:
        raise run_failed(run.last_lines())
    return run.id_file.read_text(encoding="utf-8").removeprefix("argo-")


class WorkflowEnd:
    """Returns a Workflow that has ended, or None while it runs.

    Raises CommandError if Argo does not start it.
    """

    def __init__(self, target: Target, name: str) -> None:
        self.path, self.name = f"{ARGO}/{target.namespace}/workflows", name
        self.target, self.started = target, time.monotonic()

    def __call__(self) -> Manifest | None:
        # it alone: those of former runs stay on the cluster, and each is large
        found = self.target.list(self.path, fieldSelector=f"metadata.name={self.name}")
        workflow: Manifest = found[0] if found else {"metadata": {"name": self.name}, "spec": {}}
        status = workflow.get("status") or {}
        if not status and time.monotonic() - self.started > TAKE_UP_TIMEOUT_S:
            reason = not_taken_up(self.name, self.target.namespace)
            what = f"{reason.what} in {TAKE_UP_TIMEOUT_S} s"
            raise CommandError(Finding("workflow-not-taken-up", what, self.name, reason.remedy))
        return workflow if status.get("finishedAt") else None


def workflow_failure(run: FlowRun, workflow: Manifest) -> str:
    """Return why a workflow failed: what its failed pods printed, and what Argo says of others."""
    name, status = workflow["metadata"]["name"], workflow["status"]
    pods = list_pods(run.target, f"workflows.argoproj.io/workflow={name}")
    explained = {step_name(pod) for pod in failed_pods(pods)}
    whole = why_workflow(workflow)
    lines = [str(whole)] if whole else []
    lines += [
        f"{step}: {reason}" for step, reason, *_ in why_steps(workflow) if step not in explained
    ]
    failed = explain_failed_pods(run.cluster, run.target.namespace, pods)
    return "\n".join([f"the workflow {name}: {status['phase']}", *lines, *filter(None, [failed])])
