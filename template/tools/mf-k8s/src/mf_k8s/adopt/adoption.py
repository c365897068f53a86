"""Adopts flows: reads them, compiles them, proposes, rewrites, and compiles them again."""

import tempfile
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Finding, raise_if
from ..metaflow.compile_flows import CompiledFile
from ..project.k8s_toml import read_schema, read_toml, schema_findings
from ..project.project import Project, shown_path
from .from_batch import Conversion, convert_batch
from .propose_config import Ask, normal_values, propose
from .prove_same_pods import Proof, prove
from .read_decorators import Decorator
from .read_flows import FlowClass, hidden_flows, read_flows, steps_on_batch
from .rewrite import rewritten
from .trial_compilation import Trial
from .which_flows import other_files, own_files
from .write_config import write_config


@dataclass(frozen=True)
class Adoption:
    """What would be written, and what it does."""

    contents: dict[Path, bytes]  # of each file that changes
    proof: Proof
    notes: list[str]


def adopt_flows(
    project: Project, files: Sequence[Path], config_file: Path, ask: Ask, from_batch: bool = False
) -> Adoption:
    """Return the adoption of the flows in files, @batch too if asked for; nothing is written.

    Raise CommandError if no file has a flow, or if a flow does not compile, before or after.
    """
    conversion = convert_batch(project, files) if from_batch else Conversion()
    flows = read_flows(project, files, conversion.sources)
    notes = notes_on(project, files, flows)
    flows = [flow for flow in flows if not flow.derives]
    if not flows:
        return Adoption({}, Proof([], [], {}), notes)
    raise_if(unadoptable(flows))
    config = read_toml(config_file)
    content = config_file.read_bytes()
    text = content.decode("utf-8-sig")
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(project, Path(folder).resolve(), conversion.settings)
        own = own_files(trial, flows, files)
        before = trial.compile(own, text)
        raise_if(uncompiled(before, "before"))
        change = propose_change(project, flows, before, text, ask)
        contents = conversion.contents(project, flows, change.contents)
        others = other_files(project, own, files, contents.keys(), change.config_text != text)
        compiled, problems = comparable(trial.compile(others, text))
        trial.replace(contents)
        before += compiled
        after = trial.compile([*own, *(result.file for result in compiled)], change.config_text)
        raise_if(uncompiled(after, "after"))
        raise_if(underived(flows, after))
        proof = prove(before, after, config, tomllib.loads(change.config_text))
    if change.config_text != text:
        bom = BOM_UTF8 if content.startswith(BOM_UTF8) else b""
        contents = {config_file: bom + change.config_text.encode(), **contents}
    return Adoption(contents, proof, [*notes, *problems, *conversion.notes, *change.notes])


def notes_on(project: Project, files: Sequence[Path], flows: Sequence[FlowClass]) -> list[str]:
    """Return a line for each flow that derives already, for each file without one, and the like."""
    hidden = hidden_flows(project, files)
    with_flows = {flow.file for flow in flows} | hidden.keys()
    return [
        *(
            f"{shown_path(flow.file)}: {flow.name} derives from BaseFlow already"
            for flow in flows
            if flow.derives
        ),
        *(
            f"{shown_path(each)} has no flow, so it stays"
            for each in files
            if each not in with_flows
        ),
        *(note for of_file in hidden.values() for note in of_file),
    ]


def comparable(results: Sequence[CompiledFile]) -> tuple[list[CompiledFile], list[str]]:
    """Return what compiles of flows that are not adopted, and why the rest is not compared."""
    problems = [
        f"{shown_path(result.file)} does not compile, so it is not compared: {result.error}"
        for result in results
        if result.error
    ]
    return [result for result in results if not result.error], problems


@dataclass(frozen=True)
class Change:
    """What an adoption writes, before it is proven."""

    config_text: str  # of k8s.toml
    contents: dict[Path, bytes]  # of the flows' files
    notes: list[str]  # on what stays as it is


def propose_change(
    project: Project,
    flows: Sequence[FlowClass],
    compiled: Sequence[CompiledFile],
    config_text: str,
    ask: Ask,
) -> Change:
    """Return the change that adopts flows, which `compiled` knows as they are now.

    Raise CommandError for a value that k8s.toml could not have.
    """
    decorators = [each for flow in flows for step in flow.steps for each in step.kubernetes]
    for flow in flows:
        believe_metaflow(flow, flows, compiled)
    raise_if(invalid_values(project, decorators))
    proposal = propose(decorators, tomllib.loads(config_text), ask)
    return Change(
        write_config(config_text, proposal.config),
        rewritten(project, flows, proposal.rewrites),
        [*unreadable_notes(decorators), *unproven_notes(flows)],
    )


