"""Whole repositories are adopted: Metaflow's tutorials, a flat folder, a package, a part."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from adopting import adopt, empty, project, section, status
from conftest import BIN, run
from teams import commit, git

__all__ = ["empty", "project"]  # fixtures

# Prints the artifacts of a flow's newest run, without the names of its tasks.
ARTIFACTS = """
import json, sys
from metaflow import Flow, namespace
namespace(None)
found = {}
for step in Flow(sys.argv[1]).latest_run:
    for task in step:
        for artifact in task.artifacts:
            if artifact.id not in ("name", "k8s_config"):
                found[f"{step.id} {artifact.id}"] = repr(artifact.data)
print(json.dumps(found))
"""


def artifacts(flow: Path, name: str, project: Path, home: Path) -> dict[str, str]:
    """Run a flow here, with no cluster, and return what each step has made."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= {"METAFLOW_HOME": str(home), "METAFLOW_USER": "tests", "PYTHONHASHSEED": "0"}
    env |= {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home), "PYTHONPATH": str(project / "src")}
    run(sys.executable, flow, "run", cwd=flow.parent, **env)
    return json.loads(run(sys.executable, "-c", ARTIFACTS, name, cwd=home, **env))


LONG = bool(os.environ.get("LONG"))

# Those that run here without more packages or a network.
TUTORIALS = {"01-playlist/playlist": "PlayListFlow"}
TUTORIALS |= {"00-helloworld/helloworld": "HelloFlow"} if LONG else {}


