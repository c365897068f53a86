"""The program that compiles flows, run by compile_flows in a process of its own.

Metaflow reads its configuration once, when it is imported, and compile_flows replaces the user's.
`k8s plan` runs this in the environment of another revision, perhaps with another interpreter,
which may lack this package. So this does not import it, nor do compile_job, read_flow_facts,
batch_facts, no_upload and replaced_files, which are loaded from their files.
"""

import gc
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import runpy
import sys
import time
import traceback
from collections.abc import Iterator
from functools import cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compile_job import CompileJob

COMPILE_TIMEOUT_S = 300  # for one flow: its imports may be slow, but not this slow
CAN_FORK = sys.platform != "darwin"  # whose libraries do not survive a fork
FLOWS_AT_ONCE = 2
OPTIONS = "--with in options of tests/kind.toml"

Result = dict[str, Any]  # a CompiledFile, without its file


def compile_files(text: str) -> Iterator[Result]:
    """Yield the result of each file of a job, which is given as JSON, in their order.

    Each is compiled in a process of its own, because metaflow.cli binds the options of the first
    flow's Configs when it is imported. What all of them import is loaded before: a fork then costs
    a sixth of a new process.
    """
    context: Any = multiprocessing.get_context("fork" if CAN_FORK else "spawn")
    job = read_job(text)
    if CAN_FORK:
        prepare(job.folder)
    waiting = list(job.options)
    results: dict[str, Result] = {}
    running: dict[str, tuple[Any, Connection, float]] = {}
    for file in job.options:
        while file not in results:
            while waiting and len(running) < FLOWS_AT_ONCE:
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=compile_one, args=(waiting[0], text, sender))
                process.start()
                sender.close()
                running[waiting.pop(0)] = process, receiver, time.monotonic()
            wait([receiver for _, receiver, _ in running.values()], timeout=1)
            for name in [*running]:
                if (result := result_of(*running[name])) is not None:
                    results[name] = result
                    del running[name]
        yield {"file": file, **results.pop(file)}


def result_of(process: Any, receiver: Connection, started: float) -> Result | None:
    """Return what a process has sent, or why it has sent nothing; None while it is at work."""
    if receiver.poll():
        try:
            result: Result = receiver.recv()
            return result
        except EOFError:
            process.join()
            end = f"the process that compiled it ended with exit code {process.exitcode}"
            return failure(f"{end}; -9 means that it was killed, perhaps for lack of memory")
    if time.monotonic() - started > COMPILE_TIMEOUT_S:
        process.kill()
        return failure(f"compiling it took more than {COMPILE_TIMEOUT_S} s")
    return None


def failure(error: str, log: str = "") -> Result:
    return {"error": error, "log": log, "flow": None, "template": None}


def read_job(text: str) -> "CompileJob":
    """Return a job from JSON: as such it reaches a process that is not forked, too."""
    job: CompileJob = load_module("compile_job").CompileJob(**json.loads(text))
    return job


def prepare(folder: str) -> None:
    """Import Metaflow without anybody's configuration, and let it upload nothing."""
    gc.disable()  # a tenth of the time that the imports take
    # Metaflow reads these names for each flow, a third of the time
    importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
    importlib.metadata.packages_distributions()
    project = os.getcwd()
    os.chdir(folder)  # which has an empty .metaflow
    import kubernetes.client  # noqa: F401  # so that the forks have it
    import metaflow.plugins  # noqa: F401

    os.chdir(project)
    load_module("no_upload").without_upload()
    gc.freeze()  # or each fork copies what the collector touches
    gc.enable()


def compile_one(file: str, text: str, sender: Connection) -> None:
    """Compile a file, once in a process, and send the result."""
    job = read_job(text)
    log, manifest = (Path(job.folder, f"{os.getpid()}.{kind}") for kind in ("log", "json"))
    output = os.open(log, os.O_RDWR | os.O_CREAT)
    os.dup2(output, 1)  # a flow may print, and so may what it starts
    os.dup2(output, 2)
    if not CAN_FORK:
        prepare(job.folder)
    if job.replaced:
        load_module("replaced_files").replace_files(job.replaced)
    batch = load_module("batch_facts") if job.with_batch else None
    steps = batch.watch_steps() if batch else {}
    create = ["argo-workflows", "create", "--only-json", "--deployer-attribute-file", str(manifest)]
    sys.argv = [file, "--quiet", "--no-pylint", *job.options[file], *create]
    sys.path.insert(0, str(Path(file).resolve().parent))
    result = failure("")
    try:
        result["flow"] = run_file(file, job.package)
        if result["flow"]:
            result["template"] = read_manifest(manifest)
            result["flow"]["sent_modules"] = sent_modules()
            if batch:
                batch.add_batch(result["flow"], steps)
        result["error"] = None
    except BaseException as problem:
        traceback.print_exc()
        sys.stderr.flush()
        printed = log.read_text("utf-8", errors="replace")
        result = failure(reason_of(problem, printed), printed)
    sender.send(json.loads(json.dumps(result, default=str)))
    sender.close()


