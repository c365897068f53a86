"""Copies and updates without trust: edits, answers and files that are there stay, byte by byte."""

import itertools
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import BIN, EXAMPLE, copy_project, run
from teams import same


def git(*command: str, cwd: Path) -> str:
    """Run git as somebody, without the configuration of who runs the tests."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return run("git", *identity, *command, cwd=cwd, timeout=60)


@pytest.fixture
def released(small_template: Path, tmp_path: Path) -> Path:
    """Return a clone of the template of the test's own, to release a next version in."""
    git("clone", "-q", str(small_template), "released", cwd=tmp_path)
    return tmp_path / "released"


@pytest.fixture
def project(released: Path, tmp_path: Path) -> Path:
    """Return a committed project of the first release, made without trust."""
    path = tmp_path / "churn-model"
    copier.run_copy(str(released), path, data=EXAMPLE, defaults=True, quiet=True, unsafe=False)
    git("init", "-q", cwd=path)
    commit(path)
    return path


def commit(path: Path) -> None:
    git("add", "-A", cwd=path)
    git("commit", "-q", "-m", "work", cwd=path)


def release(released: Path, tag: str, edit: Callable[[Path], None]) -> None:
    """Release a version of the template with some file changed."""
    edit(released / "template")
    commit(released)
    git("tag", tag, cwd=released)


def answers_of(path: Path) -> dict[str, Any]:
    return yaml.safe_load((path / ".copier-answers.yml").read_text())


def update(path: Path, **data: Any) -> None:
    copier.run_update(path, data=data, defaults=True, overwrite=True, quiet=True, unsafe=False)


def test_update_without_trust(released, project):
    """A release reaches the template's files; the team's edits and answers stay."""
    hello = project / "flows/hello.py"
    hello.write_text(hello.read_text().replace('default="world"', 'default="team"'))
    settings = project / "k8s.toml"
    settings.write_text(settings.read_text().replace("churn:1.2.3", "churn:1.3.0"))
    commit(project)
    base = "src/{{ package_name }}/base.py"
    release(
        released,
        "v0.2.0",
        lambda template: (template / base).write_text(
            (template / base).read_text() + "\n# Released later.\n"
        ),
    )
    update(project)

    assert (project / "src/churn_model/base.py").read_text().endswith("# Released later.\n")
    assert 'default="team"' in hello.read_text()
    assert tomllib.loads(settings.read_text())["image"] == "ghcr.io/acme/churn:1.3.0"
    answers = answers_of(project)
    assert answers["_commit"] == "v0.2.0"
    assert same(answers, EXAMPLE)
    changed = git("status", "--porcelain", cwd=project).split("\n")
    assert sorted(line[3:] for line in changed if line) == [
        ".copier-answers.yml",
        "src/churn_model/base.py",
    ]


def test_update_to_the_same_version_changes_nothing(project):
    update(project)
    assert git("status", "--porcelain", cwd=project) == ""


def test_update_changes_answers(project):
    """What the README says `copier update` changes, it does: files come and go."""
    assert (project / "Dockerfile").exists()
    assert (project / ".github/workflows/ci.yml").exists()
    update(project, deploy_from_ci=True)
    assert (project / ".github/workflows/deploy.yml").exists()
    commit(project)
    update(project, image_source="existing", ci="gitlab", python_version="3.12")

    assert not (project / "Dockerfile").exists()
    assert not (project / ".dockerignore").exists()
    assert not (project / ".github/workflows/ci.yml").exists()
    assert not (project / ".github/workflows/deploy.yml").exists()
    assert "deploy-prod:\n" in (project / ".gitlab-ci.yml").read_text()
    assert "3.12" in (project / ".gitlab-ci.yml").read_text()
    answers = answers_of(project)
    changed = {key: answers[key] for key in ("image_source", "ci", "python_version")}
    assert changed == {"image_source": "existing", "ci": "gitlab", "python_version": "3.12"}


def test_recopy_without_trust(project):
    """A recopy gives the template's files again, with the same answers."""
    hello = project / "flows/hello.py"
    original = hello.read_text()
    hello.write_text("# lost\n")
    commit(project)
    copier.run_recopy(project, defaults=True, overwrite=True, quiet=True, unsafe=False)
    assert hello.read_text() == original
    assert same(answers_of(project), EXAMPLE)


def test_existing_file_is_not_overwritten_unasked(small_template, tmp_path):
    """Adopting the template in a repository must not eat its files; here nobody can answer."""
    (tmp_path / "README.md").write_text("# Ours\n")
    (tmp_path / "k8s.toml").write_text("ours = true\n")
    done = subprocess.run(
        [BIN / "copier", "copy", "--defaults", small_template, tmp_path],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "conflict" in done.stderr
    assert "--overwrite" in done.stderr
    assert (tmp_path / "README.md").read_text() == "# Ours\n"
    assert (tmp_path / "k8s.toml").read_text() == "ours = true\n"


def test_other_files_of_a_folder_are_kept(copy, tmp_path):
    (tmp_path / "notes.txt").write_text("ours\n")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/ours.py").write_text("# ours\n")
    copy(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "ours\n"
    assert (tmp_path / "flows/ours.py").read_text() == "# ours\n"
    assert (tmp_path / "flows/hello.py").exists()


def test_same_bytes_on_every_machine(example: Path, template: Path, tmp_path: Path):
    """Code packages, and what `k8s render` has written, are compared byte by byte.

    Of the template too, which Copier clones.
    """
    project = copy_project(example, tmp_path / "project", ".*_cache")
    (project / "data.bin").write_bytes(b"\0\r\n\n")
    (project / "deploy/prod").mkdir(parents=True)
    (project / "deploy/prod/trainflow.yaml").write_text("kind: WorkflowTemplate\n")
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    for repository, autocrlf in itertools.product((project, template), ("true", "false")):
        clone = tmp_path / f"clone-{repository.name}-{autocrlf}"
        setting = f"core.autocrlf={autocrlf}"
        git("clone", "-q", "-c", setting, str(repository), str(clone), cwd=tmp_path)
        names = git("ls-files", "-z", cwd=repository).split("\0")[:-1]
        assert {"README.md", ".gitattributes"} <= {*names}
        different = [n for n in names if (clone / n).read_bytes() != (repository / n).read_bytes()]
        assert different == []