@pytest.mark.long
def test_tutorials_of_metaflow(project: Path, tmp_path: Path) -> None:
    """Those that need no package and no network make the same artifacts here as before.

    With LONG=1 all are adopted.
    """
    import metaflow

    tutorials = Path(metaflow.__file__).parent / "tutorials"
    for folder in tutorials.iterdir():
        if LONG or folder.name in ("01-playlist", "05-hello-cloud"):
            shutil.copytree(folder, project / "flows" / folder.name)
    options = '["--environment=conda"]'
    (project / "tests/kind.toml").write_text(f"[playlist]\noptions = {options}\n")
    commit(project)
    files = [f"flows/{name}.py" for name in ("01-playlist/playlist", "05-hello-cloud/hello-cloud")]
    if LONG:
        files = sorted(str(file.relative_to(project)) for file in project.glob("flows/*/*.py"))
        assert len(files) == 6
    before = {
        flow: artifacts(project / f"flows/{flow}.py", name, project, tmp_path)
        for flow, name in TUTORIALS.items()
    }
    printed, _ = adopt(project, *files, "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    assert status(project).count(" M flows/") == len(files)
    for flow, name in TUTORIALS.items():
        after = artifacts(project / f"flows/{flow}.py", name, project, tmp_path)
        assert after.keys() == before[flow].keys()
        for key, value in after.items():
            if key.split()[1] != "bonus":  # which is chosen at random; the others are shuffled
                assert sorted(value) == sorted(before[flow][key]), key


TEAM_FLOW = """from metaflow import FlowSpec, kubernetes


class TeamFlow(FlowSpec):
    team = "churn"


def on_team_image(memory):
    return kubernetes(image="ghcr.io/acme/team:7", memory=memory)
"""
TRAIN = """from metaflow import FlowSpec, kubernetes, step
from features import names


class TrainFlow(FlowSpec):
    @step
    def start(self):
        self.names = names()
        self.next(self.train)

    @kubernetes(image="ghcr.io/acme/team:7", memory=8000)
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.names)


if __name__ == "__main__":
    TrainFlow()
"""
IN_PACKAGE = """from churn.team_flow import TeamFlow, on_team_image
from metaflow import step


class ScoreFlow(TeamFlow):
    @on_team_image(memory=8000)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.team)


if __name__ == "__main__":
    ScoreFlow()
"""
FEATURES = "def names():\n    return ['age', 'tenure']\n"


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a repository with files, and copies the template over it."""

    def repository(files: dict[str, str], folder: str = ".", **answers: str) -> Path:
        root = tmp_path / "repository"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        git("init", "-q", "-b", "main", cwd=root)
        commit(root)
        data = [f"--data={key}={value}" for key, value in answers.items()]
        copy = ("copy", "--quiet", "--defaults", "--skip", "*", *data, str(template), ".")
        run(BIN / "copier", *copy, cwd=root / folder)
        for name in ("hello", "train"):
            if f"flows/{name}.py" not in files and folder == ".":
                (root / folder / f"flows/{name}.py").unlink()
        (root / folder / "tests/kind.toml").write_text("")
        return root / folder

    return repository


def test_a_flat_folder(repository: Callable[..., Path]) -> None:
    """Flows and their helper at the root, with requirements.txt."""
    files = {"train.py": TRAIN, "features.py": FEATURES, "requirements.txt": "metaflow\n"}
    project = repository(files, project_name="churn")
    git("mv", "train.py", "features.py", "flows/", cwd=project)
    commit(project)
    files = ("flows/features.py", "flows/train.py")
    printed, _ = adopt(project, *files, "--prefer=flows", "--apply")
    assert printed.endswith("flows/features.py has no flow, so it stays\n")
    assert "Changes:" not in printed
    assert status(project).split() == ["M", "flows/train.py", "M", "k8s.toml"]
    git("checkout", "-q", ".", cwd=project)
    assert (project / "flows/train.py").read_text() == TRAIN


POETRY = """[tool.poetry]
name = "churn"
version = "1.0"
description = ""
authors = ["Team <team@example.com>"]
packages = [{ include = "churn", from = "src" }]

[tool.poetry.dependencies]
python = ">=3.11"
metaflow = "*"
"""


@pytest.mark.long
def test_a_package_with_its_own_base_class(repository: Callable[..., Path], tmp_path: Path) -> None:
    """Of Poetry, in src/, with a flow inside the package and another CI."""
    flow = "src/churn/flows/score.py"
    files = {
        **{"pyproject.toml": POETRY, "src/churn/__init__.py": "", flow: IN_PACKAGE},
        **{"src/churn/flows/__init__.py": "", "src/churn/team_flow.py": TEAM_FLOW},
    }
    project = repository(files, project_name="churn", ci="none")
    pyproject = project / "pyproject.toml"
    assert pyproject.read_text() == POETRY
    pyproject.write_text(POETRY + '\n[tool.mf-k8s]\npackage = "churn"\n')
    commit(project)
    printed, _ = adopt(project, flow, "--prefer=flows", "--apply")
    assert "Changes:" not in printed
    team_flow = (project / "src/churn/team_flow.py").read_text()
    assert team_flow == TEAM_FLOW.replace("FlowSpec, kubernetes\n", "kubernetes\n\nBASE").replace(
        "BASE", "from churn.base import BaseFlow\n"
    ).replace("(FlowSpec)", "(BaseFlow)")
    expected = IN_PACKAGE.replace("    @on_team_image(memory=8000)\n", "")
    assert (project / flow).read_text() == expected.replace("TeamFlow, on_team_image", "TeamFlow")
    adopt(project, flow, command="check")
    if LONG:
        artifacts(project / flow, "ScoreFlow", project, tmp_path)


def test_a_folder_of_a_larger_repository(repository: Callable[..., Path]) -> None:
    """With git's root above it: plan and copier update work there, and nothing else is touched."""
    folder = "teams/churn"
    files = {
        **{f"{folder}/flows/train.py": TRAIN, f"{folder}/flows/features.py": FEATURES},
        **{"README.md": "All teams.\n", "teams/risk/flows/train.py": TRAIN},
    }
    project = repository(files, folder, project_name="churn")
    commit(project)
    arguments = ("flows/train.py", "--prefer=flows", "--apply", "--yes")
    printed, _ = adopt(project, *arguments)  # the example flow's pods change with k8s.toml
    assert "HelloFlow" in section(printed, "Changes")
    changed = ["M", f"{folder}/flows/train.py", "M", f"{folder}/k8s.toml"]
    assert status(project).split() == changed
    assert (project.parent / "risk/flows/train.py").read_text() == TRAIN
    commit(project)
    if not LONG:
        return

    config = project / "k8s.toml"
    config.write_text(config.read_text().replace("memory = 8000", "memory = 9000"))
    printed, _ = adopt(project, "--against=HEAD", "--format=json", command="plan")
    assert {change["new"] for change in json.loads(printed)["changes"]} == {"9000M"}
    commit(project)
    update = ("update", "--quiet", "--defaults", "--vcs-ref=:current:", "--data=cpu=2")
    run(BIN / "copier", *update, cwd=project)
    assert "\ncpu = 2\n" in config.read_text() and "memory = 9000" in config.read_text()
    assert "BaseFlow" in (project / "flows/train.py").read_text()
    assert status(project).split() == [
        "M",
        f"{folder}/.copier-answers.yml",
        "M",
        f"{folder}/k8s.toml",
    ]