def read_manifest(file: Path) -> dict[str, Any]:
    """Return the WorkflowTemplate that Metaflow has written; a later one may wrap it once more."""
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["additional_info"]
    while "workflow_template" in manifest:
        manifest = manifest["workflow_template"]
    return manifest


def reason_of(problem: BaseException, printed: str) -> str:
    """Return one line that says why a flow did not compile."""
    reason = getattr(problem, "message", None) or f"{type(problem).__name__}: {problem}"
    if isinstance(problem, SystemExit):  # click has printed why
        reason = printed.partition("Traceback")[0] or f"exit code {problem.code}"
    if hasattr(problem, "headline"):
        reason = f"{problem.headline}: {reason}"
    before, traceback_line, after = reason.partition("Traceback (most recent call last)")
    if traceback_line:  # of a function that gives a Parameter's default
        reason = f"{before} {after.strip().splitlines()[-1]}"
    return " ".join(reason.split())


def run_file(file: str, package: str) -> dict[str, Any] | None:
    """Run a flow's file as a script and return its FlowFacts, or None if it starts no flow.

    Starting the flow compiles it, by the command line in sys.argv.
    """
    import metaflow

    facts: dict[str, Any] = {}
    flows: list[Any] = []  # Metaflow makes a second instance once it knows the Configs' values
    construct = metaflow.FlowSpec.__init__

    def initialize(flow: Any, use_cli: bool = True) -> None:
        construct(flow, use_cli=False)
        flows.append(flow)
        if use_cli:
            facts.update(compile_flow(flow, flows, package))

    metaflow.FlowSpec.__init__ = initialize
    runpy.run_path(file, run_name="__main__")
    return facts or None


def compile_flow(flow: Any, flows: list[Any], package: str) -> dict[str, Any]:
    """Compile a flow and return its FlowFacts (see pods/flow_facts.py)."""
    from metaflow import parameters

    flow_facts = load_module("read_flow_facts")
    base = sys.modules.get(f"{package}.base")
    derives = base is not None and isinstance(flow, base.BaseFlow)
    if not derives:
        flow_facts.record_written_attributes()
    written = flow_facts.watch_overrides(flow)
    by_others = flow_facts.watch_other_decorators()
    if any(argument.startswith("--environment") for argument in sys.argv):
        load_module("no_upload").without_packages()
    with parameters.flow_context(type(flow)):
        from metaflow import cli  # only now: it binds the options of this flow's Configs

        try:
            cli.main(flow, handle_exceptions=False)
        except SystemExit as end:
            if end.code:
                raise
    final = flows[-1]
    with parameters.flow_context(type(final)):
        names = final._graph.sorted_nodes
        steps = {name: flow_facts.step_facts(final, name, written[name]) for name in names}
    options = flow_facts.overrides_by(flow_facts.with_options(sys.argv), OPTIONS)
    for name, step in steps.items() if derives else ():
        others = by_others.get(name, {}).items()
        more = [{"pool": None, "values": v, "source": f"@{by}"} for by, v in others]
        step["overrides"] += options + more
    return {
        "name": flow.name,
        "derives": derives,
        "start": final._graph.start_step,
        "hooks": flow_facts.hook_images(final),
        "packages": {name: flow_facts.own_packages(final._graph[name]) for name in names},
        "steps": steps,
    }


def sent_modules() -> list[str]:
    """Return the first names of the modules in the code package."""
    packages = load_module("no_upload").code_packages
    modules: list[str] = load_module("read_flow_facts").modules_in(packages)
    return modules


@cache
def load_module(name: str) -> Any:
    """Return a module from its file beside this one, without importing this package."""

    file = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"mf_k8s_{name}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    for compiled in compile_files(sys.argv[1]):
        print(json.dumps(compiled), flush=True)
