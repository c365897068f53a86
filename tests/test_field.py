"""Surroundings unlike a clean machine: none changes a result, and none is changed."""

import ast
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import K8S, ROOT, run
from mf_k8s.environments import metaflow_setting
from mf_k8s.errors import CommandError
from mf_k8s.programs import OF_A_HOOK, run_program
from mf_k8s.repository import branching_point, commit_of
from teams import commit, git


class Server(BaseHTTPRequestHandler):
    """A server of the user's own, which takes every request."""

    asked: list[str] = []

    def answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = answer


@pytest.fixture
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Server.asked.clear()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_compiling_asks_no_server(example: Path, server: str, tmp_path: Path) -> None:
    """Whatever the AWS client is configured with: it got a bucket with the code package once."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text(f"[default]\nendpoint_url = {server}\n")
    variables = {"HOME": str(tmp_path), "AWS_ENDPOINT_URL": server}
    check = [K8S, "check", "flows/hello.py"]
    done = subprocess.run(check, cwd=example, env=os.environ | variables, capture_output=True)
    assert (done.returncode, done.stderr, Server.asked) == (0, b"", [])


@pytest.fixture
def repository(example: Path, tmp_path: Path) -> Path:
    """Return the example project with one flow, committed."""
    project = tmp_path / "churn"
    shutil.copytree(example, project, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    (project / "flows/train.py").unlink()
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    return project


def test_a_commit_whose_hook_runs_plan_is_whole(repository: Path) -> None:
    """The hook's git works on an index of its own, GIT_INDEX_FILE, which a worktree replaced."""
    hook = repository / ".git/hooks/pre-commit"
    hook.write_text(f"#!/bin/sh\nexec {K8S} plan > {repository.parent}/plan.txt\n")
    hook.chmod(0o755)
    config = repository / "k8s.toml"
    config.write_text(config.read_text().replace("\ncpu = 1\n", "\ncpu = 2\n"))
    (repository / "new.txt").write_text("staged\n")
    git("add", "new.txt", cwd=repository)
    git("commit", "-qam", "cpu", cwd=repository)
    changed = run("git", "diff", "--name-only", "HEAD~1", "HEAD", cwd=repository)
    assert changed.split() == ["k8s.toml", "new.txt"]
    assert run("git", "status", "--porcelain", cwd=repository) == ""
    assert "cpu" in (repository.parent / "plan.txt").read_text()


def test_git_gets_no_variable_of_a_hook() -> None:
    """Those that git lists, but for its settings, which it hands on to other repositories, too."""
    listed = run("git", "rev-parse", "--local-env-vars", cwd=Path()).split()
    assert {*listed} - {*OF_A_HOOK} == {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}


def clone(origin: Path, folder: Path, *options: str) -> Path:
    git("clone", "-q", *options, origin.as_uri(), str(folder), cwd=origin)
    return folder


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("no git", "git is not installed, or not on PATH: install it"),
        (
            "no repository",
            "{root} is in no git repository: run `git init`, `git add -A` and `git commit`",
        ),
        ("no commit", "this repository has no commit yet: run `git add -A` and `git commit`"),
        (
            "of another user",
            "git does not read {root}, which belongs to another user: run"
            " `git config --global --add safe.directory {root}`",
        ),
        (
            "shallow",
            "this repository has no revision HEAD~1: it is a shallow clone; run"
            " `git fetch --unshallow`",
        ),
        ("whole", "this repository has no revision HEAD~9"),
    ],
)
def test_why_there_is_no_commit(
    kind: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "de")  # git's messages are translated
    root = tmp_path / "origin"
    root.mkdir()
    if kind != "no repository":
        git("init", "-q", "-b", "main", cwd=root)
    if kind in ("shallow", "whole"):
        for name in ("first", "second"):
            (root / name).touch()
            commit(root)
    if kind == "shallow":
        root = clone(root, tmp_path / "clone", "--depth=1")
    if kind == "no git":
        monkeypatch.setenv("PATH", str(tmp_path))
    if kind == "of another user":
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "true")  # git's own tests do so
    revision = {"shallow": "HEAD~1", "whole": "HEAD~9"}.get(kind, "HEAD")
    with pytest.raises(CommandError) as raised:
        commit_of(root, revision)
    assert str(raised.value) == says.format(root=root)


