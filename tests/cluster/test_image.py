"""The image of a project, built for real: it has what uv.lock says, wherever that comes from.

One project has a package of each kind of source, and a cluster for one test.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import K8S, ROOT, UV, run
from documentation import home_of_reader, run_page, started
from kind_clusters import NEEDS_KIND, Project, container, lines
from package_indexes import GIT_PASSWORD, PASSWORD, Indexes, serve_packages, write_source

pytestmark = NEEDS_KIND
IMAGE = "localhost/mf-template-sources:1"
ORIGINS = {
    "acme_second": "second",
    "acme_both": "second",  # which the private index has, too
    "toolz": "private",  # which PyPI has, too
    "acme_git": "git",
    "acme_path": "path",
    "acme_member": "member",
    "acme_group": "second",
}
PROJECT = """
[project]
name = "churn-model"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = [
    "boto3", "metaflow", "six",
    "acme-second", "acme-both", "toolz", "acme-git", "acme-path", "acme-member",
]

[dependency-groups]
plots = ["acme-group"]
other = ["acme-absent", "mf-k8s"]

[tool.uv]
default-groups = ["other"]

[tool.uv.workspace]
members = ["libs/*"]

[tool.uv.sources]
acme-second = {{ index = "second" }}
acme-both = {{ index = "second" }}
acme-group = {{ index = "second" }}
acme-absent = {{ index = "second" }}
toolz = {{ index = "private" }}
acme-git = {{ git = "{url}/git/acme-git.git" }}
acme-path = {{ path = "vendor/acme-path" }}
acme-member = {{ workspace = true }}
mf-k8s = {{ path = "tools/mf-k8s", editable = true }}

[[tool.uv.index]]
name = "second"
url = "{url}/second/simple"
explicit = true

[[tool.uv.index]]
name = "private"
url = "{url}/private/simple"
explicit = true

[tool.mf-k8s]
package = "churn_model"

[build-system]
requires = ["uv_build>=0.9"]
build-backend = "uv_build"
"""

MEMBER = """
[project]
name = "churn-model"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["acme-member"]

[tool.uv.sources]
acme-member = { workspace = true }

[tool.mf-k8s]
package = "churn_model"
"""


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    with serve_packages(tmp_path_factory.mktemp("indexes")) as served:
        for name in ("acme-second", "acme-both", "acme-group", "acme-absent"):
            served.publish("second", name)
        served.publish("private", "acme-both")
        served.publish("private", "toolz")
        served.publish_repository("acme-git")
        yield served


@pytest.fixture(scope="module")
def logins(tmp_path_factory: pytest.TempPathFactory, indexes: Indexes) -> dict[str, str]:
    """Return the variables of a laptop that uv finds its logins by."""
    home = tmp_path_factory.mktemp("home")
    host = indexes.url.removeprefix("http://").partition(":")[0]
    (home / ".netrc").write_text(f"machine {host} login ann password {GIT_PASSWORD}\n")
    (home / ".netrc").chmod(0o600)
    own = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    no_proxy = ",".join(filter(None, [own, host]))
    return {
        "HOME": str(home),
        "UV_CACHE_DIR": run(UV, "cache", "dir", cwd=home).strip(),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), no_proxy),
        "UV_INDEX_PRIVATE_USERNAME": "ann",
        "UV_INDEX_PRIVATE_PASSWORD": PASSWORD,
    }


@pytest.fixture(scope="module")
def project(
    copy: Callable[..., Path],
    indexes: Indexes,
    logins: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """Return a project with a package of each kind of source, and its uv.lock."""
    folder = copy(tmp_path_factory.mktemp("project") / "churn-model", image=IMAGE)
    (folder / "pyproject.toml").write_text(PROJECT.format(url=indexes.url))
    write_source(folder / "vendor/acme-path", "acme-path", "path")
    write_source(folder / "libs/acme-member", "acme-member", "member")
    (folder / "flows/train.py").unlink()
    (folder / "tests/kind.toml").write_text("")
    (folder / "flows/hello.py").write_text(FLOW.format(modules=", ".join(ORIGINS), origins=ORIGINS))
    project = Project(folder, "default", **logins)
    project.edit("Dockerfile", 'chosen="--no-default', 'chosen="--group plots --no-default')
    project.edit(".dockerignore", "!uv.lock\n", "!uv.lock\n!libs\n!vendor/\n")
    return project


# What runs in the pods: whatever is not as it must be fails the step.
FLOW = """
from churn_model import BaseFlow
from metaflow import step


