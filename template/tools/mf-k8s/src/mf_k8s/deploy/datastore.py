"""The datastore of a deployed flow, which its pods must reach, and who deploys, too."""

import contextlib
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..cluster.target import Target
from ..errors import CommandError, Finding
from ..metaflow.ask_datastore import CANNOT_BE_USED
from ..programs.run import UTF_8
from ..project.kind_toml import flow_options, read_flow_settings
from ..project.project import Project

ANSWER_TIMEOUT_S = 40  # in which Metaflow is imported, too
ROOTS = {"s3": "s3://bucket/folder", "gs": "gs://bucket/folder", "azure": "container/folder"}


def names_datastore(project: Project, files: Iterable[Path]) -> bool:
    """Return whether an option of one of the flows, in tests/kind.toml, names a datastore."""
    settings = read_flow_settings(project)
    return any("--datastore" in option for file in files for option in flow_options(settings, file))


def datastore_findings(
    project: Project, files: Sequence[Path], target: Target
) -> Iterator[Finding]:
    """Yield why Metaflow is not configured with a datastore that pods can reach."""
    environment, setting = target.environment, target.configuration.setting
    where = environment.file if environment.name else "Metaflow's configuration"
    kind = setting("DEFAULT_DATASTORE")
    root = f"METAFLOW_DATASTORE_SYSROOT_{kind.upper()}"
    if kind not in ROOTS and not names_datastore(project, files):
        remedy = (
            "set METAFLOW_DEFAULT_DATASTORE to s3, gs or azure, and METAFLOW_DATASTORE_SYSROOT_S3,"
            " _GS or _AZURE to its folder"
        )
        if not environment.name:
            remedy += "; or deploy with --env NAME"
        what = f"{where} has no datastore that pods can reach"
        yield Finding("no-datastore", what, where, remedy)
    if kind in ROOTS and not setting(root.removeprefix("METAFLOW_")):
        remedy = f"set it, to a folder like {ROOTS[kind]}"
        yield Finding("no-datastore-root", f"{where} has no {root}", where, remedy)


def start_asking(target: Target, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start the script that asks the datastore; what it prints is read from its stdout."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "mf_k8s.metaflow.ask_datastore", *arguments],
        # without a terminal, boto3 cannot ask for the code of an MFA device, which Metaflow's
        # create may need: a code is good once
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env={**target.variables, **UTF_8},
        encoding="utf-8",
        errors="replace",
    )


@contextlib.contextmanager
def datastore_asked(
    project: Project, files: Sequence[Path], target: Target, folder: Path
) -> Iterator[None]:
    """Ask the datastore while the body runs; then raise CommandError if it cannot be used.

    `files` are those of the flows. `folder` is where Metaflow starts to look for a project's own
    configuration.
    """
    setting = target.configuration.setting
    kind = setting("DEFAULT_DATASTORE")
    root = setting(f"DATASTORE_SYSROOT_{kind.upper()}")
    if kind not in ROOTS or not root or names_datastore(project, files):
        yield
        return
    with start_asking(target, folder, kind, root) as process:
        try:
            yield
            reason, _ = process.communicate(timeout=ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            reason = f"no answer within {ANSWER_TIMEOUT_S} s: check the network, and your login"
        finally:
            process.kill()
    if process.returncode == CANNOT_BE_USED or reason.startswith("no answer"):
        what = f"cannot use the datastore {root}: {reason.strip()}"
        raise CommandError(Finding("datastore-unusable", what, root))
