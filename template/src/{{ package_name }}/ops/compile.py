"""Compiles flows with Metaflow's own `argo-workflows create --only-json`, without a network.

This file is two things: `compile_flows` for the command, and the script that it runs. The script
has a process of its own because Metaflow reads its settings once, when it is imported, and those
must be neither the user's nor the cluster's; and because another revision may need another
interpreter. So it imports nothing of this package.
"""

import gc
import importlib.metadata
import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

LIMIT = 300  # seconds for one flow: to import it may take a while, to hang is an error
FORK = sys.platform != "darwin"  # whose libraries do not survive a fork
BUCKET = "compile"
EVENTS = ("EVENT", "EVENT_BUS", "EVENT_SOURCE", "SERVICE_ACCOUNT", "WEBHOOK_URL")
ENVIRONMENT = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "none"),
    **{f"METAFLOW_ARGO_EVENTS_{name}": "none" for name in EVENTS},  # or @trigger does not compile
    "AWS_DEFAULT_REGION": "us-east-1",
    "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_USER": "check",
}
PLACES = ("TMPDIR", "METAFLOW_HOME", "METAFLOW_DATASTORE_SYSROOT_LOCAL")  # for what it writes


def compile_flows(
    files: Sequence[Path],
    root: Path,
    options: Sequence[str] = (),
    python: Sequence[str] = (sys.executable,),
    source: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Give for each file, as it is done, a dictionary.

    It holds `file`; `error`, one line, or None; `log`, what was printed before an error; `flow`,
    what the code says (see `started`), or None for a file that starts no flow; and `template`, the
    manifest. `options` go before Metaflow's command, as `--config k8s FILE` does; `python` (a
    command) and `source` (a folder to import from) compile another revision. Raises OSError if
    nothing can be compiled.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    env |= {**ENVIRONMENT, **({"PYTHONPATH": str(source)} if source else {})}
    package, names = Path(__file__).parent.parent.name, [str(file) for file in files]
    with tempfile.TemporaryDirectory() as folder:
        command = [*python, "-P", __file__, json.dumps([names, package, folder, list(options)])]
        env |= dict.fromkeys(PLACES, folder)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=root, env=env) as process:
            assert process.stdout and process.stderr
            try:
                yield from map(json.loads, process.stdout)
                if process.wait():
                    said = process.stderr.read().decode().strip() or "it ended"
                    raise OSError(f"Metaflow does not start: {said.splitlines()[-1]}")
            finally:
                process.terminate()


def serve(files: list[str], package: str, folder: str, options: list[str]) -> None:
    """Compile files, each in a process of its own, and print the results.

    Click's options are bound when metaflow.cli is first imported, so one process can compile one
    flow. What all of them import is loaded here, and S3's client has been used once: a fork then
    costs a sixth of a new process.
    """
    if FORK:
        simulate_s3()
    context = multiprocessing.get_context("fork" if FORK else "spawn")
    with context.Pool(min(2, os.cpu_count() or 1), maxtasksperchild=1) as pool:
        how = package, folder, options
        jobs = [(file, pool.apply_async(compile_one, (file, *how))) for file in files]
        while jobs:
            file, job = jobs.pop(0)
            try:
                result = job.get(LIMIT)
            except multiprocessing.TimeoutError:
                result = {"error": f"not done in {LIMIT} s", "log": "", "flow": None}
            print(json.dumps({"file": file, **result}, default=str), flush=True)


def simulate_s3() -> None:
    gc.disable()  # a tenth of the time that the imports take
    # Metaflow reads the names of all installed packages for each flow, a third of the time
    importlib.metadata.packages_distributions = cache(importlib.metadata.packages_distributions)
    importlib.metadata.packages_distributions()
    import boto3  # type: ignore  # it has no types
    import kubernetes.client  # type: ignore  # noqa: F401  # so that the forks have it
    import metaflow.plugins  # noqa: F401
    from moto import mock_aws

    mock_aws().start()
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="first", Body=b"")
    client.head_object(Bucket=BUCKET, Key="first")
    gc.freeze()  # or each fork copies what the collector touches
    gc.enable()