class HelloFlow(BaseFlow):
    @step
    def start(self):
        import {modules}, six
        import importlib.util
        found = {{name: module.origin for name, module in locals().items() if name in {origins}}}
        assert found == {origins}, found
        assert not importlib.util.find_spec("acme_absent")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    HelloFlow()
"""


def k8s(folder: Path, *command: str, code: int = 0, **env: str) -> str:
    done = subprocess.run(
        [K8S, *command], cwd=folder, env={**os.environ, **env}, timeout=600, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout


def test_image_of_each_source(project: Project) -> None:
    """A pod of it needs no right: another user's number, and no file that it may write.

    After an edit of a flow or of ruff's settings, and with other logins, there is nothing to build.
    """
    project.k8s("image")
    code = "".join(f"import {name}; print('{name}', {name}.origin);" for name in ORIGINS)
    docker = ("docker", "run", "--rm", "--network=none", "--read-only", "--user=2000:2000")
    output = run(*docker, IMAGE, "python", "-c", code, cwd=project.folder)
    assert dict(line.split() for line in output.splitlines()) == ORIGINS
    pod = ("docker", "run", "--rm", "--user=2000:2000", IMAGE, "mkdir", "metaflow", ".logs")
    run(*pod, cwd=project.folder)  # as Metaflow's pods begin
    before = identity(project)
    flow = project.folder / "flows/hello.py"
    text = flow.read_text()
    flow.write_text(f"# another\n{text}")
    project.edit("pyproject.toml", "[build-system]", "[tool.ruff]\n\n[build-system]")
    k8s(project.folder, "image", HOME=str(project.folder))
    assert identity(project) == before
    flow.write_text(text)


def identity(project: Project) -> str:
    return run("docker", "image", "inspect", "--format", "{{.Id}}", IMAGE, cwd=project.folder)


def test_each_source_in_pods(project: Project) -> None:
    """`kind up` builds the image as `k8s image` does, and a pod of each way imports all of it."""
    before = identity(project)
    with project.cluster("mf-template-sources") as made:
        tried = project.k8s("kind", "test", "hello")
        pods = project.pods("HelloFlow")
    assert identity(project) == before
    assert lines(tried) == dict.fromkeys(("hello argo", "hello run"), "2 pods match k8s.toml")
    assert [container(pod)["image"] for pod in pods] == [IMAGE] * 4
    assert "planted-0c4f" not in made + tried


def test_no_password_stays(project: Project, indexes: Indexes, tmp_path: Path) -> None:
    """Not in a layer, the history, the image's settings, a build argument, nor in what is printed.

    A build that fails prints most; a wrong password is one too.
    """
    output = project.k8s("image")
    archive = tmp_path / "image.tar"
    run("docker", "save", "--output", str(archive), IMAGE, cwd=tmp_path)
    for layer in unpacked(archive, tmp_path / "image"):
        output += run("sh", "-c", f"tar -xOf {layer} | grep -ac planted-0c4f || true", cwd=tmp_path)
        assert output.endswith("0\n"), layer
    settings = [file.read_text() for file in (tmp_path / "image").rglob("*.json")]
    history = run("docker", "history", "--no-trunc", IMAGE, cwd=tmp_path)
    inspected = run("docker", "inspect", IMAGE, cwd=tmp_path)
    assert "uv sync" in history and settings
    indexes.publish("private", "toolz", "1.1")  # else uv's cache has it from the first build
    lock = (UV, "lock", "--upgrade-package=toolz", "--quiet")
    run(*lock, cwd=project.folder, **{**os.environ, **project.env})
    output += project.k8s("image", code=2, UV_INDEX_PRIVATE_PASSWORD="planted-0c4f-wrong")
    assert not [text for text in (output, history, inspected, *settings) if "planted-0c4f" in text]


def test_imports_of_flows(project: Project) -> None:
    """In the image itself, by running it."""
    flow = project.folder / "flows/hello.py"
    text = flow.read_text()
    assert ": built" in project.k8s("image", "--check")
    flow.write_text(text.replace("import acme_second", "import yaml, acme_absent, acme_path.sub"))
    output = project.k8s("image", "--check", code=1)
    lines = [line for line in output.splitlines() if line.startswith("k8s: ")]
    start = f"k8s: {IMAGE} cannot import {{}}, which flows/hello.py does: {{}}"
    assert lines == [
        start.format("acme_absent", "No module named 'acme_absent'; uv add acme-absent"),
        start.format(
            "acme_path.sub",
            "No module named 'acme_path.sub'; is it in the version that uv.lock has?",
        ),
        start.format("yaml", "No module named 'yaml'; uv add PyYAML"),
    ]


def test_page_of_images(
    copy: Callable[..., Path],
    template: Path,
    indexes: Indexes,
    logins: dict[str, str],
    tmp_path: Path,
) -> None:
    """All of docs/images.md, from top to bottom in one project, with indexes of here."""
    project = copy(tmp_path / "churn", image=IMAGE)
    (project / "flows/train.py").unlink()  # with what it imports
    (project / "pyproject.toml").write_text(BARE)
    indexes.publish("second", "torch")
    indexes.publish("private", "acme-features")
    names = {
        "https://download.pytorch.org/whl/cpu": f"{indexes.url}/second/simple",
        "https://download.pytorch.org/whl/cu128": f"{indexes.url}/second/simple/",
        "https://pypi.acme.example/simple": f"{indexes.url}/private/simple",
        "uv run k8s": str(K8S),
    }
    env = home_of_reader(tmp_path / "home", template) | {
        "PASSWORD": PASSWORD,
        "DOCKER_BUILDKIT": "1",
    }
    env |= {name: logins[name] for name in ("NO_PROXY", "no_proxy")}
    shutil.copy(Path(logins["HOME"]) / ".netrc", tmp_path / "home")
    page = (ROOT / "docs/images.md").read_text()
    run_page("docs/images.md", page, started(project), env, names)
    code = "import torch, acme_features; print(torch.origin, acme_features.origin)"
    output = run("docker", "run", "--rm", IMAGE, "python", "-c", code, cwd=project)
    assert output == "second private\n"


BARE = """
[project]
name = "churn"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = []

