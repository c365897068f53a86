"""Compiles flows as they are and as they would be, and writes nothing to the project."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..metaflow.compile_flows import CompiledFile, run_worker
from ..programs.run import process_variables
from ..project.kind_toml import variables_of_tests
from ..project.project import Project
from .read_flows import FlowClass

STARTER = """
import importlib.util, sys
sys.path.insert(0, {folder!r})
spec = importlib.util.spec_from_file_location({module!r}, {file!r})
module = importlib.util.module_from_spec(spec)
sys.modules[{module!r}] = module
spec.loader.exec_module(module)
if __name__ == "__main__":
    module.{name}()
"""


class Trial:
    """A folder for what flows are compiled from: new contents, and files that start flows."""

    def __init__(
        self, project: Project, folder: Path, batch: Mapping[str, str] | None = None
    ) -> None:
        self.project = project
        self.folder = folder
        self.batch = batch  # what run_worker needs for @batch
        self.replaced: dict[Path, Path] = {}  # by which files those of the project are replaced
        self.started: dict[Path, Path] = {}  # the project's file that a starter stands for

    def replace(self, contents: Mapping[Path, bytes]) -> None:
        """Let files of the project have other contents from now on."""
        for file, content in contents.items():
            self.replaced[file] = self.folder / f"{len(self.replaced)}.py"
            self.replaced[file].write_bytes(content)

    def starter(self, flow: FlowClass) -> Path:
        """Write a file that starts a flow whose own file does not; its name is that of the file."""
        file = flow.file
        starter = self.folder / str(len(self.started)) / file.name
        starter.parent.mkdir()
        text = STARTER.format(
            folder=str(file.parent), module=file.stem, file=str(file), name=flow.name
        )
        starter.write_text(text, encoding="utf-8")
        self.started[starter] = file
        return starter

    def compile(self, files: Sequence[Path], config_text: str) -> list[CompiledFile]:
        """Return what came of files, with another k8s.toml."""
        config = self.folder / "k8s.toml"
        config.write_text(config_text, encoding="utf-8")
        variables = variables_of_tests(self.project) | process_variables()
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
        project = dataclasses.replace(self.project, other_config=config, environment_file=None)
        worker = run_worker(project, files, variables, batch=self.batch, replaced=self.replaced)
        results = list(worker) if files else []
        return [
            dataclasses.replace(each, file=self.started.get(each.file, each.file))
            for each in results
        ]
