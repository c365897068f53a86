"""Compiles flows with Metaflow's own `argo-workflows create --only-json`, without a network.

This file is two things: `compile_flows` for the command, and the script that it runs. The script
has a process of its own because Metaflow reads its settings once, when it is imported, and those
must be neither the user's nor the cluster's; and because another revision may need another
interpreter. So it imports nothing of this package.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

LIMIT = 300  # seconds for one flow: importing it may take a while, hanging is an error
AT_ONCE = min(2, os.cpu_count() or 1)
BUCKET = "compile"
EVENTS = "METAFLOW_ARGO_EVENTS_"  # without these, @trigger does not compile
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_USER": "check",
    f"{EVENTS}EVENT": "event",
    f"{EVENTS}EVENT_BUS": "default",
    f"{EVENTS}EVENT_SOURCE": "source",
    f"{EVENTS}SERVICE_ACCOUNT": "events",
    f"{EVENTS}WEBHOOK_URL": "http://events",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def compile_flows(
    files: Sequence[Path],
    root: Path,
    options: Sequence[str] = (),
    python: Sequence[str] = (sys.executable,),
    source: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Give for each file a dictionary, in the order in which they are done.

    It holds `file`; `error`, one line, or None; `log`, all that was
    printed before an error; `flow`, what the
    code says (see `Flow`), or None for a file that starts no flow; and `template`, the manifest.
    `options` go before Metaflow's command, as `--config k8s FILE` does; `python` (a command)
    and `source` (a folder for its path) compile another revision. Raises OSError if the script cannot run.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("METAFLOW_", "AWS_"))}
    if source:
        clean["PYTHONPATH"] = str(source)
    with tempfile.TemporaryDirectory() as scratch:
        here = {"TMPDIR": scratch, "METAFLOW_HOME": scratch}
        clean |= {**ENVIRONMENT, **here, "METAFLOW_DATASTORE_SYSROOT_LOCAL": scratch}
        command = [*python, "-P", __file__, Path(__file__).parent.parent.name, scratch, *options]
        pipe, names = subprocess.PIPE, json.dumps([str(file) for file in files])
        with open(Path(scratch, "stderr"), "w+") as errors, subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, cwd=root, env=clean,
            start_new_session=True,
        ) as process:
            assert process.stdin and process.stdout
            try:
                process.stdin.write(names.encode())
                process.stdin.close()
                yield from map(json.loads, process.stdout)
                if process.wait():
                    raise OSError((errors.seek(0) or errors.read().strip()).splitlines()[-1])
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)  # whatever still compiles


def serve(package: str, scratch: str, options: list[str]) -> None:
    """Compile the files named on stdin, each in a process of its own, and print the results.

    Click's options are bound when metaflow.cli is first imported, so one process can compile one
    flow. What all of them import is loaded here, and S3's client has been used once: a fork then
    costs a sixth of a new process.
    """
    fork = sys.platform != "darwin"  # macOS does not survive a fork
    if fork:
        simulate_s3()
    start = multiprocessing.get_context("fork" if fork else "spawn").Process
    waiting = list(enumerate(json.load(sys.stdin)))
    running: dict[Any, tuple[Any, str, Path]] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number, file = waiting.pop(0)
            out = Path(scratch, str(number))
            process = start(target=compile_one, args=(file, package, out, options))
            process.start()
            running[process.sentinel] = process, file, out
        for sentinel in wait(list(running)):
            process, file, out = running.pop(sentinel)
            process.join()
            result = {"file": file, "error": f"ended with {process.exitcode}", "log": ""}
            if out.exists():
                result |= json.loads(out.read_text())
                out.unlink()
            print(json.dumps(result), flush=True)


def simulate_s3() -> None:
    import boto3  # type: ignore  # it has no types
    import kubernetes.client  # type: ignore  # noqa: F401  # only so that the forks have it
    import metaflow.plugins  # noqa: F401
    from moto import mock_aws

    mock_aws().start()
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="first", Body=b"")
    client.head_object(Bucket=BUCKET, Key="first")


def compile_one(file: str, package: str, out: Path, options: list[str]) -> None:
    log, manifest = out.with_suffix(".log"), out.with_suffix(".json")
    printed = os.open(log, os.O_RDWR | os.O_CREAT)
    for stream in (1, 2):  # a flow may print, and so may what it starts
        os.dup2(printed, stream)
    if sys.platform == "darwin":
        simulate_s3()
    signal.signal(signal.SIGALRM, timed_out)
    signal.alarm(LIMIT)
    create = ["argo-workflows", "create", "--only-json", "--deployer-attribute-file", str(manifest)]
    sys.argv = [file, "--quiet", "--no-pylint", *options, *create]
    sys.path.insert(0, str(Path(file).resolve().parent))
    flow = Flow(package)
    error = None
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        if end.code:
            sys.stderr.flush()
            error = " ".join(log.read_text(errors="replace").split())[-500:] or f"exit {end.code}"
    except BaseException as problem:
        traceback.print_exc()
        sys.stderr.flush()
        said = getattr(problem, "message", None) or f"{type(problem).__name__}: {problem}"
        error = " ".join(f"{getattr(problem, 'headline', '')} {said}".split())
    template = None
    if manifest.exists() and not error:
        template = json.loads(manifest.read_text()).get("additional_info", {})
        while "workflow_template" in template:  # one Metaflow wraps it, another will twice
            template = template["workflow_template"]
    printed_text = log.read_text(errors="replace") if error else ""
    result = {"error": error, "log": printed_text, "template": template}
    done = out.with_suffix(".part")
    done.write_text(json.dumps({**result, "flow": flow.facts}, default=str))
    done.rename(out)
    for path in (log, manifest):
        path.unlink(missing_ok=True)


def timed_out(*_: Any) -> None:
    raise TimeoutError(f"did not compile in {LIMIT} seconds")


class Flow:
    """Notes what the flow's code says, before BaseFlow touches it and after Metaflow is done.

    `facts` has `name`; `derives`, whether it is a BaseFlow; `start`, the first step; `hooks`, the
    image of each @exit_hook pod, or None; and `steps`: for each its `overrides` (a list of pool
    and settings as written), its `resources`, `timeout` (seconds), whether it is `parallel`, and
    `next`.
    """

    def __init__(self, package: str) -> None:
        from metaflow import FlowSpec

        self.base = f"{package}.base"
        self.facts: dict[str, Any] | None = None
        self.construct = FlowSpec.__init__
        self.last: Any = None  # Metaflow makes another of the same flow, once Configs are known
        FlowSpec.__init__ = lambda flow, use_cli=True: self.started(flow, use_cli)  # type: ignore

    def started(self, flow: Any, use_cli: bool) -> None:
        self.construct(flow, use_cli=False)
        self.last = flow
        if not use_cli:
            return
        written = {node.name: said(flow, node.name) for node in flow._graph}
        resolve_offline(flow)
        from metaflow import parameters

        derives = self.base in sys.modules and isinstance(flow, sys.modules[self.base].BaseFlow)
        self.facts = {"name": flow.name, "derives": derives}
        with parameters.flow_context(type(flow)):
            from metaflow import cli  # only now: it binds the options of this flow's Configs

            try:
                cli.main(flow, handle_exceptions=False)
            except SystemExit as end:
                if end.code:
                    raise
        with parameters.flow_context(type(self.last)):
            graph = self.last._graph
            steps = {name: fact(graph[name], written[name]) for name in graph.sorted_nodes}
        self.facts |= {"start": graph.start_step, "hooks": hooks(self.last), "steps": steps}


def said(flow: Any, step: str) -> list[tuple[str | None, Any]]:
    """Give what is written on a step before Metaflow starts: pool and settings of each @k8s, and
    each @kubernetes, which BaseFlow takes off."""
    function = getattr(flow, step).__func__
    own = [(pool, settings) for by, pool, settings in getattr(function, "k8s", ()) if by == "@k8s"]
    return own + [(None, one) for one in function.decorators if one.name == "kubernetes"]


def settings(written: Any) -> dict[str, Any]:
    """Give what is written in @k8s or @kubernetes, with the flow's Configs put in."""
    from metaflow.user_configs.config_parameters import (
        resolve_delayed_evaluator,
        unpack_delayed_evaluator,
    )

    if isinstance(written, dict):
        values, unpacked = unpack_delayed_evaluator(written)
        return resolve_delayed_evaluator(values, to_dict=True)
    values, unpacked = unpack_delayed_evaluator(written.attributes)
    names = written._user_defined_attributes.union(unpacked)  # the others are Metaflow's defaults
    return resolve_delayed_evaluator({name: values[name] for name in names}, to_dict=True)


