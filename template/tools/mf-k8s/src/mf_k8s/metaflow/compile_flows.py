"""Compiles flows with Metaflow's own `argo-workflows create --only-json`, without a network."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..pods.flow_facts import FlowFacts
from ..programs.run import UTF_8, missing_program, process_variables
from ..project.environments import CONFIGURING
from ..project.flow_files import starts_flow
from ..project.kind_toml import flow_options, read_flow_settings, variables_of_tests
from ..project.project import Project
from .compile_job import CompileJob
from .compile_remedies import with_remedy

WORKER = Path(__file__).with_name("compile_worker.py")
# `schedules` is the only schedule key that Argo 4 accepts; Argo 3.6 and later know it too.
USE_SCHEDULES = {"METAFLOW_ARGO_WORKFLOWS_USE_SCHEDULES": "1"}
EVENTS = ("EVENT", "EVENT_BUS", "EVENT_SOURCE", "SERVICE_ACCOUNT", "WEBHOOK_URL")
# Variables that do not reach the compilation; by the last, `uv run` of an older revision would
# change the project's own environment.
OF_THE_USER = (*CONFIGURING, "UV_PROJECT_ENVIRONMENT")
# Instead of the user's own configuration, which must not change the result.
ENVIRONMENT = {
    # what a flow asks AWS while it is compiled reaches nobody, and fails at once
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "none"),
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull),
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
    **dict.fromkeys(("METAFLOW_S3_RETRY_COUNT", "METAFLOW_S3_TRANSIENT_RETRY_COUNT"), "0"),
    "METAFLOW_S3_CLIENT_RETRY_CONFIG": '{"max_attempts": 1}',  # it would have 10, for 17 seconds
    **{f"METAFLOW_ARGO_EVENTS_{name}": "none" for name in EVENTS},  # or @trigger does not compile
    "AWS_DEFAULT_REGION": "us-east-1",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://compile/metaflow",
    "METAFLOW_DEFAULT_DATASTORE": "s3",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_USER": "check",
    **UTF_8,
}
WRITTEN_TO = ("TMPDIR", "METAFLOW_HOME", "METAFLOW_DATASTORE_SYSROOT_LOCAL")


@dataclass(frozen=True)
class CompiledFile:
    """What compiling one file gave: a flow and its template, an error, or neither."""

    file: Path
    options: list[str]  # of Metaflow, which every run of the flow needs
    error: str | None  # one line
    log: str  # what was printed before the error
    flow: FlowFacts | None  # None for a file that starts no flow
    template: dict[str, Any] | None  # the WorkflowTemplate

    @property
    def has_parallel_step(self) -> bool:
        return self.flow is not None and any(
            step["parallel"] for step in self.flow["steps"].values()
        )


def not_compiled(file: str, error: str) -> Finding:
    """Return the finding on a flow that does not compile. `file` is as messages show it."""
    return Finding("flow-not-compiled", error, file)


def compile_flows(
    project: Project,
    files: Sequence[Path],
    variables: Mapping[str, str] | None = None,
    python: Sequence[str] = (sys.executable,),
) -> Iterator[CompiledFile]:
    """Yield what came of each file, in their order, as soon as it is known.

    A file that starts no flow is not run. `variables` are those of the process that runs the
    others, by default this process's with [variables] of tests/kind.toml under them: a flow may
    read a variable when it is imported, and a test's value is good enough for a check. `python` is
    the command of an interpreter that has what the flows import. Raise CommandError if nothing can
    be compiled.
    """
    flows = [file for file in files if starts_flow(file)]
    if variables is None:
        variables = variables_of_tests(project) | process_variables()
    compiled = run_worker(project, flows, variables, python) if flows else iter(())
    for file in files:
        yield next(compiled) if file in flows else CompiledFile(file, [], None, "", None, None)


def run_worker(
    project: Project,
    files: Sequence[Path],
    variables: Mapping[str, str],
    python: Sequence[str] = (sys.executable,),
    batch: Mapping[str, str] | None = None,
    replaced: Mapping[Path, Path] | None = None,
) -> Iterator[CompiledFile]:
    """Yield what came of each file that starts a flow.

    See compile_flows for the arguments. With `batch`, which has Metaflow's settings for it, flows
    with @batch compile too. `replaced` says in the place of which files others are read.
    """
    kept = {name: text for name, text in variables.items() if not name.startswith(OF_THE_USER)}
    kept |= project.variables
    settings = read_flow_settings(project)
    options = {str(file): flow_options(settings, file) for file in files}
    path = filter(None, (str(project.source), kept.get("PYTHONPATH")))
    kept["PYTHONPATH"] = os.pathsep.join(path)
    with tempfile.TemporaryDirectory() as folder:
        # Metaflow looks for .metaflow/config.json from the working directory upwards
        # (init_local_config in metaflow_config_funcs.py). Imported here, it finds an empty folder.
        Path(folder, ".metaflow").mkdir()
        others = {str(file): str(other) for file, other in (replaced or {}).items()}
        job = CompileJob(project.package, folder, options, batch is not None, others)
        env = {**kept, **ENVIRONMENT, **dict.fromkeys(WRITTEN_TO, folder), **(batch or {})}
        with start_worker([*python, "-P", str(WORKER)], job, project.root, env) as process:
            assert process.stdout and process.stderr
            try:
                for line in process.stdout:
                    result = json.loads(line)
                    file = result.pop("file")
                    if result["error"]:
                        result["error"] = with_remedy(result["error"], Path(file), project.root)
                    yield CompiledFile(Path(file), options[file], **result)
                if process.wait():
                    lines = process.stderr.read().decode(errors="replace").split("\n")
                    reason = next(filter(None, reversed(lines)), f"exit code {process.returncode}")
                    what = f"flows cannot be compiled: {reason}"
                    raise CommandError(Finding("no-flow-compiles", what))
            finally:
                process.terminate()


def start_worker(
    command: Sequence[str], job: CompileJob, folder: Path, env: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start what compiles; raise CommandError if it is uv that starts it, and there is none."""
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            [*command, json.dumps(asdict(job))], stdout=pipe, stderr=pipe, cwd=folder, env=env
        )
    except FileNotFoundError:
        raise CommandError(missing_program(command[0])) from None
