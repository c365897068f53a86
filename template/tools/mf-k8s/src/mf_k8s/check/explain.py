"""Shows where the settings of one step come from, layer by layer, from low to high."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import CommandError, Finding, raise_if
from ..metaflow.compile_flows import CompiledFile, compile_flows, not_compiled
from ..metaflow.configuration import Configuration
from ..metaflow.read_defaults import read_metaflow_defaults
from ..metaflow.read_place import read_place
from ..pods.flow_facts import StepFacts
from ..pods.metaflow_defaults import MetaflowDefault, with_defaults
from ..project.environment_layer import Layer, merged_config, shared_layers
from ..project.environments import NO_ENVIRONMENT
from ..project.merge_settings import from_texts, step_settings
from ..project.project import Project, shown_path
from ..show.tables import Printer


def explain_step(
    project: Project, files: Sequence[Path], step: str, environment: str
) -> dict[str, list[Layer]]:
    """Return the layers of a step by the flow's name; raise CommandError if no flow has it."""
    place = read_place(project, environment) if environment else NO_ENVIRONMENT
    own = Configuration(dict(place.variables), reads_files=False)
    defaults = read_metaflow_defaults(own, on_argo=True)
    at = project.at(environment)
    compiled = list(compile_flows(at, files))
    raise_if(not_compiled(shown_path(each.file), each.error) for each in compiled if each.error)
    if found := {name: [*layers(at, facts, defaults)] for name, facts in having(compiled, step)}:
        return found
    steps = {name for each in compiled if each.flow for name in each.flow["steps"]}
    what = f"no flow has a step {step}; there are {', '.join(sorted(steps)) or 'none'}"
    raise CommandError(Finding("step-unknown", what))


def having(compiled: Iterable[CompiledFile], step: str) -> Iterator[tuple[str, StepFacts]]:
    """Yield the name of each flow that has a step, and what the code says of that."""
    for each in compiled:
        if each.flow and step in each.flow["steps"]:
            yield each.flow["name"], each.flow["steps"][step]


def layers(
    project: Project, step: StepFacts, defaults: Sequence[MetaflowDefault]
) -> Iterator[Layer]:
    """Yield the layers that give a step something, from low to high, and what comes of them."""
    files = dict(shared_layers(project))
    pools = [override["pool"] for override in step["overrides"] if override["pool"]]
    found = [(default.variable, {default.key: default.value}) for default in defaults]
    for name, values in files.items():
        found.append((name, {k: v for k, v in values.items() if k not in ("pools", "workflow")}))
    for pool in pools:
        of_pool = {name: values.get("pools", {}).get(pool, {}) for name, values in files.items()}
        found += [(f"pool {pool} of {name}", values) for name, values in of_pool.items()]
    for override in step["overrides"]:
        found.append((override.get("source", "on the step"), from_texts(override["values"])))
    found.append(("@resources", step["resources"]))
    # Metaflow attaches the first `--with` a second time, over the others
    last = (each for index, each in enumerate(found) if each not in found[index + 1 :])
    yield from ((name, values) for name, values in last if values)
    settings = with_defaults(step_settings(merged_config(project), step), defaults)
    yield "together, without @resources" if step["resources"] else "together", settings


def show_layers(found: Mapping[str, Sequence[Layer]], step: str, markdown: bool) -> None:
    """Print the layers of a step for people."""
    printer = Printer(markdown)
    for flow, of_flow in found.items():
        printer.heading(f"{flow}: step {step}")
        for name, values in of_flow:
            printer.block(name, {key: printer.cell(value) for key, value in values.items()})


def layers_as_json(found: Mapping[str, Sequence[Layer]]) -> str:
    """Return what `--format json` prints: by flow, the layers from low to high."""
    flows = {
        flow: [{"layer": name, "values": values} for name, values in of_flow]
        for flow, of_flow in found.items()
    }
    return json.dumps({"version": 1, "layers": flows, "errors": []}, indent=2)
