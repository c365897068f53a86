"""Which flows an adoption can change: only these are compiled, before and after."""

from collections.abc import Collection, Sequence
from pathlib import Path

from ..errors import CommandError
from ..project.flow_files import starts_flow
from ..project.project import Project
from .read_flows import FlowClass, FlowReader
from .trial_compilation import Trial


def own_files(trial: Trial, flows: Sequence[FlowClass], named: Sequence[Path]) -> list[Path]:
    """Return the files that start flows to be adopted, some of them made for it.

    A file that is named and has no flow may start one of another file.
    """
    reader = FlowReader(trial.project)
    files = {flow.file for flow in flows} | {file for file in named if not reader.flows_of(file)}
    own = [file for file in sorted(files) if starts_flow(file)]
    return [*own, *files_that_start(trial, flows, own)]


def files_that_start(trial: Trial, flows: Sequence[FlowClass], own: Sequence[Path]) -> list[Path]:
    """Return files that start the flows that their own file does not start.

    Not those that others derive from: they may be no whole flows.
    """
    parents = [parent for flow in flows for parent in flow.parents]
    last = [flow for flow in flows if flow not in parents]
    found = []
    for flow in last:
        alone = sum(each.file == flow.file for each in last) == 1
        if not (flow.file in own and alone) and has_steps(flow):
            found.append(trial.starter(flow))
    return found


def has_steps(flow: FlowClass) -> bool:
    return bool(flow.steps or flow.unproven) or any(map(has_steps, flow.parents))


def other_files(
    project: Project,
    own: Collection[Path],
    named: Sequence[Path],
    changed: Collection[Path],
    config_changes: bool,
) -> list[Path]:
    """Return the other files that start a flow whose pods may change.

    They import a file that changes; or k8s.toml changes, and they do not surely do without it.
    """
    real = {file: file.resolve() for file in [*named, *project.flow_files()]}
    found = (to if to.is_relative_to(project.root) else file for file, to in real.items())
    reader = FlowReader(project)
    return [
        file
        for file in dict.fromkeys(found)
        if file not in own
        and starts_flow(file)
        and may_change(reader, file, changed, config_changes)
    ]


def may_change(
    reader: FlowReader, file: Path, changed: Collection[Path], config_changes: bool
) -> bool:
    try:
        flows = reader.flows_of(file)
        imported = {source.file for source in reader.sources.reachable(reader.sources.load(file))}
    except CommandError:  # it is no Python, as compiling it will say
        return config_changes
    if imported & {*changed}:
        return True
    plain = flows and not any(flow.derives or flow.foreign_base for flow in flows)
    return config_changes and not plain
