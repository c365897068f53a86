"""Runs flows on the development cluster, by `run --with kubernetes` and on Argo Workflows."""

import contextlib
import datetime
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer

from ..settings import validate
from . import ROOT, Problem, kind
from .check import find_flows
from .compile import compile_flows
from .deploy import deploy, must_be_equal
from .expect import read_config
from .live import ARGO, OF_METAFLOW, annotation, check_live, get
from .progress import part
from .waiting import events, lacking

PATIENCE = 40  # seconds for which a pod may lack something before the run is given up
QUEUE = 600  # the same for room on a node while other pods are at work
SIDE_BY_SIDE = 2  # flows; most of the time of each is waiting
EVERY = 10  # seconds between two lines of progress
SETTINGS = ROOT / "tests" / "kind.toml"
TEXT = {"type": "string", "description": "A text."}  # these are in the words of k8s.schema.json
TEXTS = {"type": "array", "items": TEXT, "description": 'A list of texts, like ["--alpha=2"].'}
OF_A_FLOW = {
    "type": "object",
    "description": "A table with parameters or skip.",
    "additionalProperties": False,
    "properties": {"parameters": TEXTS, "skip": TEXT},
}
Way = Callable[[dict[str, Any], Sequence[str], str], str]


def settings() -> dict[str, Any]:
    """Give what tests/kind.toml says of each flow; raise Problem if it cannot be meant."""
    found = read_config(SETTINGS) if SETTINGS.exists() else {}
    flows = {file.stem for file in find_flows(())}
    for flow, said in found.items():
        if flow not in flows:
            raise Problem(f"tests/kind.toml: no flow is called {flow}")
        validate(said, OF_A_FLOW, f"tests/kind.toml: {flow}")
    return found


def test(
    context: typer.Context,
    flows: Annotated[
        list[str] | None, typer.Argument(help="Files, or their names; all if none.")
    ] = None,
) -> None:
    """Run flows by `run --with kubernetes` and on Argo Workflows, and check the pods they make.

    tests/kind.toml has the flows' parameters, and says which flows are left out. What comes after
    -- is used instead: k8s kind test hello -- --who=me. Ends with 1 if a run fails or a pod
    differs.
    """
    said, namespace = settings(), kind.use()["METAFLOW_KUBERNETES_NAMESPACE"]
    files = find_flows(flows or ())
    for file in [] if flows else files[:]:
        if why := said.get(file.stem, {}).get("skip"):
            print(f"{file.stem}: left out: {why}")
            files.remove(file)
    results = [one for one in compile_flows(files, ROOT) if one["flow"] or one["error"]]
    if not results:
        raise Problem("no flow to test: these files start none, or tests/kind.toml skips all")

    def both_ways(result: dict[str, Any]) -> bool:
        name = Path(result["file"]).stem
        parameters = context.obj or said.get(name, {}).get("parameters", ())
        ways = {f"{name} run": by_run, f"{name} argo": on_argo}
        return all([passes(*way, result, parameters, namespace) for way in ways.items()])

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        raise typer.Exit(not all([*pool.map(both_ways, results)]))


def passes(title: str, way: Way, result: dict[str, Any], parameters: Any, namespace: str) -> bool:
    """Run a compiled flow one way, print what came of it, and give whether all is right."""
    with part(title) as say:
        try:
            if result["error"]:
                raise Problem(result["error"])
            run = way(result, parameters, namespace)
            reports = list(check_live([result], namespace, run))
            if way is by_run:  # what an earlier test has deployed may be of an older k8s.toml
                reports = [one for one in reports if not one["of"].startswith("WorkflowTemplate")]
            must_be_equal(reports)
            say(f"{len(reports[-1]['pods'])} pods, equal to k8s.toml")
        except Problem as problem:
            print(problem)
            say("FAILED")
            return False
    return True


