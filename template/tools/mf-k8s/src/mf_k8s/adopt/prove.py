"""The pods of flows before and after adoption, and how they differ."""

import contextlib
import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compile_flows import CompiledFile, FlowFacts, run_worker
from ..complete_template import complete_template
from ..config import Config, shared_settings
from ..errors import CommandError
from ..expected_pods import FROM_FIRST_STEP, PLAIN_STEP, step_pod
from ..flow_files import starts_flow
from ..metaflow_defaults import PYTHON_IMAGE
from ..plan.differences import Change, differences, planned_settings
from ..programs import run_program
from ..project import Project, shown_path
from ..read_pods import WORKFLOW, normalized
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


@dataclass(frozen=True)
class Proof:
    """What an adoption does to pods."""

    configured: list[Change]  # the old value was Metaflow's default or missing, or is still there
    changed: list[Change]  # somebody had asked for the old value
    unchanged: dict[str, list[str]]  # the other pods, by flow


class Copy:
    """A copy of a project in which flows are compiled, before and after a change."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.original = project
        self.folder = folder
        self.project = dataclasses.replace(project, root=folder / "project")
        self.started: dict[Path, Path] = {}  # the project's file that a file of the copy stands for

    def file(self, original: Path) -> Path:
        return self.project.root / original.relative_to(self.original.root)

    def write(self, contents: Mapping[Path, bytes]) -> None:
        for file, content in contents.items():
            self.file(file).parent.mkdir(parents=True, exist_ok=True)
            self.file(file).write_bytes(content)

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
        kept = os.environ.get("PYTHONPATH")
        environment = {
            "K8S_CONFIG": str(config),
            "PYTHONPATH": os.pathsep.join(filter(None, [*path, kept])),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with variables(environment):
            results = list(run_worker(self.project, files, (sys.executable,))) if files else []
        return [dataclasses.replace(each, file=self.original_of(each.file)) for each in results]

    def original_of(self, file: Path) -> Path:
        return self.started.get(file) or self.original.root / file.relative_to(self.project.root)


@contextlib.contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def copied(project: Project) -> Iterator[Copy]:
    """Yield a copy of a project: what git knows or would add, and links to what it ignores."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(project, Path(folder).resolve())
        copy.project.root.mkdir()
        listed = listed_by_git(project.root, "-co")
        ignored = listed_by_git(project.root, "-oi", "--directory")
        for name in listed:
            source, target = project.root / name, copy.project.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink() or source.is_dir():
                target.symlink_to(source.resolve())
            elif source.is_file():
                shutil.copy2(source, target)
        for name in ignored:
            target = copy.project.root / name.rstrip("/")
            if target.name != "__pycache__" and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to((project.root / name).resolve())
        yield copy


def listed_by_git(root: Path, *options: str) -> list[str]:
    """Return the files below a folder that `git ls-files` lists."""
    try:
        listed = run_program("git", "ls-files", *options, "--exclude-standard", "-z", folder=root)
    except CommandError as error:
        raise CommandError(f"{error}; adopt needs git, which can undo what it writes") from error
    return [name for name in listed.split("\0") if name]


def pods_of(result: CompiledFile, config: Config) -> dict[str, Any]:
    """Return a flow's planned settings; of a flow of BaseFlow those that `deploy` writes."""
    assert result.flow and result.template
    template = result.template
    if result.flow["derives"]:
        workflow = config.get("workflow", {})
        template = complete_template(template, shared_settings(config), workflow)
    return planned_settings(template, result.flow["steps"])


def prove(
    before: Sequence[CompiledFile], after: Sequence[CompiledFile], old: Config, new: Config
) -> Proof:
    """Return how the pods of flows differ; `old` and `new` are what is in k8s.toml.

    The results are of the same files, in one order.
    """
    facts: dict[str, FlowFacts] = {}
    pods_before, pods_after = {}, {}
    for earlier, later in zip(before, after, strict=True):
        if earlier.flow and later.flow:
            name = earlier.flow["name"]
            if name in facts and facts[name] != earlier.flow:  # another file has that name, too
                name = f"{name} ({shown_path(earlier.file)})"
            facts[name] = earlier.flow
            pods_before[name], pods_after[name] = pods_of(earlier, old), pods_of(later, new)
    plan = differences(pods_before, pods_after, "before")
    gained = [change for change in plan["changes"] if only_adds(change, facts[change["flow"]])]
    changed = [change for change in plan["changes"] if change not in gained]
    return Proof(gained, changed, plan["unchanged"])


def only_adds(change: Change, flow: FlowFacts) -> bool:
    """Return whether a change only adds: it takes away nothing that the flow's code had asked for.

    That is so if the old value was Metaflow's default or missing, or if the new one contains it.
    A flow that derives from BaseFlow had asked for all that it has.
    """
    setting, old, new = change["setting"], change["old"], change["new"]
    if flow["derives"] or new is None:
        return False
    if change["pod"] == WORKFLOW:  # what k8s.toml has for the whole workflow
        return old is None
    if isinstance(old, dict) and isinstance(new, dict) and setting != "gpu":
        return old.items() <= new.items()
    if isinstance(old, list) and isinstance(new, list):
        return all(item in new for item in old)
    step = flow["steps"].get(change["pod"].partition("/")[0])
    usual = step_pod({}, PLAIN_STEP) if step else normalized({"image": PYTHON_IMAGE})
    overridden: set[str] = set()
    if step:
        overridden = {key for override in step["overrides"] for key in override["values"]}
        overridden |= {key for key, value in step["resources"].items() if value is not None}
    elif change["pod"] in flow["hooks"] or setting in FROM_FIRST_STEP:
        first = flow["steps"][flow["start"]]["overrides"]
        overridden = {key for override in first for key in override["values"]}
    return setting not in overridden and old == usual.get(setting)


def flows_to_compile(
    copy: Copy, flows: Sequence[FlowClass], named: Sequence[Path]
) -> tuple[list[Path], list[Path]]:
    """Return the files, in the copy, that start a flow: those of adoption, and the project's other.

    Every flow of the project is compiled, because a change of k8s.toml reaches each of them.
    """
    files = {flow.file for flow in flows} | {*named}
    own = [copy.file(file) for file in sorted(files) if starts_flow(file)]
    others = [file for file in copy.original.flow_files() if file not in files]
    return own, [copy.file(file) for file in others if starts_flow(file)]
