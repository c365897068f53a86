"""The jobs of a project's workflow on GitHub, run by act on this machine as on a runner."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import EXAMPLE, ROOT, UV, run
from teams import commit, git, replace

ACT = UV.with_name("act")
NEEDED = ("docker", "kind", "kubectl")
CLUSTER = f"act-{os.getpid()}"

pytestmark = [
    pytest.mark.kind,
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason=f"not all on PATH: {', '.join(NEEDED)}"
    ),
]


# A team's first flow: a library without types, a data file, and a bare @kubernetes.
SCORE = '''"""Scores customers."""

import io

import pandas as pd
from metaflow import IncludeFile, kubernetes, step

from churn_model import BaseFlow


class ScoreFlow(BaseFlow):
    table = IncludeFile("table", default="data/customers.csv")

    @kubernetes
    @step
    def start(self):
        self.customers = pd.read_csv(io.StringIO(self.table))
        self.next(self.end)

    @step
    def end(self):
        print(len(self.customers))


if __name__ == "__main__":
    ScoreFlow()
'''


@pytest.fixture(scope="module")
def project(copy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose team has put its own flow in the examples' place, all committed."""
    path = copy(tmp_path_factory.mktemp("act") / "churn-model", **EXAMPLE)
    for example in (path / "flows").glob("*.py"):
        example.unlink()
    (path / "flows/score.py").write_text(SCORE)
    (path / "data").mkdir()
    (path / "data/customers.csv").write_text("age\n30\n")
    run(UV, "add", "--quiet", "--no-sync", "pandas", cwd=path)
    git("init", "-q", "-b", "main", cwd=path)
    commit(path)
    return path


GH = """#!/bin/sh
echo "gh: $*" >&2
case "$*" in
    "run download"*) cp "{folder}/plan.md" .;;
    *--body-file*) cat body.md;;
esac
"""


@pytest.fixture(scope="module")
def actions(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder of programs, and act's options that put a stand-in in each action's place.

    That of setup-uv puts uv on PATH, that of upload-artifact keeps plan.md, from where a stand-in
    for gh downloads it; act does actions/checkout by itself.
    """
    folder = tmp_path_factory.mktemp("actions")
    (folder / "bin").mkdir()
    (folder / "bin/uv").symlink_to(UV)
    (folder / "bin/gh").write_text(GH.format(folder=folder))
    (folder / "bin/gh").chmod(0o755)
    commands = {
        "setup-uv": f'echo "{folder}/bin" >> "$GITHUB_PATH"',
        "upload-artifact": f'cp plan.md "{folder}"',
    }
    workflow = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())
    used = {step.get("uses") for job in workflow["jobs"].values() for step in job["steps"]}
    options = []
    for action in sorted(filter(None, used)):
        name = action.partition("@")[0].rpartition("/")[2]
        if name != "checkout":
            (folder / name).mkdir()
            step = {"shell": "bash", "run": commands.get(name, "true")}
            runs = {"using": "composite", "steps": [step]}
            (folder / name / "action.yml").write_text(yaml.safe_dump({"name": name, "runs": runs}))
            options += ["--local-repository", f"{action}={folder / name}"]
    return folder / "bin", options


@pytest.fixture
def act(project: Path, actions: tuple[Path, list[str]], tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs a job, which must succeed, and gives what it printed.

    The variables K8S_… reach it, by which a runner with no internet overrides what is downloaded.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith("K8S_")}
    variables["K8S_KIND_CLUSTER"] = CLUSTER
    programs, stand_ins = actions
    path = f"{programs}:{os.environ['PATH']}"  # a runner has gh
    options = ["-P", "ubuntu-latest=-self-hosted", "--action-cache-path", str(tmp_path), *stand_ins]
    for name, value in variables.items():
        options += ["--env", f"{name}={value}"]

    def act(job: str, event: str = "push", **payload: Any) -> str:
        (tmp_path / "event.json").write_text(json.dumps(payload))
        command = [ACT, event, "-j", job, "--eventpath", tmp_path / "event.json"]
        env = {**os.environ, "PATH": path}
        return run(*command, "--no-cache-server", *options, cwd=project, timeout=1800, **env)

    return act


@pytest.fixture
def cluster() -> Iterator[None]:
    """Delete the cluster in the end: a runner is thrown away with it."""
    try:
        yield
    finally:
        run("kind", "delete", "cluster", "--name", CLUSTER, cwd=ROOT)


def test_test(act: Callable[..., str]) -> None:
    assert "Job succeeded" in act("test")


def test_plan(act: Callable[..., str], project: Path) -> None:
    """A pull request's commit that gives each pod a second GPU is said in a comment on it."""
    base = git("rev-parse", "HEAD", cwd=project).strip()
    replace(project, [("k8s.toml", "\ngpu = 1\n", "\ngpu = 2\n")])
    commit(project)
    head = {"repo": {"fork": False}}
    pull_request = {"number": 7, "base": {"sha": base}, "head": head}
    try:
        output = act("comment", "pull_request", pull_request=pull_request)
    finally:
        git("reset", "--hard", "--quiet", base, cwd=project)
    assert output.count("Job succeeded") == 2  # plan makes it, comment posts it
    assert "gh: pr comment 7 --body-file body.md" in output
    comment = output.partition("<!-- k8s plan -->\n")[2]
    assert "## ScoreFlow: changed" in comment, output
    changes = re.findall(r"\| gpu \| ([\w, ]+?) +\| (.+?) +\| (.+?) +\|", comment)
    assert changes == [("start, end", "nvidia.com/gpu: 1", "nvidia.com/gpu: 2")], output


@pytest.mark.usefixtures("cluster")
def test_kind(act: Callable[..., str]) -> None:
    """The flow runs both ways, in a cluster made from nothing but the project."""
    output = act("kind")
    for way in ("run", "argo"):
        assert re.search(rf"score {way} +\d+ pods match k8s.toml", output), output[-4000:]
