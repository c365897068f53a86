"""Surroundings unlike a clean machine: none changes a result, and none is changed."""

import ast
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S, ROOT, copy_project, run
from kubernetes_api import Api
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.create_on_server import store_token_where_possible
from mf_k8s.programs.run import OF_A_HOOK, run_program
from mf_k8s.project.repository import branching_point, commit_of
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


ASKING = """
from metaflow import S3

with S3(s3root="s3://team/data") as data:
    data.get("features")
"""


def test_a_flow_that_asks_s3_when_it_is_read(example: Path, server: str, tmp_path: Path) -> None:
    """It does not compile, and says so at once: Metaflow by itself tries for minutes."""
    flow = tmp_path / "asking.py"
    flow.write_text(ASKING + (example / "flows/hello.py").read_text())
    env = os.environ | {"AWS_ENDPOINT_URL_S3": server, "METAFLOW_S3_ENDPOINT_URL": server}
    check = [K8S, "check", flow]
    done = subprocess.run(check, cwd=example, env=env, capture_output=True, text=True, timeout=15)
    assert (done.returncode, Server.asked) == (2, [])
    assert "Key requested: s3://team/data/features Error: Could not connect to" in done.stderr


@pytest.fixture
def repository(example: Path, tmp_path: Path) -> Path:
    """Return the example project with one flow, committed."""
    project = tmp_path / "churn"
    copy_project(example, project)
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
        (
            "no git",
            "git is not installed, or not on PATH: install it (https://git-scm.com/downloads)",
        ),
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
        "import sys; from mf_k8s.show.progress import *;"
        "print_in_any_encoding(); print_line(sys.argv[1]); print_error(sys.argv[1])"
    )
    command = [sys.executable, "-c", script, WORDS]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True)
    expected = printed or WORDS.encode()
    assert (done.stdout, done.stderr) == (expected + b"\n",) * 2


def test_a_file_that_git_names_is_found_in_the_locale_c(tmp_path: Path) -> None:
    root = tmp_path / "Größe"
    git("init", "-q", str(root), cwd=tmp_path)
    script = (
        "from pathlib import Path; from mf_k8s.programs.run import git;"
        "print(Path(git(Path.cwd(), 'rev-parse', '--show-toplevel')).exists())"
    )
    variables = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert run(sys.executable, "-c", script, cwd=root, **os.environ | variables) == "True\n"


def test_what_a_program_prints_in_another_encoding() -> None:
    with pytest.raises(CommandError, match="error: gr��e$"):
        run_program("sh", "-c", r"printf 'error: gr\366\337e' >&2; exit 1")