def by_run(result: dict[str, Any], parameters: Sequence[str], namespace: str) -> str:
    """Run a flow with each step a pod and give the run's ID; raise Problem if it fails."""
    (log, run_id, flow), since = prepare(Path(result["file"]), "run"), now()
    with open(log, "wb") as out:
        command = [*flow, "run", "--with", "kubernetes", "--run-id-file", run_id, *parameters]
        run = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, start_new_session=True)
    try:
        failed = watch(run.poll, result["flow"]["name"], namespace, since)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the tasks too, which wait for their pods
            os.killpg(run.pid, signal.SIGTERM)
        run.wait()
    if failed:
        raise Problem(tail(log.read_text(errors="replace")))
    return Path(run_id).read_text()


def on_argo(result: dict[str, Any], parameters: Sequence[str], namespace: str) -> str:
    """Deploy and trigger a flow and give the run's ID; raise Problem if it fails."""
    (log, run_id, flow), since = prepare(Path(result["file"]), "argo"), now()
    deploy([result])
    command = [*flow, "argo-workflows", "trigger", "--run-id-file", run_id, *parameters]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise Problem(tail(log.read_text()))
    name = Path(run_id).read_text().removeprefix("argo-")

    def ended() -> dict[str, Any] | None:
        there = {one["metadata"]["name"]: one for one in get(f"{ARGO}/{namespace}/workflows")}
        status = there[name].get("status", {})
        return status if status.get("finishedAt") else None

    try:
        status = watch(ended, result["flow"]["name"], namespace, since)
    except BaseException:
        subprocess.run([*flow, "argo-workflows", "terminate", f"argo-{name}"], cwd=ROOT)
        raise
    if status["phase"] != "Succeeded":
        said = {node.get("message", ""): None for node in status.get("nodes", {}).values()}
        for pod in list_pods(namespace, f"workflows.argoproj.io/workflow={name}"):
            if pod["status"]["phase"] == "Failed":
                name_of_pod = pod["metadata"]["name"]
                said[kind.kubectl("logs", "-n", namespace, "--tail=20", name_of_pod)] = None
        raise Problem("\n".join([f"the workflow {name}: {status['phase']}", *filter(None, said)]))
    return f"argo-{name}"


def prepare(file: Path, way: str) -> tuple[Path, str, list[str]]:
    """Give a file for the output, one for the run's ID, and the flow's command."""
    (kind.STATE / "logs").mkdir(exist_ok=True)
    log = kind.STATE / "logs" / f"{file.stem}-{way}.log"
    return log, str(log.with_suffix(".id")), [sys.executable, str(file), "--no-pylint"]


def tail(text: str) -> str:
    return "\n".join(text.splitlines()[-30:])


def list_pods(namespace: str, label: str = OF_METAFLOW) -> list[Any]:
    return get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=label)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def watch(ended: Callable[[], Any], flow: str, namespace: str, since: str) -> Any:
    """Wait for the end of what was started, print how far it is, and give what `ended` gives.

    Raises Problem if a pod cannot start, with what it lacks.
    """
    waiting: dict[str, float] = {}
    printed = time.monotonic()
    while (result := ended()) is None:
        pods, warnings = list_pods(namespace), events(namespace, since)
        busy = any(one["status"]["phase"] == "Running" for one in pods)
        jobs = get(f"/apis/batch/v1/namespaces/{namespace}/jobs", labelSelector=OF_METAFLOW)
        ours = [one for one in [*pods, *jobs] if annotation(one, "flow_name") == flow]
        ours = [one for one in ours if one["metadata"]["creationTimestamp"] >= since]
        phases = Counter(one["status"]["phase"] for one in ours if "phase" in one["status"])
        lacks = {one["metadata"]["name"]: lacking(one, warnings) for one in ours}
        clock = time.monotonic()
        waiting = {name: waiting.get(name, clock) for name, why in lacks.items() if why}
        for name, start in waiting.items():
            queues = busy and "Insufficient" in lacks[name]
            if clock - start > (QUEUE if queues else PATIENCE):
                raise Problem(f"{name} cannot start: {lacks[name]}")
        if clock - printed > EVERY:
            said = ", ".join(f"{count} {phase.lower()}" for phase, count in sorted(phases.items()))
            why = next((f": {why}" for why in lacks.values() if why), "")
            print(f"  {flow}: pods: {said or 'none yet'}{why}", flush=True)
            printed = clock
        time.sleep(1)
    return result
