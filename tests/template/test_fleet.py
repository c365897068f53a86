"""A fleet of 0.3.0, edited as teams do, gets the organisation's layer, and then a release of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fleet
import pytest
import yaml
from conftest import K8S, ROOT, how_many, run
from copier._main import Worker
from mf_k8s.adopt.write_files import write_all
from mf_k8s.drift.tidy import tidied
from mf_k8s.drift.values import drift
from mf_k8s.project.project import Project
from teams import commit, conflicts, copier_ends_with, git, make, update
from test_releases import RELEASED

PROJECTS = how_many("FLEET", 15, 50)  # all kinds of edits, and then with all kinds of answers
OLD, NEW, NEXT = "v0.3.0.post1", "v0.4.0.post1", "v0.4.0.post2"
FILE = "hooks/organisation.yml"


@pytest.fixture(scope="module")
def fork(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an organisation's fork, with its releases as tags, without the tool."""
    fork = tmp_path_factory.mktemp("fork") / "mf-template"
    fork.mkdir()
    git("init", "-q", "-b", "main", cwd=fork)
    parts = ("copier.yml", "hooks", "template", ":(exclude)template/tools")
    schema = "template/tools/mf-k8s/src/mf_k8s/environment.schema.json"
    try:
        git("cat-file", "-e", RELEASED["0.3.0"], cwd=ROOT)
    except AssertionError:
        pytest.skip("0.3.0 is not in this clone: it is shallow")
    for paths in (parts, (schema,)):
        archive = git("archive", RELEASED["0.3.0"], *paths, cwd=ROOT)
        subprocess.run(["tar", "x"], input=archive, text=True, cwd=fork, check=True)
    publish(fork, OLD, fleet.ORGANISATION)
    for path in fork.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ignored = shutil.ignore_patterns(".git")
    shutil.copytree(small_template, fork, dirs_exist_ok=True, ignore=ignored)
    publish(fork, NEW, fleet.ORGANISATION)
    publish(fork, NEXT, fleet.MOVED)
    return fork


def publish(fork: Path, tag: str, organisation: dict[str, Any]) -> None:
    (fork / FILE).write_text(yaml.safe_dump(organisation, sort_keys=False))
    commit(fork)
    git("tag", tag, cwd=fork)


def save(project: Path) -> None:
    """Commit what has changed, if anything has."""
    git("add", "-A", cwd=project)
    git("commit", "-q", "--allow-empty", "-m", "work", cwd=project)


@pytest.fixture(scope="module", autouse=True)
def render_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have Copier render once what it compares a project with: most are of the same answers.

    Those are a version's files in an empty folder, two for an update, besides the project itself.
    """
    run_copy = Worker.run_copy
    rendered: dict[str, Path] = {}

    def run_copy_once(worker: Worker) -> None:
        folder = Path(worker.dst_path)
        if "copier._main." not in str(folder):
            return run_copy(worker)
        answers = {key: value for key, value in worker.data.items() if key != "mf_k8s_identity"}
        key = json.dumps([worker.template.commit, answers], sort_keys=True, default=str)
        if key not in rendered:
            run_copy(worker)
            rendered[key] = tmp_path_factory.mktemp("rendered") / "files"
            shutil.copytree(folder, rendered[key])
        else:
            shutil.copytree(rendered[key], folder, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "run_copy", run_copy_once)
        yield


@pytest.fixture(scope="module")
def made(fork: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return a project of 0.3.0 for each kind of answers."""
    folder = tmp_path_factory.mktemp("made")
    return [
        make(fork, folder / str(index), OLD, project_name="churn-model", **answers)
        for index, answers in enumerate(fleet.ANSWERS)
    ]


