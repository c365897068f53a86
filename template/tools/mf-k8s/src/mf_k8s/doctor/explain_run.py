"""Says why a run is pending or has failed, in the words and codes of the rules."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ..cluster.pod_logs import end_of_log
from ..cluster.target import Target
from ..cluster.view import View
from ..errors import CommandError
from ..pods.failure_rules import how_it_ended, last_lines, why_failed
from ..pods.pending_reasons import why_pending, why_was_pending
from ..pods.project_labels import annotation
from ..pods.reasons import Reason
from ..pods.workflow_reasons import why_steps, why_workflow
from ..project.project import Project
from .answers import OK, PROBLEM, Answer, FlowPod, cannot_tell, ok, problem
from .examination import Examination
from .examine import answers_of
from .rules import all_rules
from .run_objects import RunObjects, flow_pod, last_tries, read_run

# Rules that know more of what a message is about, by the beginnings of their codes.
ASKED_AGAIN = ("node-", "claim-", "secret-", "pull-secret-", "account-exists", "priority-class")
NODE_ID = "workflows.argoproj.io/node-id"
PHASES = {"Running": "at work", "Succeeded": "ended well", "Pending": "starting"}


@dataclass
class Explained:
    """What came of asking about a run."""

    answers: list[Answer] = field(default_factory=list)
    phase: str = ""  # of Argo's Workflow; empty for a run without one
    pods: list[FlowPod] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)  # ends of the logs of failed pods, by pod


def explain_run(project: Project, target: Target, run: str) -> Explained:
    """Return why a run is pending or has failed; `run` is its ID.

    Raise CommandError if there is no such run, or if the cluster does not answer.
    """
    view = View(target)
    objects = read_run(project, view, run)
    explained = Explained()
    for right in objects.lacking:
        explained.answers.append(
            replace(cannot_tell(f"for want of the right to {right}"), code="run")
        )
    status = (objects.workflow or {}).get("status") or {}
    if status.get("phase") == "Succeeded":
        explained.answers.append(replace(ok(f"run {run} has ended well"), code="run"))
        return explained
    case = Examination(project, target, view)
    found = [
        *of_workflow(objects),
        *of_jobs(objects),
        *of_pods(case, objects, explained.logs),
        *of_steps(objects),
    ]
    explained.pods = [*dict.fromkeys(pod for answer in found for pod in answer.pods)]
    explained.answers += map(with_steps, grouped(found))
    explained.phase = status.get("phase", "")
    return explained


def of_workflow(objects: RunObjects) -> Iterator[Answer]:
    """Yield why the Workflow as a whole waits or has ended."""
    if objects.workflow:
        phases = {pod["status"].get("phase") for pod in objects.pods}
        at_work = bool(phases & {"Pending", "Running"})
        if reason := why_workflow(objects.workflow, at_work):
            yield answer(reason, ())


def of_steps(objects: RunObjects) -> Iterator[Answer]:
    """Yield what Argo says of steps that have no pod, or have none any more."""
    if objects.workflow:
        with_pod = {(pod["metadata"].get("annotations") or {}).get(NODE_ID) for pod in objects.pods}
        flow = annotation(objects.workflow, "flow_name")
        for step, reason, node, pod in why_steps(objects.workflow):
            if node.get("id") not in with_pod:
                cause = why_was_pending(pod, objects.events_of_node(node))
                if cause and reason.code == "pending-timeout":
                    reason = replace(cause, code=reason.code, what=f"{reason.what}: {cause.what}")
                yield answer(reason, [FlowPod(flow, step, pod)])


def of_jobs(objects: RunObjects) -> Iterator[Answer]:
    """Yield why Jobs of `run --with kubernetes` and of gangs have no pod."""
    for job in objects.jobs:
        template = {"metadata": {}, **job["spec"]["template"]}
        metadata = {**template["metadata"], "name": job["metadata"]["name"]}
        pod = flow_pod({**template, "metadata": metadata})
        if reason := why_pending(job, objects.events):
            yield answer(reason, [pod])


def of_pods(case: Examination, objects: RunObjects, logs: dict[str, str]) -> Iterator[Answer]:
    """Yield the state of each pod, and add the ends of the logs of those that have failed."""
    for manifest in last_tries(objects.pods):
        pod, phase = flow_pod(manifest), str(manifest["status"].get("phase"))
        if phase == "Failed":
            yield of_failed_pod(case, pod, logs)
        elif reason := why_pending(manifest, objects.events):
            yield asked_again(case, pod, reason) or answer(reason, [pod])
        else:
            yield replace(ok(PHASES.get(phase, phase.lower()), [pod]), code="run")


def of_failed_pod(case: Examination, pod: FlowPod, logs: dict[str, str]) -> Answer:
    log, name = "", str(pod)
    if name not in logs or not logs[name]:
        with contextlib.suppress(CommandError):  # who may not read logs learns how it ended
            log = end_of_log(case.target, pod.manifest)
        logs[name] = f"{how_it_ended(pod.manifest)}\n{last_lines(log)}".rstrip()
    return answer(why_failed(pod.manifest, log), [pod])


def asked_again(case: Examination, pod: FlowPod, reason: Reason) -> Answer | None:
    """Return what a rule says of a pod that waits for what the rule is about, if it finds it.

    Kubernetes' message counts nodes; the rule looks at them.
    """
    if not reason.code.startswith(ASKED_AGAIN):
        return None
    kin = reason.code.partition("-")[0]
    for code, rule in all_rules().items():
        if code == reason.code or (
            kin in ("node", "claim") and code.startswith(("node-", "claim-"))
        ):
            for found in answers_of(rule, replace(case, pods=(pod,))):
                if found.state == PROBLEM:
                    return replace(found, pods=(pod,))
    return None


def answer(reason: Reason, pods: Sequence[FlowPod]) -> Answer:
    found = problem(reason.what, pods, reason.remedy, reason.passes)
    return replace(found, code=reason.code)


def with_steps(found: Answer) -> Answer:
    """Return an answer that names the steps which are well, as a problem does by itself."""
    if found.state != OK or not found.pods:
        return found
    steps = ", ".join(dict.fromkeys(pod.name for pod in found.pods))
    return replace(found, what=f"{steps}: {found.what}")


def grouped(answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield answers, of which those that say the same of several pods are one."""
    by_text: dict[tuple[str, ...], list[Answer]] = {}
    for each in answers:
        by_text.setdefault((each.state, each.code, each.what), []).append(each)
    for first, *others in by_text.values():
        pods = dict.fromkeys(pod for each in (first, *others) for pod in each.pods)
        yield replace(first, pods=tuple(pods))