def test_a_shallow_clone_may_lack_where_it_left_main(tmp_path: Path) -> None:
    """`plan` compared it with HEAD then, and showed no change."""
    git("init", "-q", "-b", "main", "origin", cwd=tmp_path)
    origin = tmp_path / "origin"
    commits = []
    for branch in ("main", "main", "work"):
        git("checkout", "-q", "-B", branch, cwd=origin)
        (origin / f"{len(commits)}").touch()
        commit(origin)
        commits.append(run("git", "rev-parse", "HEAD", cwd=origin).strip())
    whole = clone(origin, tmp_path / "whole")
    assert branching_point(whole) == commits[1][:12]
    shallow = clone(origin, tmp_path / "shallow", "--depth=1", "--no-single-branch")
    with pytest.raises(CommandError, match="run `git fetch --unshallow`, or name a revision"):
        branching_point(shallow)
    git("fetch", "-q", "--unshallow", cwd=shallow)
    assert branching_point(shallow) == commits[1][:12]


WORDS = "größe † … ✓"


@pytest.mark.parametrize(
    ("variables", "printed"),
    [
        ({"PYTHONIOENCODING": "utf-8"}, WORDS.encode()),
        ({"PYTHONIOENCODING": "latin-1"}, "größe + ... ?".encode("latin-1")),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, None),
    ],
    ids=["UTF-8", "Latin-1", "ASCII"],
)
def test_output_in_any_encoding(variables: dict[str, str], printed: bytes | None) -> None:
    """In the locale C an argument's bytes are printed as they came."""
    script = (
        "import sys; from mf_k8s.progress import print_error, print_in_any_encoding, print_line;"
        "print_in_any_encoding(); print_line(sys.argv[1]); print_error(sys.argv[1])"
    )
    command = [sys.executable, "-c", script, WORDS]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True)
    expected = printed or WORDS.encode()
    assert (done.stdout, done.stderr) == (expected + b"\n",) * 2


def test_what_a_program_prints_in_another_encoding() -> None:
    with pytest.raises(CommandError, match="error: gr��e$"):
        run_program("sh", "-c", r"printf 'error: gr\366\337e' >&2; exit 1")


def test_a_broken_configuration_of_metaflow_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METAFLOW_HOME", str(tmp_path))
    monkeypatch.delenv("METAFLOW_PROFILE", raising=False)
    for name in ("config.json", ".metaflow/config.json"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        for text, reason in (
            ('{"A": 1,}', "Illegal trailing comma|Expecting property name"),
            ("[]", "no {"),
        ):
            file.write_text(text)
            with pytest.raises(CommandError, match=f"^{file}, Metaflow's .*({reason}).*correct it"):
                metaflow_setting("USER")
        file.unlink()
    monkeypatch.setenv("METAFLOW_PROFILE", "gone")
    with pytest.raises(CommandError, match=rf"^METAFLOW_PROFILE is gone, .* {tmp_path}/config_gon"):
        metaflow_setting("USER")


def test_every_text_has_its_encoding_named() -> None:
    """Else Python takes that of the locale."""
    found = []
    for file in (ROOT / "template").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                keywords = {keyword.arg for keyword in call.keywords}
                position = {"read_text": 0, "write_text": 1}.get(name, 99)
                in_locale = position < 99 and len(call.args) <= position
                if (in_locale and "encoding" not in keywords) or keywords & {"text"}:
                    found.append(f"{file.relative_to(ROOT)}:{call.lineno}")
    assert [place for place in found if "template/tests/" not in place] == []
