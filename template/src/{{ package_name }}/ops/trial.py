"""Runs flows on the development cluster, by `run --with kubernetes` and on Argo Workflows."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
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
STOP = threading.Event()  # set when the user gives up
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
        file = Path(result["file"])
        parameters = context.obj or said.get(file.stem, {}).get("parameters", ())
        ways = {f"{title(file)} run": by_run, f"{title(file)} argo": on_argo}
        return all([passes(*way, result, parameters, namespace) for way in ways.items()])

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        try:
            passed = all([*pool.map(both_ways, results)])
        except BaseException:  # Ctrl-C reaches this thread alone
            STOP.set()
            raise
    raise typer.Exit(not passed)


def title(file: Path) -> str:
    """Give a name of its own for a flow: two of one file name may be in folders of flows/."""
    flows = ROOT / "flows"
    within = file.relative_to(flows) if file.is_relative_to(flows) else Path(file.name)
    return "-".join(within.with_suffix("").parts)


def passes(name: str, way: Way, result: dict[str, Any], parameters: Any, namespace: str) -> bool:
    """Run a compiled flow one way, print what came of it, and give whether all is right."""
    with part(name) as say:
        try:
            if result["error"] or STOP.is_set():
                raise Problem(result["error"] or "interrupted")
            run = way(result, parameters, namespace)
            reports = list(check_live([result], namespace, run, templates=()))
            must_be_equal(reports)
            say(f"{len(reports[-1]['pods'])} pods, equal to k8s.toml")
        except Problem as problem:
            print(problem)
            say("FAILED")
            return False
    return True


def by_run(result: dict[str, Any], parameters: Sequence[str], namespace: str) -> str:
    """Run a flow with each step a pod and give the run's ID; raise Problem if it fails."""
    (log, run_id, flow), before = prepare(Path(result["file"]), "run"), running(namespace)
    with open(log, "wb") as out:
        command = [*flow, "run", "--with", "kubernetes", "--run-id-file", run_id, *parameters]
        run = subprocess.Popen(command, stdout=out, stderr=out, cwd=ROOT, start_new_session=True)
    try:
        failed = watch(run.poll, result["flow"]["name"], namespace, before)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):  # the tasks too, which wait for their pods
            os.killpg(run.pid, signal.SIGTERM)
        run.wait()
        left = of_run(running(namespace), result["flow"]["name"], before)
        jobs = [name for name, one in left.items() if one["status"].get("active")]
        if jobs:
            kind.kubectl("delete", "jobs", "-n", namespace, "--ignore-not-found", *jobs)
        raise
    if failed:
        raise Problem(tail(log.read_text(errors="replace")))
    return Path(run_id).read_text()


def on_argo(result: dict[str, Any], parameters: Sequence[str], namespace: str) -> str:
    """Deploy and trigger a flow and give the run's ID; raise Problem if it fails."""
    (log, run_id, flow), before = prepare(Path(result["file"]), "argo"), running(namespace)
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
        status = watch(ended, result["flow"]["name"], namespace, before)
    except BaseException:
        subprocess.run([*flow, "argo-workflows", "terminate", f"argo-{name}"], cwd=ROOT)
        raise
    if "workflowtemplates.argoproj.io" in status.get("message", ""):
        # Argo has not seen yet what was deployed: argoproj/argo-workflows#14615
        return on_argo(result, parameters, namespace)
    if status["phase"] != "Succeeded":
        nodes = status.get("nodes", {}).values()
        said = dict.fromkeys(one.get("message", "") for one in [status, *nodes])
        for pod in list_pods(namespace, f"workflows.argoproj.io/workflow={name}"):
            if pod["status"]["phase"] == "Failed":
                logs = ("logs", "-n", namespace, "--tail=20", pod["metadata"]["name"])
                with contextlib.suppress(Problem):  # it may have none
                    said[kind.kubectl(*logs)] = None
        raise Problem("\n".join([f"the workflow {name}: {status['phase']}", *filter(None, said)]))
    return f"argo-{name}"


def prepare(file: Path, way: str) -> tuple[Path, str, list[str]]:
    """Give a file for the output, one for the run's ID, and the flow's command."""
    (kind.STATE / "logs").mkdir(exist_ok=True)
    log = kind.STATE / "logs" / f"{title(file)}-{way}.log"
    return log, str(log.with_suffix(".id")), [sys.executable, str(file), "--no-pylint"]


def tail(text: str) -> str:
    return "\n".join(text.splitlines()[-30:])


def list_pods(namespace: str, label: str = OF_METAFLOW) -> list[Any]:
    return get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=label)


def running(namespace: str) -> dict[str, Any]:
    """Give the pods and Jobs of all flows by their names."""
    jobs = get(f"/apis/batch/v1/namespaces/{namespace}/jobs", labelSelector=OF_METAFLOW)
    return {one["metadata"]["name"]: one for one in [*list_pods(namespace), *jobs]}


def of_run(found: dict[str, Any], flow: str, before: Container[str]) -> dict[str, Any]:
    return {
        name: one
        for name, one in found.items()
        if name not in before and annotation(one, "flow_name") == flow
    }


def watch(ended: Callable[[], Any], flow: str, namespace: str, before: Container[str]) -> Any:
    """Wait for the end of what was started, print how far it is, and give what `ended` gives.

    What is in `before` is of other runs. Raises Problem if a pod cannot start, with what it lacks.
    """
    waiting: dict[str, float] = {}
    printed = time.monotonic()
    while (result := ended()) is None:
        if STOP.is_set():
            raise Problem("interrupted")
        found, warnings = running(namespace), events(namespace)
        on_nodes = [one for one in found.values() if one["spec"].get("nodeName")]
        unfinished = [one for one in on_nodes if one["status"]["phase"] in ("Pending", "Running")]
        busy = not all(lacking(one, warnings) for one in unfinished)
        ours = of_run(found, flow, before)
        states = [one["status"] for one in ours.values()]
        phases = Counter(status["phase"] for status in states if "phase" in status)
        lacks = {name: lacking(one, warnings) for name, one in ours.items()}
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
