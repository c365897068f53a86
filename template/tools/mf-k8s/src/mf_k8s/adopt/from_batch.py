"""Reads flows with @batch as if they had @kubernetes, for `adopt --from-batch`."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Finding, raise_if
from ..metaflow.configuration import own_configuration
from ..metaflow.read_defaults import first_that_is_set
from ..project.k8s_toml import read_schema, schema_findings
from ..project.project import Project, shown_path
from .bound_names import called
from .convert_call import IMAGE, REGISTRY, CallConverter
from .python_file import Source, source_of
from .read_flows import FlowClass, FlowReader, flows_and_parents, steps_on_batch
from .resolve_names import Defined, Sources

MEMORY = "numbers of memory stay: AWS Batch takes them for MiB, a pod for MB, which is 4.6 % less"


@dataclass
class Conversion:
    """The files that flows are read from, with @kubernetes in the place of @batch."""

    sources: dict[Path, Source] = field(default_factory=dict)  # those that differ
    notes: list[str] = field(default_factory=list)  # what is dropped
    # What Metaflow's configuration gives to @batch, as variables.
    settings: dict[str, str] | None = None

    def contents(
        self, project: Project, flows: Sequence[FlowClass], contents: Mapping[Path, bytes]
    ) -> dict[Path, bytes]:
        """Return the new content of each file: of flows, and of helpers that flows still need.

        `contents` are those that adoption has changed further.
        """
        files = {flow.file for flow in flows}
        new = {file: self.sources[file].content for file in sorted(files & self.sources.keys())}
        new |= contents
        sources = Sources(project)
        sources.read |= self.sources
        sources.read |= {file: source_of(file, content) for file, content in contents.items()}
        helpers = {helper for file in files for helper in decorated_by(sources, file)}
        for helper in sorted(helpers & self.sources.keys() - new.keys()):
            new[helper] = self.sources[helper].content
            other = "its @batch is @kubernetes now, for other flows that use it too"
            self.notes.append(f"{shown_path(helper)}: {other}")
        return new


def decorated_by(sources: Sources, file: Path) -> set[Path]:
    """Return the files that define a decorator of a file's functions, and what it is made of."""
    source = sources.load(file)
    waiting: list[tuple[Source, ast.AST]] = [
        (source, called(decorator))
        for node in source.nodes_of(ast.FunctionDef)
        for decorator in node.decorator_list
    ]
    seen: set[Defined] = set()
    while waiting:
        source, defining = waiting.pop()
        found = {sources.meaning(source, name) for name in ast.walk(defining)}
        new = {each for each in found if isinstance(each, Defined)} - seen
        seen |= new
        waiting += [(each.source, each.node) for each in new]
    return {each.source.file for each in seen}


def convert_batch(project: Project, files: Sequence[Path]) -> Conversion:
    """Return the conversion of the files that flows are in, and of those that they import from.

    Raise CommandError where a step has both decorators, or for a value that cannot be converted.
    """
    reader = FlowReader(project)
    raise_if(batch_findings(flows_and_parents(reader, files)))
    own = own_configuration(project)
    settings = {
        f"METAFLOW_{names[0]}": first_that_is_set(own, names)[1] for names in (IMAGE, REGISTRY)
    }
    settings = {name: text for name, text in settings.items() if text}
    conversion = Conversion(settings=settings)
    for source in [*reader.sources.read.values()]:
        converter = CallConverter(reader, source, settings)
        converter.convert_file()
        conversion.notes += converter.notes
        if converter.uses_default_image:
            variable = first_that_is_set(own, IMAGE)[0]
            where = f"{variable}, for steps without an image"
            raise_if(schema_findings({"image": converter.image}, read_schema(project), where))
        if converter.edits.edits:
            content, lines = converter.edits.result()
            new = Source(source.file, content, lines, source.tree)
            conversion.sources[source.file] = new
    if conversion.sources:
        conversion.notes.append(MEMORY)
    return conversion


def batch_findings(flows: Iterable[FlowClass]) -> Iterator[Finding]:
    """Yield the steps with @batch that Metaflow or BaseFlow refuses."""
    on_batch = [(flow, *found) for flow in flows for found in steps_on_batch(flow)]
    if both := [place for _, step, place in on_batch if step.kubernetes]:
        what, places = "Metaflow refuses a step with @batch and @kubernetes", ", ".join(both)
        yield Finding("batch-beside-kubernetes", what, remedy=f"delete one of them at {places}")
    if refused := [place for flow, _, place in on_batch if flow.derives]:
        what = f"BaseFlow refuses @batch: {', '.join(refused)}"
        again = "let the class derive from FlowSpec again"
        remedy = f"{again}, and `uv run k8s adopt --from-batch` does the rest"
        yield Finding("batch-in-baseflow", what, remedy=remedy)