def unadoptable(flows: Sequence[FlowClass]) -> Iterator[Finding]:
    """Yield steps with @batch, and base classes of elsewhere."""
    places = [place for flow in flows for _, place in steps_on_batch(flow)]
    if places:
        what = f"Argo Workflows runs no step with @batch: {', '.join(places)}"
        remedy = "add --from-batch, which turns @batch into @k8s, or delete these lines"
        yield Finding("batch-on-argo", what, remedy=remedy)
    for flow in flows:
        if flow.foreign_base:
            yield Finding(
                "base-class-of-elsewhere",
                f"{flow.name} derives from {flow.foreign_base}, which is no class at the top of a"
                " file of this project",
                flow.source.place(flow.line),
                "let it derive from BaseFlow, or write class"
                f" {flow.name}(BaseFlow, {flow.foreign_base})",
            )


def uncompiled(results: Sequence[CompiledFile], when: str) -> Iterator[Finding]:
    """Yield the flows that do not compile `before` or `after` the adoption."""
    for result in results:
        if result.error:
            where = shown_path(result.file)
            what = f"{where} does not compile {when} its adoption: {result.error}"
            yield Finding("adoption-not-compiled", what, where, "nothing is written")


def underived(flows: Sequence[FlowClass], results: Sequence[CompiledFile]) -> Iterator[Finding]:
    """Yield the adopted flows that do not derive from BaseFlow afterwards."""
    adopted = {(flow.file, flow.name) for flow in flows}
    for result in results:
        flow = result.flow
        if flow and (result.file, flow["name"]) in adopted and not flow["derives"]:
            what = f"{flow['name']} would still not derive from BaseFlow; nothing is written"
            yield Finding("adoption-not-derived", what, shown_path(result.file))


def believe_metaflow(
    flow: FlowClass, flows: Sequence[FlowClass], compiled: Sequence[CompiledFile]
) -> None:
    """Take what Metaflow saw otherwise than a flow's source has it for unreadable."""
    family = {(each.file, each.name) for each in flows if each is flow or derives(each, flow)}
    known = [
        result.flow
        for result in compiled
        if result.flow and (result.file, result.flow["name"]) in family
    ]
    for step in flow.steps:
        seen = [
            each["steps"][step.name]["overrides"] for each in known if step.name in each["steps"]
        ]
        values = [normal_values(override["values"]) for overrides in seen for override in overrides]
        for decorator in step.kubernetes:
            if seen and not values:  # the name is not Metaflow's here
                decorator.leave()
            for argument in decorator.arguments:
                read = normal_values(argument.values).items()
                if any(found.get(key) != value for found in values for key, value in read):
                    argument.values, argument.readable = {}, False


def derives(flow: FlowClass, base: FlowClass) -> bool:
    return any(parent is base or derives(parent, base) for parent in flow.parents)


def invalid_values(project: Project, decorators: Sequence[Decorator]) -> Iterator[Finding]:
    """Yield, with file and line, the values that k8s.toml could not have."""
    schema = read_schema(project)
    for decorator in decorators:
        name = f"step {decorator.step}" if decorator.source.lines else "@kubernetes"
        values = normal_values(decorator.values)
        values = {key: value for key, value in values.items() if value is not None}
        yield from schema_findings(values, schema, f"{decorator.place}: {name}")


def unreadable_notes(decorators: Sequence[Decorator]) -> list[str]:
    """Return a line for each value that stays, because it cannot be read."""
    return [
        f"{decorator.place}: step {decorator.step}: only a run knows {text}, so it stays"
        for decorator in decorators
        for text in decorator.unreadable
    ]


def unproven_notes(flows: Sequence[FlowClass]) -> list[str]:
    """Return a line for each step that stays, because it is written more than once."""
    return [
        f"{flow.source.place(line)}: step {name} depends on a condition or is written twice, so it"
        " stays, and is not proven"
        for flow in flows
        for line, name in flow.unproven
    ]
