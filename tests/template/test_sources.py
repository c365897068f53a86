"""Where projects get the command k8s: carried, from an index or from git, from copy to update."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import OWN_PYTHON, ROOT, UV, run
from teams import MARKER, commit, git, make, release, replace, update

TOOL = "template/tools/mf-k8s"
VERSION = tomllib.loads((ROOT / TOOL / "pyproject.toml").read_text())["project"]["version"]
FIXED = "0.99.0"
HELP, FIXED_HELP = "Run it anywhere inside a project.", "Mended: run it anywhere in a project."
SOURCES = ("carried", "index", "git")
README = ("README.md.jinja", "\n| To change | edit |", "\nA newer line.\n\n| To change | edit |")
SCHEMA = (
    "tools/mf-k8s/src/mf_k8s/environment.schema.json",
    '"title": "environments/NAME.json"',
    '"title": "A NEWER SCHEMA"',
)
FIX = [
    ("pyproject.toml", f'version = "{VERSION}"', f'version = "{FIXED}"'),
    ("src/mf_k8s/cli.py", HELP, FIXED_HELP),
]
CARRIED_VERSION, CARRIED_FIX = ((f"tools/mf-k8s/{file}", old, new) for file, old, new in FIX)
(RECIPE,) = re.findall(
    r"^```sh\n(git tag .*?make package.*?)^```$",
    (ROOT / "docs/organisation.md").read_text(),
    re.DOTALL | re.MULTILINE,
)
# Options of make: the environment of these tests is as it should be.
READY = [f"--assume-old=.venv/bin/{name}" for name in ("locked", "oldest", "newest")]
WHENCE = (
    "import importlib.metadata as m; print(m.distribution('mf-k8s').read_text('direct_url.json'))"
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which `make package` has built this tree's tool."""
    folder = tmp_path_factory.mktemp("dist")
    run("make", *READY, "package", f"DIST={folder}", f"TAG=v{VERSION}", cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def repository(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository that has the tool: as it is by the tag v0.1.0, mended by v0.1.1.post1.

    The branch `stable` is at the first.
    """
    clone = tmp_path_factory.mktemp("repository") / "mf-template"
    git("clone", "-q", str(template), str(clone), cwd=ROOT)
    git("branch", "stable", cwd=clone)
    replace(clone / TOOL, FIX)
    commit(clone)
    git("tag", "v0.1.1.post1", cwd=clone)
    return clone


@pytest.fixture(scope="module")
def fixed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of the mended tool."""
    folder = tmp_path_factory.mktemp("fixed")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", folder, repository / TOOL, cwd=ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Index:
    """A package index on this machine: the listing of its folder is a page as uv reads it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.folder = folder / "simple/mf-k8s"
        self.folder.mkdir(parents=True)

    def publish(self, *files: Path) -> None:
        for file in files:
            shutil.copy(file, self.folder)


class QuietHandler(SimpleHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take a file that `uv publish` uploads and, as PyPI does, none that is there already."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = self.headers["Content-Type"].partition("boundary=")[2].encode()
        (part,) = [part for part in body.split(b"--" + boundary) if b"filename=" in part]
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.findall(b'filename="(.*?)"', head)[0].decode()
        file = Path(self.directory) / "simple/mf-k8s" / name
        self.send_response(400 if file.exists() else 200)
        self.end_headers()
        if not file.exists():
            file.write_bytes(content.removesuffix(b"\r\n"))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def index(packages: Path, tmp_path: Path) -> Iterator[Index]:
    """Serve an index with this tree's tool."""
    folder = tmp_path / "index"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        index = Index(folder, f"http://127.0.0.1:{server.server_port}/simple")
        index.publish(*packages.glob("mf_k8s-*"))
        yield index
        server.shutdown()


@pytest.fixture
def sources(index: Index, repository: Path) -> dict[str, dict[str, str]]:
    """Return what organisation.yml says for each source."""
    url = f"git+{repository.as_uri()}@v0.1.0#subdirectory={TOOL}"
    return {
        "carried": {},
        "index": {"tool": f"mf-k8s=={VERSION}", "tool_index": index.url},
        "git": {"tool": f"mf-k8s @ {url}"},
    }


@pytest.fixture
def fork(template: Path, tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that makes an organisation's fork of the template, released."""

    def fork(organisation: dict[str, str]) -> Path:
        clone = tmp_path / "fork"
        git("clone", "-q", str(template), str(clone), cwd=tmp_path)
        set_organisation(clone, organisation, "v1.0.0")
        return clone

    return fork


def set_organisation(fork: Path, organisation: dict[str, str], tag: str) -> None:
    text = yaml.safe_dump({"python_version": OWN_PYTHON, **organisation})  # which uv finds here
    (fork / "hooks/organisation.yml").write_text(text)
    git("commit", "-q", "--allow-empty", "-am", tag, cwd=fork)
    git("tag", tag, cwd=fork)


def sync(project: Path, *options: str) -> None:
    """Do what a project's README says first, and commit its lock."""
    run(UV, "sync", "--quiet", "--python", sys.executable, *options, cwd=project)
    commit(project)


def sync_locked(project: Path, *options: str) -> bool:
    """Sync as CI does and, where that stops, do what it says. Return whether it stopped."""
    command = [UV, "sync", "--locked", *options]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    if done.returncode:
        assert "run `uv lock`" in done.stderr
        run(UV, "lock", "--quiet", cwd=project)
        run(*command, cwd=project)
        commit(project)
    return done.returncode != 0


def source_of(project: Path) -> str:
    """Return where the installed tool is from, by what uv recorded of it."""
    record = json.loads(
        run(project / ".venv/bin/python", "-c", WHENCE, cwd=project).replace("None", "{}")
    )
    if record.get("dir_info") == {"editable": True}:
        assert record["url"] == (project / "tools/mf-k8s").as_uri()
        return "carried"
    return "git" if "vcs_info" in record else "index"


def conflicts(project: Path) -> list[str]:
    """Return the files in which an update left markers, but for what git ignores."""
    names = git("ls-files", "-co", "--exclude-standard", cwd=project).splitlines()
    files = [project / name for name in names if (project / name).exists()]
    return [file.name for file in files if file.suffix == ".rej" or MARKER.search(file.read_text())]


def help_of(project: Path) -> str:
    return run(project / ".venv/bin/k8s", "--help", cwd=project)


def locked_versions(project: Path) -> dict[str, str]:
    lock = tomllib.loads((project / "uv.lock").read_text())
    return {package["name"]: package["version"] for package in lock["package"]}


@pytest.mark.long
@pytest.mark.parametrize("source", SOURCES)
def test_from_copy_to_update(source, sources, fork, index, fixed, repository, tmp_path):
    """A project works from its first `uv sync` on, and gets a mended tool by an update.

    A carried tool is mended first, without a new version: the lock stays as it is.
    """
    clone = fork(sources[source])
    project = make(clone, tmp_path / "churn")
    assert (project / "tools").exists() == (source == "carried")
    sync(project)
    assert not sync_locked(project)
    assert source_of(project) == source
    shown = run(UV, "run", "--locked", "k8s", "check", "hello", cwd=project)
    assert "HelloFlow (compiled): every pod matches k8s.toml" in shown
    assert "ghcr.io/example/churn:0.1.0" in shown

    release(clone, "v1.1.0", [README, SCHEMA, *([CARRIED_FIX] if source == "carried" else [])])
    update(project)
    schemas = project / ("tools/mf-k8s/src/mf_k8s" if source == "carried" else "environments")
    assert "A NEWER SCHEMA" in (schemas / "environment.schema.json").read_text()
    assert "A newer line." in (project / "README.md").read_text()
    assert not sync_locked(project)
    assert (FIXED_HELP if source == "carried" else HELP) in help_of(project)

    commit(project)
    release_fix(clone, source, sources, index, fixed, repository)
    update(project)
    assert conflicts(project) == []
    assert sync_locked(project)
    assert locked_versions(project)["mf-k8s"] == FIXED
    assert source_of(project) == source
    assert FIXED_HELP in help_of(project)
    assert (project / "tools").exists() == (source == "carried")


def release_fix(
    clone: Path,
    source: str,
    sources: dict[str, dict[str, str]],
    index: Index,
    fixed: Path,
    repository: Path,
) -> None:
    """Release the mended tool where the project has it from, and the fork that names it."""
    if source == "carried":
        release(clone, "v1.2.0", [CARRIED_VERSION])
        return
    index.publish(fixed)
    tool = sources[source]["tool"].replace(VERSION, FIXED).replace("@v0.1.0", "@v0.1.1.post1")
    set_organisation(clone, {**sources[source], "tool": tool}, "v1.2.0")


@pytest.mark.long
@pytest.mark.parametrize("synced", [False, True])
def test_moved_by_updates(sources, fork, tmp_path, synced):
    """From one source to the next and back, what the team wrote stays and no tools/ is left."""
    clone = fork({})
    project = make(clone, tmp_path / "churn")
    replace(project, [("pyproject.toml", '"numpy>=2",\n', '"numpy>=2",\n    "pandas>=2",\n')])
    (project / "tools/lint.py").write_text("import os\n")
    commit(project)
    if synced:
        sync(project, "--only-group", "ops")
        help_of(project)
    else:  # what the command leaves in a carried tool
        bytecode = project / "tools/mf-k8s/src/mf_k8s/__pycache__/cli.cpython-313.pyc"
        bytecode.parent.mkdir()
        bytecode.touch()
    for number, source in enumerate(("index", "git", "carried"), 1):
        set_organisation(clone, sources[source], f"v1.{number}.0")
        update(project)
        assert conflicts(project) == []
        if synced:
            assert sync_locked(project, "--only-group", "ops")
            assert source_of(project) == source
            help_of(project)
        else:
            commit(project)
        carried = git("ls-files", "tools/mf-k8s", cwd=project).splitlines()
        assert ("tools/mf-k8s/pyproject.toml" in carried) == (source == "carried")
        assert carried == [] or source == "carried"
        assert '    "pandas>=2",\n' in (project / "pyproject.toml").read_text()
        assert (project / "tools/lint.py").exists()


@pytest.mark.parametrize("source", SOURCES)
def test_image_needs_no_tool(source, sources, fork, tmp_path):
    """What the Dockerfile runs, without the folder, the index, git or a network."""
    project = make(fork(sources[source]), tmp_path / "churn")
    run(UV, "lock", "--quiet", "--python", sys.executable, cwd=project)
    context = tmp_path / "context"
    context.mkdir()
    for name in re.findall("^!(.*)$", (project / ".dockerignore").read_text(), re.MULTILINE):
        shutil.copy(project / name, context)
    assert sorted(path.name for path in context.iterdir()) == ["pyproject.toml", "uv.lock"]
    dockerfile = (project / "Dockerfile").read_text()
    (chosen,) = re.findall('chosen="(.*)"', dockerfile)
    (options,) = re.findall(r"uv export (.*) \$chosen \| grep", dockerfile)
    command = ["export", "--no-emit-project", *options.split(), *chosen.split()]
    nothing = str(tmp_path / "nothing")
    environment = {"PATH": nothing, "HOME": nothing, "UV_CACHE_DIR": nothing, "UV_OFFLINE": "1"}
    exported = run(UV, *command, cwd=context, **environment)
    names = set(re.findall(r"^([\w-]+)==", exported, re.MULTILINE))
    assert {"boto3", "joblib", "metaflow", "numpy", "scikit-learn"} <= names
    assert not {"mf-k8s", "typer", "kubernetes", "ruff"} & names
    assert re.findall(r"^(?! *(?:#|--hash)|[\w-]+==).+", exported, re.MULTILINE) == []


@pytest.mark.parametrize("source", ["index", "git"])
def test_one_release_mends_every_project(source, fork, index, fixed, repository, tmp_path):
    """With a range or a branch no update is needed, and nothing moves but the tool."""
    url = f"git+{repository.as_uri()}@stable#subdirectory={TOOL}"
    organisation = {
        "index": {"tool": f"mf-k8s>={VERSION},<1", "tool_index": index.url},
        "git": {"tool": f"mf-k8s @ {url}"},
    }
    git("branch", "--force", "stable", "v0.1.0", cwd=repository)
    project = make(fork(organisation[source]), tmp_path / "churn")
    newest = ("--quiet", "--resolution", "highest")
    run(UV, "lock", *newest, "--python", sys.executable, cwd=project)
    before = locked_versions(project)
    assert before["mf-k8s"] == VERSION

    index.publish(fixed)
    git("branch", "--force", "stable", "v0.1.1.post1", cwd=repository)
    run(UV, "lock", *newest, cwd=project)
    assert locked_versions(project) == before
    run(UV, "lock", *newest, "--upgrade-package", "mf-k8s", cwd=project)
    assert locked_versions(project) == {**before, "mf-k8s": FIXED}


@pytest.mark.long
def test_a_fork_publishes_twice(template, index, tmp_path):
    """What docs/organisation.md says, with a release of the template between, which merges."""
    upstream, fork, origin = (tmp_path / name for name in ("upstream", "fork", "origin"))
    git("clone", "-q", str(template), str(upstream), cwd=tmp_path)
    git("clone", "-q", "--bare", str(template), str(origin), cwd=tmp_path)
    git("clone", "-q", str(origin), str(fork), cwd=tmp_path)
    (fork / ".venv/bin").mkdir(parents=True)
    for name, program in {"uv": UV, "python": sys.executable}.items():
        script = fork / ".venv/bin" / name
        script.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
        script.chmod(0o755)

    def publish(tag: str) -> None:
        organisation = {"tool": "mf-k8s>=0.3,<1", "tool_index": index.url}
        (fork / "hooks/organisation.yml").write_text(yaml.safe_dump(organisation))
        git("commit", "-q", "--allow-empty", "-am", tag, cwd=fork)
        recipe = RECIPE.replace("v0.4.0.post2", tag).replace("make ", f"make {' '.join(READY)} ")
        recipe = recipe.replace("https://pypi.acme.example/upload", index.url)
        login = {"UV_PUBLISH_USERNAME": "acme", "UV_PUBLISH_PASSWORD": "secret"}
        run("sh", "-ec", recipe, cwd=fork, **os.environ, **login)

    replace(fork / TOOL, FIX[1:])
    publish("v0.3.0.post1")
    newer = ("src/mf_k8s/cli.py", '"""The command', '"""Newer: the command')
    replace(upstream / TOOL, [("pyproject.toml", f'"{VERSION}"', '"0.4.0"'), newer])
    commit(upstream)
    git("pull", "-q", "--no-rebase", "--no-edit", str(upstream), "HEAD", cwd=fork)
    publish("v0.4.0.post1")

    files = {file.name for file in index.folder.glob("*post1*")}
    names = [f"mf_k8s-{version}.post1" for version in ("0.3.0", "0.4.0")]
    assert files == {f"{name}{end}" for name in names for end in ("-py3-none-any.whl", ".tar.gz")}
    with zipfile.ZipFile(index.folder / "mf_k8s-0.4.0.post1-py3-none-any.whl") as wheel:
        cli = wheel.read("mf_k8s/cli.py").decode()
    assert FIXED_HELP in cli and '"""Newer' in cli
    assert git("tag", "--list", "*post1", cwd=origin).split() == ["v0.3.0.post1", "v0.4.0.post1"]


@pytest.mark.parametrize(
    ("organisation", "requirement", "uv"),
    [
        (
            {},
            "mf-k8s",
            {"sources": {"mf-k8s": {"path": "tools/mf-k8s", "editable": True}}},
        ),
        (
            {"tool": "mf-k8s==0.3.0; python_version > \"3\" and os_name != '\\\\'"},
            "mf-k8s==0.3.0; python_version > \"3\" and os_name != '\\\\'",
            {},
        ),
        (
            {"tool": "mf-k8s>=0.3", "tool_index": "https://a.example/simple?a=%22&b"},
            "mf-k8s>=0.3",
            {
                "sources": {"mf-k8s": {"index": "organisation"}},
                "index": [
                    {
                        "name": "organisation",
                        "url": "https://a.example/simple?a=%22&b",
                        "explicit": True,
                    }
                ],
            },
        ),
        (
            {"tool": "mf-k8s@https://a.example/b.whl", "tool_index": "https://a.example/simple"},
            "mf-k8s@https://a.example/b.whl",
            {},
        ),
    ],
    ids=["carried", "quotes", "index", "URL"],
)
def test_pyproject(fork, tmp_path, organisation, requirement, uv):
    project = make(fork(organisation), tmp_path / "churn")
    pyproject = tomllib.loads((project / "pyproject.toml").read_text())
    assert pyproject["dependency-groups"]["ops"] == [requirement]
    assert pyproject["tool"]["uv"] == {"default-groups": ["dev", "ops"], **uv}
    assert (project / "tools/mf-k8s/pyproject.toml").exists() == (organisation == {})
    assert (project / "flows/hello.py").exists()


def test_style_of_the_tool_is_not_the_teams(fork, tmp_path):
    """What the project carries is not checked, and what the team puts beside it is."""
    project = make(fork({}), tmp_path / "churn")
    for folder in ("tools/mf-k8s/src", "tools", "src/churn/tools"):
        (project / folder).mkdir(exist_ok=True)
        (project / folder / "wrong.py").write_text("import os\n")
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--output-format=json"], cwd=project, capture_output=True, text=True
    )
    found = {Path(each["filename"]).relative_to(project) for each in json.loads(done.stdout)}
    assert found == {Path("tools/wrong.py"), Path("src/churn/tools/wrong.py")}


def test_packages_hold_every_file(packages):
    (wheel,) = packages.glob("*.whl")
    tracked = git("ls-files", "-co", "--exclude-standard", f"{TOOL}/src", cwd=ROOT).split()
    files = {name.removeprefix(f"{TOOL}/src/") for name in tracked if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    packed = {name for name in names if not name.startswith("mf_k8s-")}
    assert packed == files
    assert {"mf_k8s/cli.py", "mf_k8s/py.typed", "mf_k8s/kind/kind.yaml"} <= packed


def test_package_installs(packages, tmp_path):
    """The command stands by itself, and says that it is in no project.

    uv has built the wheel from the other file, so that one is whole as well. Among all versions of
    boto3 uv would search for 20 seconds, so it gets those that are here.
    """
    assert list(packages.glob(f"mf_k8s-{VERSION}.tar.gz"))
    (package,) = packages.glob(f"mf_k8s-{VERSION}-*.whl")
    here = run(UV, "pip", "freeze", "--exclude-editable", "--python", sys.executable, cwd=ROOT)
    (tmp_path / "here.txt").write_text(here)
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    environment = tmp_path / "venv/bin/python"
    install = (UV, "pip", "install", "--quiet", "--python", environment)
    run(*install, "--constraints", "here.txt", package, cwd=tmp_path)
    k8s = tmp_path / "venv/bin/k8s"
    assert HELP in run(k8s, "--help", cwd=tmp_path)
    done = subprocess.run([k8s, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"k8s: no project here: neither {tmp_path} nor a folder above it has")