[tool.mf-k8s]
package = "churn"
"""


def unpacked(archive: Path, folder: Path) -> list[Path]:
    """Return the layers of an image, each a tar, by the name that either store gives it."""
    folder.mkdir()
    run("tar", "-xf", archive, "-C", folder, cwd=folder)
    (manifest,) = json.loads((folder / "manifest.json").read_text())
    return [folder / layer for layer in manifest["Layers"]]


def test_image_of_a_member_of_a_workspace(project: Project, tmp_path: Path) -> None:
    """Its uv.lock and its other members are above it; what is printed about that is pasted."""
    image = "localhost/mf-template-member:1"
    folder = tmp_path / "teams/churn-model"
    left_out = shutil.ignore_patterns(".venv", "libs", "vendor", "uv.lock")
    shutil.copytree(project.folder, folder, ignore=left_out)
    shutil.copytree(project.folder / "libs", tmp_path / "libs")
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["teams/*", "libs/*"]')
    (folder / "pyproject.toml").write_text(MEMBER)
    for file, old, new in (("k8s.toml", IMAGE, image), ("Dockerfile", "--group plots ", "")):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace(old, new))
    run(UV, "lock", "--quiet", cwd=folder)
    (remedy,) = re.findall("run `(printf .*)`", k8s(folder, "image", code=2))
    run("sh", "-c", remedy, cwd=folder)
    k8s(folder, "image")
    code = "import acme_member; print(acme_member.origin)"
    assert run("docker", "run", "--rm", image, "python", "-c", code, cwd=folder) == "member\n"
