"""Runs each flow both ways on the development cluster, and compares the pods that were made."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..check.live import check_live
from ..cluster.target import Target
from ..deploy.create import report_findings
from ..errors import INTERRUPTED, CommandError, Finding, raise_if
from ..metaflow.compile_flows import CompiledFile, compile_flows, not_compiled
from ..project.kind_toml import (
    HOW_TO_RUN,
    FlowSettings,
    print_tables_without_flow,
    read_flow_settings,
)
from ..project.project import Project, shown_path
from ..show.progress import print_line, stage
from .cluster import Cluster
from .run_flows import FlowRun, run_on_argo, run_with_kubernetes
from .stuck_runs import interrupted

FLOWS_AT_ONCE = 2  # flows, because most of a run's time is waiting
RUNNERS: dict[str, Callable[[FlowRun], str]] = {"run": run_with_kubernetes, "argo": run_on_argo}


def test_flows(
    project: Project,
    cluster: Cluster,
    target: Target,
    names: Sequence[str],
    parameters: Sequence[str],
) -> bool:
    """Test flows, and return whether all of them pass.

    `names` are files or flows; without any, all that tests/kind.toml does not leave out.
    `parameters` are used instead of those of tests/kind.toml.
    """
    settings = read_flow_settings(project)
    print_tables_without_flow(project)
    files = project.flow_files(names)
    if not names:
        files = [file for file in files if not is_skipped(file, settings)]
    compiled = compile_flows(project, files, target.variables)
    results = [result for result in compiled if result.flow or result.error]
    results.sort(key=number_of_steps, reverse=True)  # or a long one would end alone
    if not results:
        what = "no flow to test: tests/kind.toml skips all, or these files start none"
        raise CommandError(Finding("no-flow-to-test", what))

    def passes(result: CompiledFile) -> bool:
        own = parameters or settings.get(result.file.stem, {}).get("parameters", ())
        title = flow_title(project, result.file)
        return all(
            [
                passes_by(way, FlowRun(project, cluster, target, result, own, f"{title}-{way}"))
                for way in RUNNERS
            ]
        )

    with ThreadPoolExecutor(FLOWS_AT_ONCE) as pool:
        try:
            return all([*pool.map(passes, results)])
        except BaseException:  # Ctrl-C reaches this thread alone
            interrupted.set()
            raise


def number_of_steps(result: CompiledFile) -> int:
    return len(result.flow["steps"]) if result.flow else 0


def is_skipped(file: Path, settings: dict[str, FlowSettings]) -> bool:
    """Return whether tests/kind.toml leaves a flow out, and print why."""
    reason = settings.get(file.stem, {}).get("skip")
    if reason:
        print_line(f"{file.stem}: left out: {reason}")
    return bool(reason)


def flow_title(project: Project, file: Path) -> str:
    """Return a name that no other flow has: two folders may have a file of one name."""
    path = file.relative_to(project.root) if file.is_relative_to(project.root) else Path(file.name)
    return "-".join(path.with_suffix("").parts).removeprefix("flows-")


def passes_by(way: str, run: FlowRun) -> bool:
    """Run a flow one way, print what came of it, and return whether all is right."""
    with stage(f"{run.name.removesuffix(f'-{way}')} {way}") as testing:
        try:
            if run.compiled.error:
                raise CommandError(not_compiled(shown_path(run.compiled.file), run.compiled.error))
            if interrupted.is_set():
                raise CommandError(INTERRUPTED)
            run_id = RUNNERS[way](run)
            compiled = [run.compiled]
            live = check_live(run.project, compiled, run.target, run_id, templates=())
            raise_if(report_findings(reports := list(live)))
            testing.result = f"{len(reports[-1].pods)} pods match k8s.toml"
        except CommandError as error:
            print_line(f"{error}\n{run.compiled.file.name}: {HOW_TO_RUN}")
            testing.result = "FAILED"
            return False
    return True
