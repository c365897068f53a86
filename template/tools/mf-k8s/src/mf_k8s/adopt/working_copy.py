"""A copy of a project in which flows are compiled, so that nothing is written to the project."""

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import CommandError
from ..metaflow.compile_flows import CompiledFile, run_worker
from ..programs.run import git, git_or_nothing, process_variables
from ..project.kind_toml import variables_of_tests
from ..project.project import Project
from .read_flows import FlowClass

STARTERS = ".k8s-adopt"  # the folder, in a copy of the project, of files that start other flows
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


class Copy:
    """A copy of a project in which flows are compiled, before and after a change.

    `prefix` is the project's path in its repository.
    """

    def __init__(self, project: Project, folder: Path, prefix: str = "") -> None:
        self.original = project
        self.folder = folder
        self.project = dataclasses.replace(project, root=folder / "project" / prefix)
        self.batch: Mapping[str, str] | None = None  # what run_worker needs for @batch
        self.started: dict[Path, Path] = {}  # the project's file that a file of the copy stands for

    def file(self, original: Path) -> Path:
        return self.project.root / original.relative_to(self.original.root)

    def write(self, contents: Mapping[Path, bytes]) -> None:
        for original, content in contents.items():
            file = self.file(original)
            self.make_real(file.parent)
            if file.is_symlink():
                file.unlink()
            file.write_bytes(content)

    def make_real(self, folder: Path) -> None:
        """Make a folder, and those above it; one takes the place of a link out of the copy."""
        if folder != self.folder:
            self.make_real(folder.parent)
        original = folder.resolve()
        if folder.is_symlink() and not original.is_relative_to(self.folder):
            folder.unlink()
            folder.mkdir()
            for entry in original.iterdir():
                self.add_ignored(entry, folder / entry.name)
        folder.mkdir(exist_ok=True)

    def add_files(self, original: Path, folder: Path) -> None:
        """Copy the files of a repository, or of a part of it, and link what git ignores there."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in listed_by_git(original, "-co"):
            source, target = original / name, folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                self.add_link(source, target)
            elif (source / ".git").exists():  # a submodule, or another repository
                self.add_files(source, target)
                add_git(source, target)
            elif source.is_file():
                shutil.copy2(source, target)
        for name in listed_by_git(original, "-oi", "--directory"):
            self.add_ignored(original / name, folder / name)

    def add_ignored(self, source: Path, target: Path) -> None:
        """Copy a Python file, which may be a flow or a module of one, and link anything else."""
        if os.path.lexists(target) or target.name == "__pycache__":
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".py" and source.is_file() and not source.is_symlink():
            shutil.copy2(source, target)
        else:
            self.add_link(source, target)

    def add_link(self, source: Path, target: Path) -> None:
        """Make a link to what `source` is or links to: in the copy, if that is in the project."""
        real = Path(os.path.realpath(source))
        if source.is_symlink() and real.is_relative_to(self.original.root):
            real = Path(os.path.relpath(self.file(real), target.parent))
        target.symlink_to(real)

    def starter(self, flow: FlowClass) -> Path:
        """Write a file that starts a flow whose own file does not; its name is that of the file."""
        file = self.file(flow.file)
        starter = self.folder / STARTERS / flow.name / file.name
        starter.parent.mkdir(parents=True, exist_ok=True)
        text = STARTER.format(
            folder=str(file.parent), module=file.stem, file=str(file), name=flow.name
        )
        starter.write_text(text, encoding="utf-8")
        self.started[starter] = flow.file
        return starter

    def compile(self, files: Sequence[Path], config_text: str) -> list[CompiledFile]:
        """Return what came of files of the copy, with another k8s.toml.

        A result has the file of the project, not that of the copy.
        """
        config = self.folder / "k8s.toml"
        config.write_text(config_text, encoding="utf-8")
        inside = [Path(entry) for entry in sys.path if entry]
        inside = [entry for entry in inside if entry.is_relative_to(self.original.root)]
        path = [str(self.file(entry)) for entry in inside if ".venv" not in entry.parts]
        variables = variables_of_tests(self.project) | process_variables()
        variables |= {
            "PYTHONPATH": os.pathsep.join(filter(None, [*path, variables.get("PYTHONPATH")])),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        for file in files:
            self.make_real(file.parent)
        project = dataclasses.replace(self.project, other_config=config)
        worker = run_worker(project, files, variables, batch=self.batch)
        results = list(worker) if files else []
        return [dataclasses.replace(each, file=self.original_of(each.file)) for each in results]

    def original_of(self, file: Path) -> Path:
        return self.started.get(file) or self.original.root / file.relative_to(self.project.root)


@contextlib.contextmanager
def copied(project: Project) -> Iterator[Copy]:
    """Yield a copy of a project, in which git answers as in the project."""
    try:
        prefix = git(project.root, "rev-parse", "--show-prefix")
    except CommandError as error:
        raise CommandError(f"{error}; adopt needs git, which can undo what it writes") from error
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(project, Path(folder).resolve(), prefix)
        copy.add_files(project.root, copy.project.root)
        add_git(project.root, copy.folder / "project")
        around = zip(project.root.parents, copy.project.root.parents, strict=False)
        for original, copied_folder in around:  # in a larger repository, what is beside the project
            if copied_folder == copy.folder:
                break
            for entry in original.iterdir():
                copy.add_ignored(entry, copied_folder / entry.name)
        yield copy


def add_git(original: Path, folder: Path) -> None:
    """Let git answer in a copied folder as in the original, and write to the copy alone.

    Objects are read from the original, as by `git clone --shared` (gitrepository-layout says what
    the files are).
    """
    printed = git(original, "rev-parse", "--absolute-git-dir", "--git-common-dir")
    own, common = (original / line for line in printed.split("\n"))  # they differ in a worktree
    target = folder / ".git"
    (target / "objects/info").mkdir(parents=True)
    (target / "objects/info/alternates").write_bytes(os.fsencode(common.resolve() / "objects"))
    shared = [common / name for name in ("config", "info", "packed-refs", "refs", "shallow")]
    for source in (own / "HEAD", own / "index", *own.glob("sharedindex.*"), *shared):
        if source.is_dir():
            shutil.copytree(source, target / source.name)
        elif source.is_file():
            shutil.copyfile(source, target / source.name)
    git_or_nothing(original, "config", "--file", target / "config", "--unset", "core.worktree")


def listed_by_git(root: Path, *options: str) -> list[str]:
    """Return the files below a folder that `git ls-files` lists."""
    listed = git(root, "ls-files", *options, "--exclude-standard", "-z")
    return [name for name in listed.split("\0") if name]