@pytest.mark.parametrize(
    ("is_deployed", "home", "kept"),
    [(True, "home", True), (False, "home", False), (True, "~", False), (True, "/dev/null", False)],
    ids=["deployed", "dry run", "no home", "read-only home"],
)
def test_where_a_production_token_is_kept(
    is_deployed: bool, home: str, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Metaflow's folder, and in no folder `~` of the project."""
    from metaflow.plugins.argo import argo_workflows_cli as cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", str)  # as for a user without a home
    monkeypatch.setattr(cli, "store_token", cli.store_token)  # so that it is put back
    monkeypatch.setenv("METAFLOW_HOME", f"{home}/metaflow")
    monkeypatch.delenv("METAFLOW_TOKEN_HOME", raising=False)
    store_token_where_possible(is_deployed)
    cli.store_token("flow", "token")
    assert [path.name for path in tmp_path.iterdir()] == (["home"] if kept else [])


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


LEGACY = '''"""A flow from before."""

from metaflow import FlowSpec, kubernetes, step


class LegacyFlow(FlowSpec):
    @kubernetes(memory=8000)
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    LegacyFlow()
'''
LOOKING = (
    "check hello",
    "plan",
    "adopt flows/legacy.py --prefer config",
    "render hello --env prod --no-upload -o {out}",
    "deploy hello --env prod --dry-run",
    "image --help",
)
NOBODY = """
import pwd

def nobody(*_):
    raise KeyError("no such user")

pwd.getpwuid = pwd.getpwnam = nobody
"""
Variables = dict[str, str | None]  # None for one that is not set


def git_hook(project: Path, home: Path) -> Variables:
    """In a hook of `git commit -a`, which has an index of its own."""
    folder = Path(git("rev-parse", "--absolute-git-dir", cwd=project).strip())
    shutil.copy(folder / "index", folder / "next-index")
    hook = {"GIT_DIR": folder, "GIT_INDEX_FILE": folder / "next-index", "GIT_WORK_TREE": project}
    return {name: str(path) for name, path in hook.items()} | {"GIT_PREFIX": ""}


def profiles(project: Path, home: Path) -> Variables:
    """Of AWS, with a server that answers nobody, and of Metaflow."""
    (home / ".aws").mkdir()
    (home / ".aws/config").write_text("[profile a]\nendpoint_url = http://127.0.0.1:9\n")
    (home / ".metaflowconfig").mkdir()
    own = {"METAFLOW_KUBERNETES_NODE_SELECTOR": "pool=a", "METAFLOW_KUBERNETES_CPU": "3"}
    (home / ".metaflowconfig/config_a.json").write_text(json.dumps(own))
    return {"AWS_PROFILE": "a", "METAFLOW_PROFILE": "a"}


def nobody(project: Path, home: Path) -> Variables:
    """No home, and a user without a name, as in many containers."""
    (home / "sitecustomize.py").write_text(NOBODY)
    names = ("HOME", "USER", "LOGNAME", "USERNAME", "METAFLOW_USER")
    return {**dict.fromkeys(names), "PYTHONPATH": str(home)}


def ascii_locale(project: Path, home: Path) -> Variables:
    return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def latin_1(project: Path, home: Path) -> Variables:
    return {"PYTHONIOENCODING": "latin-1"}


def no_home(project: Path, home: Path) -> Variables:
    """Not one that can be written to, not even by root."""
    return {"HOME": "/dev/null/home"}


def symlink(origin: Path, folder: Path) -> Path:
    clone(origin, folder / "real")
    (folder / "link").symlink_to("real")
    return folder / "link"


def worktree(origin: Path, folder: Path) -> Path:
    main = clone(origin, folder / "main")
    git("worktree", "add", "-q", "-b", "work", "../tree", cwd=main)
    return folder / "tree"


def submodule(origin: Path, folder: Path) -> Path:
    git("init", "-q", "-b", "main", "outer", cwd=folder)
    allowed = ("-c", "protocol.file.allow=always")
    git(*allowed, "submodule", "--quiet", "add", origin.as_uri(), "inner", cwd=folder / "outer")
    commit(folder / "outer")
    return folder / "outer/inner"


def shallow_and_autocrlf(origin: Path, folder: Path) -> Path:
    return clone(origin, folder / "clone", "--depth=1", "--config=core.autocrlf=true")


def shallow_symlink_to_submodule(origin: Path, folder: Path) -> Path:
    shallow = shallow_and_autocrlf(origin, folder)
    inner = submodule(shallow, folder)
    git("config", "core.autocrlf", "true", cwd=inner)
    (folder / "link").symlink_to(inner.relative_to(folder))
    return folder / "link"


# Several at a time, and each below a folder with blanks and letters that ASCII and globs lack.
STRANGE = "Größe und Maß [1]"
Surroundings = list[tuple[Callable[..., Path], list[Callable[..., Variables]]]]
SURROUNDINGS: Surroundings = [
    (worktree, [git_hook, profiles, ascii_locale]),
    (shallow_symlink_to_submodule, [nobody, latin_1]),
]
SURROUNDINGS_APART: Surroundings = [
    (worktree, [git_hook, latin_1]),
    (symlink, [profiles, ascii_locale]),
    (shallow_and_autocrlf, [nobody]),
    (submodule, [no_home]),
]


@pytest.fixture
def origin(repository: Path, s3: dict[str, str]) -> Path:
    """Return a committed project with a flow of BaseFlow, and one of a plain FlowSpec."""
    (repository / "flows/legacy.py").write_text(LEGACY)
    (repository / "Größe.csv").write_text("size\n")
    prod = {
        name: value for name, value in s3.items() if name.startswith(("METAFLOW_S", "METAFLOW_D"))
    }
    prod |= {"METAFLOW_KUBERNETES_NAMESPACE": "team-a", "production": True, "user": "churn-ci"}
    (repository / "environments/prod.json").write_text(json.dumps(prod))
    commit(repository)
    return repository


def everything(folder: Path) -> dict[str, Any]:
    """Return mode and content of all that is in a folder, git's own files included."""
    return {
        str(path): (
            path.lstat().st_mode,
            path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes(),
        )
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts  # which Python writes itself
    }


@pytest.mark.parametrize(
    "surroundings",
    [SURROUNDINGS, pytest.param(SURROUNDINGS_APART, marks=pytest.mark.long)],
    ids=["together", "apart"],
)
def test_who_only_looks_changes_nothing(
    surroundings: Surroundings, origin: Path, tmp_path: Path, api: type[Api], s3: dict[str, str]
) -> None:
    """Each byte, mode and link stays, of git's files, too; and what is rendered is the same."""
    renderings = []
    for place, settings in surroundings:
        folder = tmp_path / place.__name__
        look_around(place, settings, origin, folder, s3)
        renderings.append({file.name: file.read_bytes() for file in (folder / "out").iterdir()})
    assert all(rendering == renderings[0] != {} for rendering in renderings)


def look_around(
    place: Callable[..., Path],
    settings: list[Callable[..., Variables]],
    origin: Path,
    root: Path,
    s3: dict[str, str],
) -> None:
    """Run each command in a place with some settings, and compare all that is there."""
    folder, home = root / STRANGE, root / "home"
    folder.mkdir(parents=True)
    home.mkdir()
    project = place(origin, folder)
    keys = {name: value for name, value in s3.items() if name.startswith("AWS_")}
    variables = {**keys, "HOME": str(home), "PWD": str(project)}
    for setting in settings:
        variables |= setting(project, home)
    path = os.pathsep.join(filter(None, (str(project / "src"), variables.get("PYTHONPATH"))))
    env = {**os.environ, **variables, "PYTHONPATH": path}
    env = {name: value for name, value in env.items() if value is not None}
    before = everything(folder) | everything(home)
    for command in LOOKING:
        words = command.format(out=root / "out").split()
        done = subprocess.run([K8S, *words], cwd=project, env=env, capture_output=True)
        output = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == 0, f"{command}: {output}"
        assert "Traceback" not in output
        after = everything(folder) | everything(home)
        changed = [name for name in before | after if before.get(name) != after.get(name)]
        assert changed == [], f"{command}: {output}"
