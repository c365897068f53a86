"""Says why pods have failed and what to do, from their manifests and the ends of their logs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .read_pods import Manifest, step_name
from .reasons import Reason, Rule, facts_of, first_reason
from .refusals import why_refused

LOG_LINES = 20  # lines of a log without a traceback
NOISE = (  # of Metaflow, of the shell that starts it, and of Argo's executor
    r"\[save_logs\] |\S*bash: line \d+: +\d+ Killed |time=\S+ level=\w+ msg=.* argo=true"
    r"|Error: exit status \d+$"
)
METAFLOW = "/.mf_code/metaflow/"  # where its code is in a pod
TRACEBACK = "Traceback (most recent call last):"
MEMORY = "it asked for memory {memory}{limit}"
MORE_MEMORY = "give it more, by memory in k8s.toml or by @k8s(memory=…) on the step"
# What a pod's end, `OOMKilled, exit code 137`, and then its log say; the first that fits counts.
RULES = (
    Rule(
        "out-of-memory",
        r"\AOOMKilled|\nMemoryError|ran out of memory",
        f"out of memory: {MEMORY}",
        MORE_MEMORY,
    ),
    Rule(
        "deadline",
        r"\ADeadlineExceeded|(?i:\A.*exceeded its deadline)|Max duration limit exceeded",
        "it ran for longer than its @timeout, or than Metaflow's limit of 5 days",
    ),
    Rule(
        "out-of-memory",
        r"\A\S* exit code 137",
        f"killed, most likely because it was out of memory: {MEMORY}",
        MORE_MEMORY,
    ),
    Rule(
        "module-missing",
        r"ModuleNotFoundError: No module named '(?P<module>[^'.]+)",
        "its image {image} has no module {module}",
        "`uv add` the package that has it, and use an image with it: `uv run k8s kind up` builds"
        " one where there is a Dockerfile; a module of the project belongs in src/",
    ),
    Rule(
        "variable-missing",
        r"""(?:<frozen os>|/os\.py)", line \d+, in __getitem__\n(?: .*\n)*"""
        r"""KeyError: '(?P<name>.+?)'""",
        "the pod has no variable {name}",
        "a key of one of its secrets ({secrets}) or @environment must give it; on kind,"
        " [secrets.NAME] of tests/kind.toml gives a Secret values",
    ),
    Rule(
        "gpu-unusable",
        r"(?i)no nvidia driver|no cuda|not compiled with cuda|cuda_error_no_device|libcuda\.so"
        r"|cuda driver version is insufficient|no hip gpus",
        "no GPU can be used",
        "it asked for {gpus}, and kind only counts GPUs; elsewhere the node's driver, or CUDA in"
        " the image, may be missing. Use the GPU where there is one, or skip the flow in"
        " tests/kind.toml",
    ),
    Rule(
        "file-missing",
        r"FileNotFoundError: \[Errno 2\].*: '(?P<file>.+?)'",
        "the pod has no file {file}",
        "pods get a flow's Python files and no data; README.md says how to send some",
    ),
    Rule(
        "image-platform",
        r"exec format error",
        "its image {image} is for another processor than the node's",
        "build it for that platform",
    ),
    Rule(
        "command-missing",
        r"exec: \\?\"(?P<program>[^\"\\]+)\\?\": (?:executable file not found|stat )",
        "its image {image} has no program {program}",
        "use an image that has it: Metaflow starts bash and python in it",
    ),
    Rule(
        "datastore-from-pod",
        r"NoCredentialsError|Unable to locate credentials|InvalidAccessKeyId"
        r"|SignatureDoesNotMatch|ExpiredToken|Could not automatically determine credentials",
        "it has no credentials for the datastore, or wrong ones",
        "its service account {account}, or one of its secrets ({secrets}), must give them",
    ),
    Rule(
        "datastore-from-pod",
        r"(?s)NoSuchBucket|bucket does not exist",
        "the datastore's bucket does not exist",
        "make it, or correct METAFLOW_DATASTORE_SYSROOT_… of the environment",
    ),
    Rule(
        "datastore-from-pod",
        r"AccessDenied|An error occurred \(403\)",
        "the datastore refuses it",
        "its service account {account}, or one of its secrets ({secrets}), must allow reading and"
        " writing there",
    ),
    Rule(
        "datastore-from-pod",
        r"Could not connect to the endpoint URL: \\?\"(?P<url>[^\"\\]+)",
        "it cannot reach the datastore at {url}",
        "correct METAFLOW_S3_ENDPOINT_URL of the environment, or the network of the pods",
    ),
    Rule(
        "evicted",
        r"\AEvicted: (?P<why>.*)",
        "its node put it out: {why}",
    ),
    Rule(
        "node-gone",
        r"\A(?:NodeLost|Shutdown|Terminated|NodeShutdown|Preempting|Preempted): (?P<why>.*)",
        "its node went away, or another pod took its place: {why}",
        "@retry starts it again on another node",
    ),
    Rule(
        "node-now",
        r"\A(?:OutOf\w+|UnexpectedAdmissionError|NodeAffinity): (?P<why>.*)",
        "its node did not take it in: {why}",
        "@retry starts it again",
        passes=True,
    ),
    Rule(
        "stopped",
        r"\A\S* exit code 143",
        "it was stopped from outside, as when its run or its pod is deleted",
    ),
)


