"""Says why pods have failed and what to do, from their manifests and the ends of their logs."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .read_pods import Manifest, step_name

LOG_LINES = 20  # lines of a log without a traceback
NOISE = (  # of Metaflow, of the shell that starts it, and of Argo's executor
    r"\[save_logs\] |\S*bash: line \d+: +\d+ Killed |time=\S+ level=\w+ msg=.* argo=true"
    r"|Error: exit status \d+$"
)
METAFLOW = "/.mf_code/metaflow/"  # where its code is in a pod
TRACEBACK = "Traceback (most recent call last):"
MORE_MEMORY = (
    "it asked for memory {memory}{limit}; give it more, by memory in k8s.toml or by @k8s(memory=…)"
    " on the step"
)
# A pattern of how a pod ended and what it printed, and what to do; the first that fits counts.
RULES = (
    (r"\AOOMKilled|\nMemoryError|ran out of memory", f"out of memory: {MORE_MEMORY}"),
    (r"\A\S* exit code 137", f"killed, most likely because it was out of memory: {MORE_MEMORY}"),
    (
        r"ModuleNotFoundError: No module named '([^'.]+)",
        "its image {image} has no module {0}: `uv add` the package that has it, and use an image"
        " with it: `uv run k8s kind up` builds one where there is a Dockerfile; a module of the"
        " project belongs in src/",
    ),
    (
        r"""(?:<frozen os>|/os\.py)", line \d+, in __getitem__\n(?: .*\n)*KeyError: '(.+?)'""",
        "the pod has no variable {0}: a key of one of its secrets ({secrets}) or @environment must"
        " give it; on kind, [secrets.NAME] of tests/kind.toml gives a Secret values",
    ),
    (
        r"(?i)no nvidia driver|no cuda|not compiled with cuda|cuda_error_no_device|libcuda\.so"
        r"|cuda driver version is insufficient|no hip gpus",
        "no GPU can be used: it asked for {gpus}, and kind only counts GPUs; elsewhere the node's"
        " driver, or CUDA in the image, may be missing. Use the GPU where there is one, or skip the"
        " flow in tests/kind.toml",
    ),
    (
        r"FileNotFoundError: \[Errno 2\].*: '(.+?)'",
        "the pod has no file {0}: pods get a flow's Python files and no data; README.md says how to"
        " send some",
    ),
    (
        r"exec format error",
        "its image {image} is for another processor than the node's: build it for that platform",
    ),
    (
        r"\ADeadlineExceeded",
        "it ran for longer than its @timeout, or than Metaflow's limit of 5 days",
    ),
    (r"\AEvicted: (.*)", "its node put it out: {0}"),
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
        if words := advise(pod, log):
            advice.append(f"{step}: {words}")
    return [*texts, *advice]


def advise(pod: Manifest, log: str) -> str:
    """Return what to do about a failed pod; empty if no rule fits."""
    text = f"{how_it_ended(pod)}\n{log}"
    for pattern, words in RULES:
        if found := re.search(pattern, text):
            return words.format(*found.groups(), **asked_for(pod))
    return ""


def how_it_ended(pod: Manifest) -> str:
    """Return why a pod failed, like `OOMKilled, exit code 137` or `Evicted: …`."""
    status, end = pod["status"], terminated(pod)
    if status.get("reason"):  # the kubelet's: Evicted, DeadlineExceeded
        return f"{status['reason']}: {status.get('message', '')}"
    return f"{end.get('reason', 'Error')}, exit code {end.get('exitCode', 'unknown')}"


def terminated(pod: Manifest) -> dict[str, Any]:
    """Return the end of the container that runs Metaflow; empty if it has not ended."""
    statuses = pod["status"].get("containerStatuses", [])
    main = [status for status in statuses if status["name"] == "main"] or statuses[:1]
    state: dict[str, Any] = main[0]["state"] if main else {}
    return dict(state.get("terminated") or {})


def asked_for(pod: Manifest) -> dict[str, str]:
    """Return what a pod asked for, in the words of the rules."""
    containers = pod["spec"]["containers"]
    main = next((item for item in containers if item["name"] == "main"), containers[0])
    requests, limits = (main.get("resources", {}).get(key, {}) for key in ("requests", "limits"))
    sources = [source.get("secretRef", {}).get("name") for source in main.get("envFrom", ())]
    gpus = [f"{name}: {count}" for name, count in limits.items() if "/" in name]
    limit = limits.get("memory")
    return {
        "memory": requests.get("memory", "of any size"),
        "limit": f", its limit is {limit}" if limit else " and has no limit but the node's memory",
        "image": main["image"],
        "secrets": ", ".join(filter(None, sources)) or "none",
        "gpus": ", ".join(gpus) or "none",
    }


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