@pytest.mark.parametrize("first", range(0, PROJECTS, 10))
def test_fleet_of_an_organisation(made, tmp_path, first):
    """The first update changes no pod and no file of values, and the next release reaches all.

    Pods are compared by each project's own settings.py: that of 0.3.0, and the new one.
    """
    old, new = fleet.load_settings(made[0], tmp_path / "old"), None
    for number in range(first, min(first + 10, PROJECTS)):
        project = shutil.copytree(made[number % len(made)], tmp_path / f"team-{number}")
        expected = fleet.edit(project, number)
        save(project)
        pods, places = fleet.pods(old, project), fleet.places(project)
        files = fleet.files(project)

        update(project, NEW)
        save(project)
        assert conflicts(project) == []
        assert fleet.files(project) == files
        new = new or fleet.load_settings(project, tmp_path / "new")
        updated = fleet.pods(new, project)
        assert {name: updated.get(name) for name in pods} == pods
        assert fleet.places(project) == places

        write_all(tidied(Project(project, fleet.PACKAGE)))
        save(project)
        assert fleet.pods(new, project) == updated
        assert fleet.places(project) == places
        assert [value.path for value in drift(Project(project, fleet.PACKAGE)) if value.equal] == []
        files = fleet.files(project)

        update(project, NEXT)
        assert conflicts(project) == []
        assert fleet.files(project) == files
        assert fleet.found(new, project) == expected
        assert "flows/hello.py" not in git("status", "--porcelain", cwd=project)


def test_what_a_team_had_left_out_stays_out(fork, made, tmp_path):
    """By its answers, which in 0.3.0 were all that pods got; a later value reaches it."""
    empty = {"persistent_volume_claims": "", "datastore_root": "", "advanced": True}
    empty |= {"image_pull_secrets": "", "metadata_service_url": ""}
    project = make(fork, tmp_path / "churn-model", OLD, project_name="churn-model", **empty)
    old = fleet.load_settings(made[0], tmp_path / "old")
    pods, places = fleet.pods(old, project), fleet.places(project)
    assert "image_pull_secrets" not in pods["prod: a100"]
    assert "METAFLOW_DEFAULT_DATASTORE" not in places["prod"][1]
    update(project, NEW)
    save(project)
    new = fleet.load_settings(project, tmp_path / "new")
    assert (fleet.pods(new, project), fleet.places(project)) == (pods, places)
    write_all(tidied(Project(project, fleet.PACKAGE)))
    save(project)
    update(project, NEXT)
    assert conflicts(project) == []
    moved = {"memory": 9000, "image": "new.acme.example/all/churn-model:0.1.0"}
    moved |= {"image_pull_secrets": ["acme-new"]}  # another one
    assert fleet.pods(new, project)["dev: None"] == pods["dev: None"] | moved
    assert fleet.places(project)["prod"] == places["prod"]


def test_plan_over_the_first_update_is_empty(made, tmp_path, capsys):
    """And over `k8s drift --tidy`, in a project with most of the edits."""
    project = shutil.copytree(made[1], tmp_path / "churn-model")
    for edit in (*fleet.EDITS, fleet.headings):
        if edit not in (fleet.without_flow, fleet.comments, fleet.crlf):
            edit(project, fleet.Expected())
    (project / "flows/train.py").unlink()
    save(project)

    uv = tmp_path / "uv"  # the old revision runs with this environment, too
    uv.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} "$@"\n')
    uv.chmod(0o755)

    def plan() -> str:
        """Return what changes since the commit of 0.3.0; it ends with 1 if something does."""
        return run(K8S, "plan", "--exit-code", cwd=project, **os.environ, UV=str(uv))

    assert copier_ends_with("update", "--defaults", f"--vcs-ref={NEW}", project) == 0
    announced = "\n  uv run k8s drift --tidy\n"
    assert announced in capsys.readouterr().err
    plan()
    tidied = run(K8S, "drift", "--tidy", cwd=project, **os.environ)
    assert "k8s.toml: the registry of image, service_account" in tidied
    plan()
    config = project / "k8s.toml"
    config.write_text(config.read_text().replace("memory = 16000", "memory = 16001"))
    with pytest.raises(AssertionError, match="16001"):
        plan()
    save(project)
    assert copier_ends_with("update", "--defaults", project) == 0
    assert announced not in capsys.readouterr().err  # there is nothing new to take out
