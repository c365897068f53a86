"""What the tests share: copies of the template made without trust, and a project's environment."""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import copier._template
import copier._vcs
import dunamai
import plumbum
import pytest
import yaml
from copier._main import Worker
from forked_programs.start import fork_programs
from jinja2 import Environment
from kubernetes_api import Api, served, write_kubeconfig
from mf_k8s.cluster.target import Target
from mf_k8s.metaflow.configuration import Configuration
from mf_k8s.project.environments import NO_ENVIRONMENT
from questions import missing
from released import copy_without_tool, copy_working_tree
from simulated_cluster import Cluster, Simulate

# What fails in a function that several files of tests share is shown as in a test.
pytest.register_assert_rewrite("adopting", "kind_clusters", "own_copy", "teams")

ROOT = Path(__file__).parent.parent
QUESTIONS = {
    key: question
    for key, question in yaml.safe_load((ROOT / "copier.yml").read_text()).items()
    if not key.startswith("_")
}
BIN = Path(sys.executable).parent
UV = BIN / "uv"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
K8S = BIN / "k8s"  # the command, from template/tools/mf-k8s in place
# Of the projects that are run here; another one may not be on this machine.
OWN_PYTHON = f"3.{min(sys.version_info.minor, 13)}"
EXAMPLE = yaml.safe_load((ROOT / "tests/example-answers.yml").read_text()) | {
    "python_version": OWN_PYTHON,
    "updates": "both",  # as all projects had before there was the question
}
ADVANCED = {
    "project_name": "vision",
    "image": "registry.example.com:5000/team/vision:2024.1",
    "image_source": "existing",
    "gpu": 2,
    "gpu_vendor": "amd",
    "gpu_steps": "every",
    "service_account": "trainer.team-a",
    "shared_memory": 1024,
    "persistent_volume_claims": "data:/data, models-v2:/srv/models",
    "cpu": 1.5,
    "memory": 6000,
    "namespace": "team-a",
    "datastore_root": "s3://acme-metaflow/team-a",
    "ci": "gitlab",
    "deploy_from_ci": True,
    "python_version": "3.12",
    "updates": "renovate",
    "advanced": True,
    "image_pull_secrets": "regcred, other-cred",
    "secrets": "db-password",
    "node_selector": "pool=gpu, example.com/zone=eu-1",
    "tolerations": "amd.com/gpu:NoSchedule, team=vision:NoExecute",
    "metadata_service_url": "https://metadata.example.com",
}


SCREENS = ROOT / "tests/screens"
REGISTRY = "github.com/google/go-containerregistry/cmd/registry@v0.22.1"
FIGURES: dict[str, Any] = {}
Compare = Callable[[str, str], None]


def how_many(name: str, short: int, long: int) -> int:
    """Return how much of something to try: what the variable says, or more with LONG=1."""
    return int(os.environ.get(name) or (long if os.environ.get("LONG") else short))