def fact(node: Any, written: list[tuple[str | None, Any]]) -> dict[str, Any]:
    by = {one.name: one for one in node.decorators}
    return {
        "overrides": [(pool, settings(one)) for pool, one in written],
        "resources": by["resources"].attributes if "resources" in by else {},
        "timeout": by["timeout"].secs if "timeout" in by else None,
        "parallel": node.parallel_step,
        "next": node.out_funcs,
    }


def hooks(flow: Any) -> dict[str, str | None]:
    # the names are those of _lifecycle_hook_from_deco in metaflow/plugins/argo/argo_workflows.py
    return {
        f"{kind}-{name.replace('_', '-')}": one.attributes["options"].get("image")
        for one in flow._flow_decorators.get("exit_hook", ())
        for kind in ("success", "error")
        for name in getattr(one, f"{kind}_hooks", ())
    }


def resolve_offline(flow: Any) -> None:
    """Let @pypi and @conda compile: packages change what a pod runs, not the pod's fields."""
    used = {one.name for node in flow._graph for one in node.decorators}
    if used.union(flow._flow_decorators).isdisjoint({"pypi", "conda", "pypi_base", "conda_base"}):
        return
    from metaflow.plugins.pypi import conda_environment, micromamba

    sys.argv.insert(1, "--environment=pypi")
    micromamba.Micromamba.__init__ = lambda *_: None
    conda_environment.CondaEnvironment.init_environment = lambda *_, **__: None


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], sys.argv[3:])
