"""What a tag of this repository becomes: release.yml builds the wheel and writes the notes."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, UV
from teams import commit, git

TOOL = "template/tools/mf-k8s"
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
STEPS = [step["run"] for step in WORKFLOW["jobs"]["build"]["steps"] if "run" in step]
ON_MAIN, NOTES, PACKAGE, AGAIN = STEPS
CHANGES = """# Changelog

## Unreleased

- Not yet.

## 9.9.0

Added

- A long line
  in two.
- Another.

## 9.8.0

- Older.
"""
Step = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def checkout(template: Path, tmp_path: Path) -> Path:
    """Return what CI checks out for a tag, with an environment that is as it should be."""
    main, checkout = tmp_path / "main", tmp_path / "checkout"
    git("clone", "-q", str(template), str(main), cwd=ROOT)
    (main / "CHANGELOG.md").write_text(CHANGES)
    commit(main)
    git("tag", "v9.9.0.post1", cwd=main)
    git("clone", "-q", "--branch", "v9.9.0.post1", str(main), str(checkout), cwd=ROOT)
    programs = checkout / ".venv/bin"
    programs.mkdir(parents=True)
    (programs / "uv").symlink_to(UV)
    for versions in ("locked", "oldest", "newest"):  # newer than what they are made of
        (programs / versions).touch()
    return checkout


@pytest.fixture
def step(checkout: Path) -> Step:
    def run_step(script: str, tag: str = "v9.9.0.post1") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-e", "-c", f"umask $UMASK\n{script}"],
            cwd=checkout,
            env={"UMASK": "022", **os.environ, "GITHUB_REF_NAME": tag},
            capture_output=True,
            text=True,
        )

    return run_step


def test_a_tag_of_main_is_built(
    checkout: Path, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bytes with other times and modes, and beside files that git does not know."""
    for script in STEPS:
        done = step(script)
        assert done.returncode == 0, done.stderr
    release = checkout / "release"
    assert (release / "notes.md").read_text() == "Added\n\n- A long line in two.\n- Another.\n"
    wheel = "mf_k8s-9.9.0.post1-py3-none-any.whl"
    built = {file.name for file in (release / "dist").iterdir()} - {".gitignore"}  # uv's own
    assert built == {wheel, "mf_k8s-9.9.0.post1.tar.gz"}
    monkeypatch.setenv("UMASK", "077")
    (checkout / TOOL / "src/mf_k8s/scratch.py").write_text("")
    (checkout / TOOL / "README.md").chmod(0o600)
    os.utime(checkout / TOOL / "pyproject.toml", (1, 1))
    done = step(AGAIN)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_tag_elsewhere_or_without_notes_is_refused(checkout: Path, step: Step) -> None:
    done = step("mkdir release\n" + NOTES.partition("&& ")[2], "v9.7.0")
    assert done.returncode == 1
    assert done.stderr == "CHANGELOG.md has no section `## 9.7.0`: write it on main\n"
    git("checkout", "-q", "-b", "hotfix", cwd=checkout)
    (checkout / "CHANGELOG.md").write_text("")
    commit(checkout)
    done = step(ON_MAIN)
    assert done.returncode == 1
    assert done.stdout.startswith("::error::The commit of v9.9.0.post1 is not on main: merge it")