def compile_one(file: str, package: str, folder: str, options: list[str]) -> dict[str, Any]:
    """Give what `compile_flows` gives for one file, once in a process."""
    from metaflow import FlowSpec

    log, manifest = (Path(folder, f"{os.getpid()}.{kind}") for kind in ("log", "json"))
    printed = os.open(log, os.O_RDWR | os.O_CREAT)
    os.dup2(printed, 1)  # a flow may print, and so may what it starts
    os.dup2(printed, 2)
    if not FORK:
        simulate_s3()
    create = ["argo-workflows", "create", "--only-json", "--deployer-attribute-file", str(manifest)]
    sys.argv = [file, "--quiet", "--no-pylint", *options, *create]
    sys.path.insert(0, str(Path(file).resolve().parent))
    result: dict[str, Any] = {"error": None, "log": "", "flow": None, "template": None}
    construct, flows = FlowSpec.__init__, []

    def initialize(flow: Any, use_cli: bool = True) -> None:
        construct(flow, use_cli=False)
        flows.append(flow)  # Metaflow makes another of the same flow once Configs are known
        if use_cli:
            result["flow"] = started(flow, flows, package)

    FlowSpec.__init__ = initialize  # type: ignore
    try:
        runpy.run_path(file, run_name="__main__")
        if result["flow"]:
            answer = json.loads(manifest.read_text())["additional_info"]
            while "workflow_template" in answer:  # a future Metaflow wraps it once more
                answer = answer["workflow_template"]
            result["template"] = answer
    except BaseException as problem:
        traceback.print_exc()
        sys.stderr.flush()
        result["log"] = log.read_text(errors="replace")
        said = getattr(problem, "message", None) or f"{type(problem).__name__}: {problem}"
        if isinstance(problem, SystemExit):  # click has said why
            said = result["log"].partition("Traceback")[0] or f"exit {problem.code}"
        said = f"{problem.headline}: {said}" if hasattr(problem, "headline") else said
        result["error"] = " ".join(said.split())
    return result


def started(flow: Any, flows: list[Any], package: str) -> dict[str, Any]:
    """Compile a flow and give what its code says.

    `name`; `derives`, whether from BaseFlow; `start`, the first step; `hooks`, the image of each
    @exit_hook pod, or None; and `steps`: for each its `overrides` (pools and settings as written),
    `resources`, `timeout` (seconds), whether it is `parallel`, and the `next` ones.
    """
    from metaflow import parameters

    base: Any = sys.modules.get(f"{package}.base")
    facts = {"name": flow.name, "derives": bool(base) and isinstance(flow, base.BaseFlow)}
    written = {node.name: overrides(getattr(flow, node.name)) for node in flow._graph}
    resolve_offline(flow)
    with parameters.flow_context(type(flow)):
        from metaflow import cli  # only now: it binds the options of this flow's Configs

        try:
            cli.main(flow, handle_exceptions=False)
        except SystemExit as end:
            if end.code:
                raise
    with parameters.flow_context(type(flows[-1])):
        graph, steps = flows[-1]._graph, {}
        for name in graph.sorted_nodes:
            by = {one.name: one for one in graph[name].decorators}
            steps[name] = {
                "overrides": [(pool, settings(said)) for pool, said in written[name]],
                "resources": by["resources"].attributes if "resources" in by else {},
                "timeout": by["timeout"].secs if "timeout" in by else None,
                "parallel": graph[name].parallel_step,
                "next": graph[name].out_funcs,
            }
    # as _lifecycle_hook_from_deco in metaflow/plugins/argo/argo_workflows.py names them
    hooks = {
        f"{kind}-{name.replace('_', '-')}": one.attributes["options"].get("image")
        for one in flows[-1]._flow_decorators.get("exit_hook", ())
        for kind in ("success", "error")
        for name in getattr(one, f"{kind}_hooks")
    }
    return {**facts, "start": graph.start_step, "hooks": hooks, "steps": steps}


def overrides(step: Any) -> list[tuple[str | None, Any]]:
    """Give each @k8s and @kubernetes of a step, before BaseFlow touches them."""
    own = [(pool, said) for by, pool, said in getattr(step, "k8s", ()) if by == "@k8s"]
    return own + [(None, one) for one in step.decorators if one.name == "kubernetes"]


def settings(said: Any) -> dict[str, Any]:
    """Give what is written in @k8s or @kubernetes, with the values of the flow's Configs."""
    from metaflow.user_configs import config_parameters as configs

    values, unpacked = configs.unpack_delayed_evaluator(getattr(said, "attributes", said))
    if not isinstance(said, dict):  # the others are Metaflow's defaults
        values = {name: values[name] for name in said._user_defined_attributes.union(unpacked)}
    return configs.resolve_delayed_evaluator(values, to_dict=True)


def resolve_offline(flow: Any) -> None:
    """Let @pypi and @conda compile: packages change what a pod runs, not the pod's fields."""
    used = {one.name for node in flow._graph for one in node.decorators}
    if used.union(flow._flow_decorators) & {"pypi", "conda", "pypi_base", "conda_base"}:
        from metaflow.plugins.pypi import conda_environment, micromamba

        sys.argv.insert(1, "--environment=pypi")
        solver: Any = micromamba.Micromamba
        solver.__init__ = lambda *_: None
        environment: Any = conda_environment.CondaEnvironment
        environment.init_environment = lambda *_, **__: None


if __name__ == "__main__":
    serve(*json.loads(sys.argv[1]))