def failed_pods(pods: Iterable[Manifest]) -> list[Manifest]:
    """Return the last failed pod of each step: others are its retries, or branches of a foreach."""
    in_order = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    failed = [pod for pod in in_order if pod["status"].get("phase") == "Failed"]
    return [*{step_name(pod) or pod["metadata"]["name"]: pod for pod in failed}.values()]


def explain_failures(pods: Iterable[Manifest], logs: Mapping[str, str]) -> list[str]:
    """Return what failed pods printed last, a text for each, then a line of advice on each.

    `logs` are the ends of their logs by the names of the pods.
    """
    texts, advice = [], []
    for pod in pods:
        name = pod["metadata"]["name"]
        log = logs.get(name) or str(terminated(pod).get("message", ""))
        step = step_name(pod) or name
        texts.append(f"{step}: {how_it_ended(pod)}\n{last_lines(log)}".rstrip())
        if reason := known_failure(pod, log):
            advice.append(f"{step}: {reason}")
    return [*texts, *advice]


def why_failed(pod: Manifest, log: str) -> Reason:
    """Return why a pod has failed, from its end and the end of its log."""
    how, name = how_it_ended(pod), pod["metadata"]["name"]
    namespace = pod["metadata"].get("namespace", "NAMESPACE")
    remedy = f"its log says more: `kubectl -n {namespace} logs {name} --all-containers`"
    return known_failure(pod, log) or Reason("step-failed", f"it failed: {how}", remedy)


def known_failure(pod: Manifest, log: str) -> Reason | None:
    """Return what a rule says of a failed pod, if one fits."""
    message, facts = str(terminated(pod).get("message", "")), facts_of(pod)
    text = "\n".join(filter(None, (how_it_ended(pod), message, log)))
    return why_refused(message, facts) or first_reason(RULES, text, facts)


def how_it_ended(pod: Manifest) -> str:
    """Return why a pod failed, like `OOMKilled, exit code 137` or `Evicted: …`."""
    status, end = pod["status"], terminated(pod)
    if status.get("reason"):  # the kubelet's: Evicted, DeadlineExceeded
        return f"{status['reason']}: {status.get('message', '')}"
    return f"{end.get('reason', 'Error')}, exit code {end.get('exitCode', 'unknown')}"


def terminated(pod: Manifest) -> dict[str, Any]:
    """Return the end of the container that failed, first of the one that runs Metaflow.

    It is empty if none has ended.
    """
    stages = ("containerStatuses", "initContainerStatuses")
    statuses = [status for stage in stages for status in pod["status"].get(stage) or ()]
    statuses.sort(key=lambda status: status["name"] != "main")
    ends = [(status.get("state") or {}).get("terminated") or {} for status in statuses]
    failed = [end for end in ends if end.get("exitCode")]
    return dict((failed or ends or [{}])[0])


def last_lines(log: str) -> str:
    """Return a log's last traceback without Metaflow's own frames, or its last lines."""
    lines = [line for line in log.splitlines() if line.strip() and not re.match(NOISE, line)]
    _, found, traceback = "\n".join(lines).rpartition(TRACEBACK)
    if not found:
        return "\n".join(lines[-LOG_LINES:])
    frames = re.split(r'\n(?=  File ")', traceback)
    of_metaflow = [number for number, frame in enumerate(frames) if METAFLOW in frame]
    own = frames[max(of_metaflow, default=0) + 1 :] or frames[1:]
    return "\n".join([TRACEBACK, *own])
