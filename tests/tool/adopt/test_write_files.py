"""What `k8s adopt --apply` writes: all or nothing, and only what git can bring back."""

import json
import os
from pathlib import Path

import pytest
from adopting import CONFIG, add, adopt, empty, entries, named, plain, project
from mf_k8s.adopt import adoption, write_files
from mf_k8s.adopt.adoption import Adoption
from mf_k8s.adopt.prove_same_pods import Proof
from mf_k8s.cli import app
from mf_k8s.errors import CommandError, raise_if
from teams import commit, git
from typer.testing import CliRunner

__all__ = ["empty", "project"]  # fixtures

ASKS_GIT = """import json, pathlib, subprocess


def git(*command):
    return subprocess.run(["git", *command], capture_output=True, text=True, check=True).stdout


here = pathlib.Path(__file__).parent
for command, answer in json.loads((here / "answers.json").read_text()).items():
    assert git(*command.split()) == answer, (command, git(*command.split()))
assert str(here) == git("rev-parse", "--show-toplevel").strip() + "/flows"
assert all(line.startswith(" M") for line in git("status", "--porcelain").splitlines())
"""


def test_only_apply_writes(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flows that git ignores, behind links and in a submodule; one asks git, as in a work tree."""
    library, outside = tmp_path / "library", tmp_path / "outside"
    for folder in (library, outside, project / "flows/scratch", project / "shared"):
        folder.mkdir()
    (library / "sub.py").write_text(named("SubFlow"))
    git("init", "-q", "-b", "main", cwd=library)
    commit(library)
    git(
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        str(library),
        "flows/sub",
        cwd=project,
    )
    (project / ".gitignore").write_text("scratch/\nignored.py\n*.json\n")
    (project / "flows/scratch/scratched.py").write_text(named("ScratchedFlow"))
    (project / "flows/ignored.py").write_text(named("IgnoredFlow"))
    (project / "shared/linked.py").write_text(named("LinkedFlow"))
    (project / "flows/linked.py").symlink_to("../shared/linked.py")
    (outside / "out.py").write_text(named("OutFlow"))
    (project / "flows/out.py").symlink_to(outside / "out.py")
    (project / "flows/folder").symlink_to(outside)
    add(project, asking=named("AskingFlow", head=ASKS_GIT))
    git("tag", "v1", cwd=project)
    answers = {"describe --tags": "v1\n", "branch --show-current": "main\n"}
    answers |= {"rev-parse HEAD": git("rev-parse", "HEAD", cwd=project)}
    (project / "flows/answers.json").write_text(json.dumps(answers))

    before = entries(project, library, outside)
    flows = ("flows/ignored.py", "linked", "scratched", "flows/sub/sub.py", "asking")
    printed, errors = adopt(project, *flows)
    assert entries(project, library, outside) == before
    for name in ("Ignored", "Linked", "Scratched", "Sub", "Asking"):
        assert f"\n+class {name}Flow(BaseFlow):\n" in printed
    assert "\n--- a/shared/linked.py\n" in printed and "class OutFlow" not in printed
    assert errors == "k8s: nothing is written; --apply writes it\n"
    monkeypatch.chdir(project)
    for name in ("out", "flows/folder/out.py"):
        with pytest.raises(CommandError) as stopped:
            CliRunner().invoke(app, ["adopt", name, "--apply"], catch_exceptions=False)
        assert str(stopped.value) == (
            f"../outside/out.py is outside the project {project}, whose git could not undo a change"
            " of it: move it there first"
        )
    assert entries(project, library, outside) == before


def test_uncommitted_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`git checkout` could not bring it back: it is changed, unknown, ignored or of elsewhere."""
    add(project, plain=plain())
    monkeypatch.chdir(project)
    raise_if(write_files.uncommitted(project, [project / "flows/plain.py"]))
    (project / "flows/new.py").write_text(plain())
    (project / "flows/plain.py").write_text(plain() + "# mine\n")
    (project / ".gitignore").write_text("ignored.py\n")
    (project / "flows/ignored.py").write_text(plain())
    (project / "flows/sub").mkdir()
    (project / "flows/sub/own.py").write_text(plain())
    git("init", "-q", cwd=project / "flows/sub")
    commit(project / "flows/sub")
    git("config", "status.showUntrackedFiles", "no", cwd=project)  # as some do in large folders
    end = ", so that `git checkout` can bring it back; nothing is written"
    for name, reason in {
        "plain": "has changes: commit them first (`git commit flows/plain.py`)",
        "new": "is unknown to git: commit it first (`git add flows/new.py && git commit`)",
        "ignored": "is ignored by git: take it out of .gitignore, and commit it",
        "sub/own": f"is not in the repository {project}: put the file itself there, and commit it",
    }.items():
        with pytest.raises(CommandError) as stopped:
            raise_if(write_files.uncommitted(project, [project / f"flows/{name}.py"]))
        assert str(stopped.value) == f"flows/{name}.py {reason}{end}"


def test_a_link_stays(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it links to is written, unless that is outside the repository."""
    monkeypatch.setattr(
        adoption,
        "adopt_flows",
        lambda _, files, config, *others: Adoption({config: b"new"}, Proof([], [], {}), []),
    )
    monkeypatch.chdir(project)
    config = project / "k8s.toml"
    for target in (project / "settings/k8s.toml", tmp_path / "k8s.toml"):
        target.parent.mkdir(exist_ok=True)
        target.write_text(CONFIG)
        config.unlink()
        config.symlink_to(target)
        add(project, plain=plain())
        done = CliRunner().invoke(app, ["adopt", "plain", "--apply"])
        assert config.readlink() == target
        if target.is_relative_to(project):
            assert done.exit_code == 0 and target.read_bytes() == b"new"
            assert "checkout -- settings/k8s.toml`" in done.output
        else:
            assert isinstance(done.exception, CommandError) and target.read_text() == CONFIG


@pytest.mark.parametrize("broken", ["one", "all"])
def test_all_files_or_none(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be put back either is named."""
    files = {tmp_path / "a": b"new a", tmp_path / "b": b"new b"}
    for file in files:
        file.write_bytes(b"old")
    replace = os.replace
    failed = []

    def fail_at_b(source: Path, target: Path) -> None:
        if target.name == "b" or (broken == "all" and failed):
            failed.append(target)
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "replace", fail_at_b)
    with pytest.raises(CommandError) as stopped:
        write_files.write_all(files)
    a, state = {
        "one": ("old", "no file is changed"),
        "all": ("new a", "part is written: `git checkout -- a` undoes it"),
    }[broken]
    assert str(stopped.value) == f"b cannot be written (No space left on device); {state}"
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a": a, "b": "old"}