def pytest_configure() -> None:
    """Stop before the first test where the tests do not know a question."""
    if lines := list(missing(QUESTIONS, (ROOT / "docs/questions.md").read_text())):
        raise pytest.UsageError(f"tests/questions.py: {'; '.join(lines)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests out that only `make test LONG=1` runs."""
    if not os.environ.get("LONG"):
        long = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


def pytest_sessionfinish(session: Any) -> None:
    """Hand what a process of pytest-xdist has measured to the process that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = FIGURES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    FIGURES.update(getattr(node, "workeroutput", {}).get("figures", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests measured, which a passing test would not show."""
    for name, figure in FIGURES.items():
        terminalreporter.write_line(f"{name}: {figure}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-screens", action="store_true", help="write tests/screens anew")


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Compare:
    """Return a function that compares a text with a file of tests/screens, without its `.txt`."""

    def compare(name: str, text: str) -> None:
        file = SCREENS / f"{name}.txt"
        text = "".join(f"{line.rstrip()}\n" for line in text.strip("\n").splitlines())
        if request.config.getoption("--write-screens"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8"), "`make screens` writes it anew: read it"

    return compare


def run(*command: str | Path, cwd: Path, timeout: float = 600, **env: str) -> str:
    """Run a command that must succeed, and return its standard output; show the end if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env or None, timeout=timeout, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def check_schema(name: str, file: Path) -> None:
    """Hold a file against a schema that check-jsonschema brings, like GitLab's of its pipelines."""
    run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{name}", file, cwd=file.parent)


def copy_project(project: Path, folder: Path, *left_out: str) -> Path:
    """Return a copy of a project without its environment, which takes seconds, and without runs."""
    own = shutil.ignore_patterns(".venv", ".metaflow", "__pycache__", *left_out)
    return Path(shutil.copytree(project, folder, ignore=own))


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def find_python(*versions: str) -> str:
    """Return the interpreter of the first of these versions that is here, or else this one."""
    env = dict(os.environ)
    if shutil.which("pyenv"):  # else its pythonX.Y only prints that X.Y is not selected
        env["PYENV_VERSION"] = ":".join(run("pyenv", "versions", "--bare", cwd=Path()).split())
    for version in versions:
        find = [UV, "python", "find", "--no-python-downloads", "--system", version]
        found = subprocess.run(find, env=env, capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.strip()
    return sys.executable


def delete_cluster(name: str) -> None:
    """Delete a kind cluster; do nothing if there is none of this name."""
    run("kind", "delete", "cluster", "--name", name, cwd=ROOT)


def serve_registry(folder: Path) -> Iterator[str]:
    """Yield the address of an image registry that runs on this machine, as a fixture does."""
    if not shutil.which("go"):
        pytest.skip("the registry is a Go module: no go on PATH")
    run("go", "install", REGISTRY, cwd=folder, **os.environ, GOBIN=str(folder))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([folder / "registry", "-port", str(port)], cwd=folder)
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.1)
    yield f"localhost:{port}"
    process.terminate()
    process.wait()


def own_target(**variables: str) -> Target:
    """Return the place of a user's own configuration, with more variables than this process has."""
    return Target(NO_ENVIRONMENT, Configuration(os.environ | variables))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    """Serve an empty Kubernetes API, to which KUBECONFIG and its context `fake` lead."""
    Api.objects, Api.tried, Api.refused, Api.lost = {}, [], set(), set()
    Api.has_reviews, Api.lacking = True, set()
    Api.has_argo, Api.logged_in, Api.is_anonymous, Api.has_gateway = True, True, False, False
    Api.refusal, Api.is_whole = (400, "the name is taken"), True
    with served(Api) as port:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", port)))
        yield Api


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Simulate]:
    """Return a function that serves a cluster made of manifests: tests/simulated_cluster.py."""
    with contextlib.ExitStack() as stack:
        yield lambda *manifests, **options: stack.enter_context(
            Cluster(*manifests, **options).serve(tmp_path)
        )


@pytest.fixture(scope="session", autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep a developer's own Copier settings out of the tests."""
    settings = tmp_path_factory.mktemp("copier") / "settings.yml"
    settings.write_text("{}\n")
    os.environ["COPIER_SETTINGS_PATH"] = str(settings)


@pytest.fixture(scope="session", autouse=True)
def start_as_forks(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start programs as forks of servers, which all processes of pytest-xdist share.

    Not on a real cluster, where runs are ended as groups of processes, and not on macOS, whose
    libraries do not survive a fork. Nor with LONG=1, so that CI tries what people start.
    """
    folder, owner = tmp_path_factory.getbasetemp(), os.getpid()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder, owner = folder.parent, os.getppid()
    as_usual = pytestconfig.option.markexpr == "kind" or sys.platform == "darwin"
    as_usual |= bool(os.environ.get("LONG"))
    with contextlib.nullcontext() if as_usual else fork_programs(folder / "servers", owner):
        yield


@pytest.fixture(scope="session", autouse=True)
def compile_once() -> Iterator[None]:
    """Have Jinja compile a text once, which took a third of the time of an update.

    For each copy Copier makes a new environment. In it all files and 1,450 parts of paths are
    compiled again.
    """
    compile_text = Environment.compile
    compiled: dict[Any, Any] = {}

    def compile_new(
        environment: Environment, source: Any, name: Any = None, filename: Any = None
    ) -> Any:
        key = (type(environment), environment.lexer, *environment.extensions, name, source)
        if key in compiled:
            environment.preprocess(source)  # where Copier forgets the loop of the path before
        else:
            compiled[key] = compile_text(environment, source, name, filename)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", compile_new)
        yield


# Of git, in the tests: no process more for each commit, and no time for small files.
GIT_SETTINGS = {"gc.auto": "0", "maintenance.auto": "false", "core.compression": "0"}


def set_git(patch: pytest.MonkeyPatch, settings: dict[str, str]) -> None:
    """Set git's settings by variables, beside those that the developer or CI has.

    Copier starts git by plumbum, which has read the variables already.
    """
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    for name, value in variables.items():
        patch.setenv(name, value)
        patch.setitem(plumbum.local.env, name, value)


@pytest.fixture(scope="session", autouse=True)
def git_without_waste() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        set_git(patch, GIT_SETTINGS)
        yield


@pytest.fixture(scope="session", autouse=True)
def clone_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have Copier clone a release of a template once, not five times for an update.

    And ask for its version once, with eleven processes of git.
    """
    clone, from_git = copier._template.clone, dunamai.Version.from_git
    clones: dict[tuple[str, str, str], Path] = {}
    versions: dict[Path, dunamai.Version] = {}

    def clone_new(url: str, ref: str, location: str) -> str:
        if ref == "HEAD" or not Path(url).is_dir():  # with what is not committed; or on a server
            return clone(url, ref, location)
        key = (url, ref, run("git", "show-ref", cwd=Path(url)))
        if key not in clones:
            clones[key] = tmp_path_factory.mktemp("clone")
            clone(url, ref, str(clones[key]))
        Path(location).rmdir()  # so that Copier has nothing to remove
        return str(clones[key])

    def version_of_clone(pattern: dunamai.Pattern) -> dunamai.Version:
        folder = Path.cwd()
        if folder not in clones.values():
            return from_git(pattern=pattern)
        if folder not in versions:
            versions[folder] = from_git(pattern=pattern)
        return versions[folder]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier._template, "clone", clone_new)
        patch.setattr(dunamai.Version, "from_git", version_of_clone)
        yield


@pytest.fixture(scope="session", autouse=True)
def copy_without_waste() -> Iterator[None]:
    """Have Copier do once what it does for each copy or each of 140 files: most of its time.

    It asks git, in a process each, whether the executable bits belong into the index; the answer
    is that of the project's repository. It renders 1,500 parts of paths, and the path of the
    answers for each, with all answers collected anew; a text without a brace renders to itself.
    It parses copier.yml, and has git say whether a folder is a bundle, which is a file.
    """
    sync, render = Worker._sync_git_index_executable_bit, Worker._render_string
    answers_relpath: Any = Worker.answers_relpath
    load, is_bundle = copier._template.load_template_config, copier._vcs.is_git_bundle
    needs_sync: dict[Path, bool] = {}
    configs: dict[bytes, dict[str, Any]] = {}

    def sync_where_needed(worker: Worker, path: Path, mode: int) -> None:
        project = worker.subproject.local_abspath
        if project not in needs_sync:
            command = ["git", "config", "--type=bool", "--get", "core.fileMode"]
            done = subprocess.run(command, cwd=project, capture_output=True, text=True)
            needs_sync[project] = done.stdout.strip() == "false"
        if needs_sync[project]:
            sync(worker, path, mode)

    def render_where_needed(
        worker: Worker, text: str, extra_context: dict[str, Any] | None = None
    ) -> str:
        if "{" in text or "\r" in text:
            return render(worker, text, extra_context)
        worker.jinja_env.preprocess(text)  # where Copier forgets the loop of the path before
        return text

    def answers_path(worker: Worker) -> Path:
        path = worker.answers_file or worker.template.answers_relpath
        if "{" in str(path):
            return answers_relpath.fget(worker)
        worker.jinja_env.preprocess(str(path))  # where Copier forgets the loop, too
        return Path(path)

    def load_once(path: Path, quiet: bool = False) -> dict[str, Any]:
        text = path.read_bytes()
        if b"!include" in text:  # of other files
            return load(path, quiet)
        if text not in configs:
            configs[text] = load(path, quiet)
        return deepcopy(configs[text])

    def is_bundle_file(path: Path) -> bool:
        return not path.is_dir() and is_bundle(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier._template, load.__name__, load_once)
        patch.setattr(copier._vcs, is_bundle.__name__, is_bundle_file)
        patch.setattr(Worker, "answers_relpath", property(answers_path))
        patch.setattr(Worker, sync.__name__, sync_where_needed)
        patch.setattr(Worker, render.__name__, render_where_needed)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clean git clone of the working tree, tagged: what a released template looks like."""
    clone = tmp_path_factory.mktemp("template") / "mf-template"
    copy_working_tree(clone)
    return clone


@pytest.fixture(scope="session")
def small_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template without its tool, which most tests of the template do without."""
    small = tmp_path_factory.mktemp("small") / "mf-template"
    copy_without_tool(template, small)
    return small


@pytest.fixture(scope="session")
def copy(template: Path) -> Callable[..., Path]:
    """Return a function that copies the template as `copier copy` does: clean clone, no trust."""

    def copy(destination: Path, **answers: Any) -> Path:
        unknown = answers.keys() - QUESTIONS.keys()
        assert not unknown, f"no such questions: {unknown}"
        data = {"python_version": OWN_PYTHON, **answers}
        copier.run_copy(
            str(template), destination, data=data, defaults=True, quiet=True, unsafe=False
        )
        return destination

    return copy


@pytest.fixture(scope="session")
def example(copy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project made from the example answers."""
    return copy(tmp_path_factory.mktemp("example") / "churn-model", **EXAMPLE)


@pytest.fixture(scope="session")
def locked(example: Path) -> Path:
    """Return the example project, with its uv.lock."""
    run(UV, "lock", "--quiet", cwd=example)
    return example


@pytest.fixture(scope="session")
def venv(locked: Path) -> Path:
    """Return the environment of the example project, made by its own `uv sync`."""
    run(UV, "sync", "--quiet", "--locked", "--python", sys.executable, cwd=locked)
    return locked / ".venv"


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """Return the settings of a Metaflow that has an S3 datastore, served here."""
    from moto.server import ThreadedMotoServer  # it takes a second

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    bucket = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
    urllib.request.urlopen(bucket).close()
    events = ("EVENT", "EVENT_BUS", "EVENT_SOURCE", "SERVICE_ACCOUNT", "WEBHOOK_URL")
    yield {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "METAFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/metaflow",
        "METAFLOW_S3_WORKER_COUNT": "1",  # else a small file starts a process, up to 64 of them
        **{f"METAFLOW_ARGO_EVENTS_{name}": "http://unused" for name in events},
    }
    server.stop()
