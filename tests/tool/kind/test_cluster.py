"""What `k8s kind`, `deploy` and `image` do without a cluster: what they derive, and bad input."""

import contextlib
import functools
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import rich.progress
from conftest import K8S, own_target
from mf_k8s import testing
from mf_k8s.cluster import pod_states
from mf_k8s.errors import CommandError
from mf_k8s.image.tags import commit_tag, with_image, with_tag
from mf_k8s.kind import compilation_stamp, flow_tests, images, installs, run_flows, up
from mf_k8s.kind import find_target as environment
from mf_k8s.kind import make_nodes as nodes
from mf_k8s.kind import plan_nodes as capacity
from mf_k8s.kind.cluster import Cluster, find_cluster
from mf_k8s.kind.images import name_by_digest
from mf_k8s.kind.make_nodes import cluster_config
from mf_k8s.kind.namespace_objects import (
    needed_objects,
    what_is_missing,
    with_values,
    workflow_objects,
)
from mf_k8s.project import kind_toml
from mf_k8s.project.project import Project
from mf_k8s.show.progress import stage
from teams import commit, git

GPU_NODE = {
    "node_selector": {"pool": "a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
}
PODS: list[dict[str, Any]] = [
    {"service_account": "metaflow", "image": "a:1", "cpu": "1.5", "memory": "4096M"},
    {"service_account": "metaflow", "cpu": "1", "gpu": {"amd.com/gpu": "3"}, **GPU_NODE},
    {"service_account": "other", "extended_resources": {"nvidia.com/mig-1g.5gb": "2"}},
    {
        "service_account": "metaflow",
        "tolerations": [{"operator": "Exists"}],
        "persistent_volume_claims": {"data": "/data"},
        "secrets": ["db", "kind-s3", "both"],
        "image_pull_secrets": ["regcred", "both"],
    },
    {"service_account": "metaflow", **GPU_NODE},
    {
        "service_account": "metaflow",
        "node_selector": {"pool": "shared"},
        "tolerations": [
            {"key": "team", "operator": "Equal", "value": "a", "effect": "NoExecute"},
            {"key": "team", "operator": "Equal", "value": "b", "effect": "NoExecute"},
        ],
    },
]


def test_placements() -> None:
    """Pods that tolerate taints get a node with these; a toleration of everything needs none.

    Kubernetes refuses two taints of one key and effect.
    """
    assert capacity.labels_and_taints(PODS) == [
        {"labels": {}, "taints": []},
        {
            "labels": {"pool": "a100"},
            "taints": [{"key": "nvidia.com/gpu", "value": "", "effect": "NoSchedule"}],
        },
        {
            "labels": {"pool": "shared"},
            "taints": [{"key": "team", "value": "b", "effect": "NoExecute"}],
        },
    ]


def test_node_capacity() -> None:
    """Four of the largest pods fit, beside 2 cores and 2 GiB for the system."""
    assert capacity.node_capacity(PODS) == {
        "cpu": 4 * 2 + 2,
        "memory": 4 * 4096 * 10**6 + 2 * 2**30,
        "amd.com/gpu": 12,
        "nvidia.com/mig-1g.5gb": 8,
    }


def test_objects() -> None:
    objects = needed_objects(PODS, "team-a", parallel=True)
    names = sorted((item["kind"], item["metadata"]["name"]) for item in objects)
    assert names == [
        ("Namespace", "team-a"),
        ("PersistentVolume", "team-a-data"),
        ("PersistentVolumeClaim", "data"),
        ("Role", "argo-executor"),
        ("RoleBinding", "argo-executor"),
        ("Secret", "both"),
        ("Secret", "db"),
        ("Secret", "regcred"),
        ("ServiceAccount", "metaflow"),
        ("ServiceAccount", "other"),
    ]
    by_name = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    of_registry = "kubernetes.io/dockerconfigjson"
    assert by_name["Secret", "both"]["type"] == by_name["Secret", "regcred"]["type"] == of_registry
    subjects = by_name["RoleBinding", "argo-executor"]["subjects"]
    assert {item["name"] for item in subjects} == {"metaflow", "other"}
    assert {
        (tuple(item["resources"]), *item["verbs"])
        for item in by_name["Role", "argo-executor"]["rules"]
    } == {
        (("workflowtaskresults",), "create", "patch"),
        (("jobsets",), "create", "get", "watch", "delete"),
    }


def present(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "uid": "1"}, **more}


def test_what_is_there_is_left_alone() -> None:
    """Somebody may have filled a Secret, annotated an account, chosen a claim's storage or a class.

    Of a ConfigMap, the keys that k8s.toml names in addition are made.
    """
    semaphores = [{"config_map_key_ref": {"name": "limits", "key": key}} for key in ("a", "b")]
    workflow = {"priority_class": "low", "synchronization": {"semaphores": semaphores}}
    needed = [*needed_objects(PODS, "team-a", parallel=False), *workflow_objects(workflow)]
    there = [
        present("Namespace", "team-a"),
        present("ServiceAccount", "metaflow"),
        present("Secret", "db", data={"password": "c2VzYW1l"}),
        present("Secret", "regcred"),
        present("PersistentVolumeClaim", "data"),
        present("PersistentVolume", "team-a-data"),
        present("PriorityClass", "low", value=1000),
        present("ConfigMap", "limits", data={"a": "1"}),
        present("ConfigMap", "other"),
    ]
    missing, lacking = what_is_missing(needed, there, {"db": {"user": "ann"}})
    assert [
        (item["kind"], item["metadata"]["name"]) for item in missing if "Role" not in item["kind"]
    ] == [("ServiceAccount", "other"), ("Secret", "both")]
    assert {item["metadata"]["name"]: item["data"] for item in lacking} == {
        "limits": {"b": "100"},
        "db": {"user": "YW5u"},
    }
    _, lacking = what_is_missing(needed, there, {"db": {"password": "sesame"}})  # as it is there
    assert [item["metadata"]["name"] for item in lacking] == ["limits"]


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ("", ["db", "limits"]),
        (json.dumps(present("Secret", "db")), ["limits"]),
        (json.dumps({"kind": "List", "items": [present("Secret", "db")]}), ["limits"]),
    ],
)
def test_missing_objects_are_made(tmp_path: Path, answer: str, made: list[str]) -> None:
    """Kubectl prints nothing, an object or a list, by how many there are.

    What is there is not applied, which would take away what somebody has applied.
    """
    calls: list[tuple[tuple[str, ...], list[Any]]] = []

    class Recorded(Cluster):
        def kubectl(self, *command: str, stdin: str | None = None) -> str:
            calls.append((command, json.loads(stdin or "{}").get("items", [])))
            return answer if command[0] == "get" else ""

    names = {"Secret": "db", "ConfigMap": "limits"}
    objects = [{"kind": kind, "metadata": {"name": name}} for kind, name in names.items()]
    cluster = Recorded("c", tmp_path)
    count = installs.apply_missing(cluster, objects, "team-a", {"db": {"user": "ann"}})
    assert count == len(made)
    (got, asked), (applied, items), *patched = calls
    assert got[0] == "get" and [item["metadata"]["name"] for item in asked] == ["db", "limits"]
    assert applied[0] == "apply" and [item["metadata"]["name"] for item in items] == made
    patch = '{"data": {"user": "YW5u"}}'
    which = ("patch", "Secret", "db", "--namespace", "team-a", "--type=merge", "--patch", patch)
    assert [command for command, _ in patched] == ([which] if answer else [])


VALUES = """
[variables]
API_URL = "http://localhost"
TOKEN = { from = "CI_TOKEN" }
UNSET = { from = "NOWHERE" }
[secrets.db]
password = "test-only"
user = { from = "CI_TOKEN" }
other = { from = "NOWHERE" }
[secrets.both]
".dockerconfigjson" = "{}"
[hello]
parameters = ["--who=me"]
"""


def test_values_for_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No value has to be committed: it may be a variable of whoever runs the tests."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows/hello.py").touch()
    (tmp_path / "tests/kind.toml").write_text(VALUES)
    monkeypatch.setenv("CI_TOKEN", "from CI")
    project = Project(tmp_path, "churn_model")
    variables = {"API_URL": "http://localhost", "TOKEN": "from CI"}
    assert kind_toml.variables_of_tests(project) == variables
    hello = testing.Flow(project, "flows/hello.py", [], ["--who=me"], "")
    assert hello.variables == variables | {
        "password": "test-only",
        "user": "from CI",
        ".dockerconfigjson": "{}",
    }
    assert kind_toml.read_flow_settings(project) == {"hello": {"parameters": ["--who=me"]}}
    secrets = kind_toml.secrets_of_tests(project)
    objects = {
        item["metadata"]["name"]: item
        for item in with_values(needed_objects(PODS, "team-a", parallel=False), secrets)
        if item["kind"] == "Secret"
    }
    assert objects["db"]["data"] == {"password": "dGVzdC1vbmx5", "user": "ZnJvbSBDSQ=="}
    assert objects["both"]["data"] == {".dockerconfigjson": "e30="}
    assert objects["both"]["type"] == "kubernetes.io/dockerconfigjson"
    assert "type" not in objects["db"]
    assert capsys.readouterr().err == ""
    kind_toml.print_missing_values(project)
    assert [item["metadata"]["name"] for item in with_values([], {"dbb": {}})] == ["dbb"]
    assert capsys.readouterr().err.splitlines() == [
        "k8s: tests/kind.toml: the variable NOWHERE is not set, so the Secret db gets no other",
        "k8s: tests/kind.toml: no pod reads the Secret dbb: is it misspelt?",
    ]
    (tmp_path / "flows/secrets.py").touch()  # of this name, the table is its own
    (tmp_path / "tests/kind.toml").write_text("[secrets]\nskip = 'slow'\n")
    assert kind_toml.read_flow_settings(project) == {"secrets": {"skip": "slow"}}
    assert kind_toml.secrets_of_tests(project) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[variables]\nA = 1\n", "tests/kind.toml: variables: A = 1: Text, or { from = "),
        ("[variables]\nA = { form = 'B' }\n", "Text, or { from = "),
        ("[variables]\nAWS_PROFILE = 'a'\n", "belongs to environments/kind.json"),
        ("[secrets]\npassword = 'a'\n", 'secrets: password = "a": A table of values'),
        ("secrets = 'a'\n", "Tables like [secrets.db-password], with lines like"),
    ],
)
def test_values_that_are_not_valid(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/kind.toml").write_text(text)
    with pytest.raises(CommandError) as error:
        _ = testing.Flow(Project(tmp_path, "churn_model"), "", [], [], "").variables
    assert says in str(error.value)


@pytest.mark.parametrize("has_numa", [True, False])
def test_a_kernel_without_numa(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_numa: bool
) -> None:
    """Nothing can be mounted over a folder that does not exist: no cluster would come up."""
    numa = tmp_path / "node"
    if has_numa:
        numa.mkdir()
    monkeypatch.setattr(capacity, "NUMA", str(numa))
    for node in json.loads(cluster_config(Cluster("churn", tmp_path), 2))["nodes"]:
        paths = {mount["containerPath"] for mount in node["extraMounts"]}
        assert paths - {str(numa)} == {"/proc/meminfo", "/claims", "/images"}
        assert (str(numa) in paths) == has_numa


GOOD = {
    "docker": 'case "$1" in version) echo 28.0.1;; info) echo 2;; *) exit 0;; esac',
    "kind": 'case "$1 $2" in version*) echo "kind v0.33.0";; *) exit 0;; esac',
    "kubectl": 'case "$1" in version) echo "Client Version: v1.34.1";; *) exit 0;; esac',
}


def create_fails(words: str) -> dict[str, str | None]:
    """Return a stand-in for kind, by what it says when it fails to create a cluster."""
    cases = f"version*) echo v0.33.0;; 'create cluster') echo '{words}' >&2; exit 1;;"
    return {"kind": f'case "$1 $2" in {cases} esac'}


NO_DOCKER = 'echo "Cannot connect to the Docker daemon at unix:///x. Is it up?" >&2; exit 1'
OTHERS = 'case "$1 $2" in version*) echo v0.33.0;; "get clusters") echo churn-model;; esac'
BAD: dict[str, tuple[dict[str, str | None], str]] = {
    "Docker is not running": ({"docker": NO_DOCKER}, "Docker is not running: start it"),
    "no kind": ({"kind": None}, "kind is not installed, or not on PATH"),
    "no kubectl": ({"kubectl": None}, "kubectl is not installed, or not on PATH"),
    "old kind": ({"kind": "echo kind v0.11.1"}, "kind 0.11.1 is too old: 0.27 or newer is needed"),
    "old kubectl": ({"kubectl": "echo Client Version: v1.20.4"}, "kubectl 1.20.4 is too old: 1.28"),
    "another's cluster": ({"kind": OTHERS}, "kind delete cluster --name churn-model, or choose"),
    "full disk": (
        create_fails("ERROR: write /x: no space left on device"),
        "no space left on device: free some disk: docker system prune",
    ),
    "port in use": (
        create_fails("ERROR: Bind for 127.0.0.1:80 failed: port is already allocated"),
        "another program has this port; try again",
    ),
    "no internet": (
        create_fails("ERROR: failed to pull image kindest/node: dial tcp: no such host"),
        "K8S_KIND_NODE_IMAGE",
    ),
}


@pytest.fixture
def k8s(locked: Path, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Return a function that runs `k8s` with nothing on PATH but stand-ins for its programs."""

    def k8s(
        *command: str,
        programs: dict[str, str | None] | None = None,
        folder: Path = locked,
        **more: str,
    ) -> tuple[int, str]:
        shutil.rmtree(tmp_path / "bin", ignore_errors=True)
        (tmp_path / "bin").mkdir()
        for name, body in {**GOOD, **(programs or {})}.items():
            if body is not None:
                (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
                (tmp_path / "bin" / name).chmod(0o755)
        env = {name: value for name, value in os.environ.items() if not name.startswith("K8S_")}
        env |= {"PATH": str(tmp_path / "bin"), **more}
        done = subprocess.run(
            [K8S, *command], cwd=folder, env=env,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    return k8s


@pytest.mark.parametrize("what", BAD)
def test_up_says_what_is_missing(k8s: Callable[..., Any], example: Path, what: str) -> None:
    """In one line with the remedy, and nothing half made is left behind."""
    programs, remedy = BAD[what]
    try:
        code, output = k8s("kind", "up", programs=programs)
        assert code == 2
        (line,) = [item for item in output.splitlines() if item.startswith("k8s: ")]
        assert remedy in line
        assert not (example / ".kind/config.yaml").exists()
        assert not (example / ".kind/kubeconfig").exists()
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)


BROKEN = """
from churn_model import BaseFlow as BrokenFlow
import pathlib, time
while not pathlib.Path(".kind-building").exists():
    time.sleep(0.1)
raise ValueError("broken")
BrokenFlow()
"""


def test_a_broken_flow_does_not_wait_for_the_image(k8s: Callable[..., Any], example: Path) -> None:
    """It is built meanwhile, which may take minutes."""
    flow, building = example / "flows/broken.py", example / ".kind-building"
    docker = ": > .kind-building; exec /bin/sleep 100"
    docker = f'case "$1" in build) {docker};; info) echo 2;; *) echo 28.0.1;; esac'
    flow.write_text(BROKEN)
    try:
        started = time.monotonic()
        code, output = k8s("kind", "up", programs={"docker": docker})
        assert code == 2 and "flows/broken.py: ValueError: broken" in output
        assert building.exists() and time.monotonic() - started < 60
    finally:
        flow.unlink()
        building.unlink(missing_ok=True)
        shutil.rmtree(example / ".kind", ignore_errors=True)


class Writes(io.TextIOBase):
    """Remembers each write."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def write(self, text: str) -> int:
        self.made.append(text)
        return len(text)


def test_stages_side_by_side_print_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may write between any two writes."""
    monkeypatch.setattr(sys, "stdout", writes := Writes())
    with stage("hello argo") as testing:
        testing.result = "2 pods match k8s.toml"
    (line,) = writes.made
    assert line.startswith("hello argo ") and line.endswith(" s\n")


STANDING: dict[str, str | None] = {
    "docker": """case "$*" in
        version*) echo 29.0.1;;
        info*) echo 2;;
        "image inspect"*) echo linux/arm64 sha256:one;;
        save*) : > .kind/images/0.tar; echo "$*" > .kind/saved;;
        *"config dump") echo '[a]'; echo "  snapshotter = ''"; echo "  snapshotter = 'native'";;
        *import*) echo "$*" >> .kind/brought;;
        port*) echo 127.0.0.1:32000;;
    esac""",
    "kind": """case "$1 $2" in
        version*) echo kind v0.33.0;;
        "get clusters") test ! -e .kind/kubeconfig || echo churn-model;;
        "get nodes") echo churn-model-control-plane;;
        "create cluster") : > .kind/kubeconfig;;
    esac""",
}


INSTALL = "{kind: Deployment, metadata: {name: workflow-controller}, spec: %s}"
INSTALL %= "{template: {spec: {containers: []}}}"


@pytest.fixture
def argo(request: pytest.FixtureRequest) -> Iterator[HTTPServer]:
    """Return a server of an install manifest, or of another page."""
    page: str = getattr(request, "param", INSTALL)

    class Manifest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Manifest)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.server_close()


def test_up_again_needs_no_internet(
    k8s: Callable[..., Any], example: Path, argo: HTTPServer, tmp_path: Path
) -> None:
    """What was downloaded is kept, and of an image the platform alone that Docker has pulled.

    It is kept where K8S_KIND_FOLDER says; `down` deletes the project's own folder there.
    """
    clone = hashlib.sha256(str(example.resolve()).encode()).hexdigest()[:8]
    moved, docker_and_kind = tmp_path / f"disk/churn-model-{clone}.kind", {}
    for name, text in STANDING.items():
        docker_and_kind[name] = text and text.replace(".kind/", f"{moved}/")
    variables = {
        "K8S_ARGO_MANIFEST": f"http://127.0.0.1:{argo.server_port}/install.yaml",
        "K8S_KIND_FOLDER": str(moved.parent),
    }

    def kind(command: str) -> str:
        code, output = k8s("kind", command, programs=docker_and_kind, **variables)
        assert code == 0, output
        return str(output)

    assert "churn-model: new, nodes: 1" in kind("up")
    assert (moved / "saved").read_text().split()[-1] == "ghcr.io/acme/churn:1.2.3"
    brought = (moved / "brought").read_text().split()
    assert brought[:2] == ["exec", "churn-model-control-plane"]
    how = ["--platform", "linux/arm64", "--digests", "--snapshotter", "native"]
    assert brought[-6:] == [*how, "/images/0.tar"]
    assert not (example / ".kind").exists()
    argo.shutdown()
    argo.server_close()
    assert "new" not in kind("up")
    assert (moved / "brought").read_text().split() == brought
    assert f"KUBECONFIG={moved}/kubeconfig" in kind("env")
    (moved.parent / "other").touch()
    kind("down")
    assert [file.name for file in moved.parent.iterdir()] == ["other"]


def test_two_clones_share_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or `kind down` in one would delete the other's cluster."""
    monkeypatch.setenv("K8S_KIND_FOLDER", str(tmp_path / "disk"))
    first, second = (find_cluster(Project(tmp_path / name, "churn_model")) for name in "ab")
    assert first.name == second.name
    assert first.folder.parent == second.folder.parent == tmp_path / "disk"
    assert first.folder != second.folder


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError) as error:
        Cluster("churn", tmp_path / "file/churn.kind").make_folders()
    says = (
        f"{tmp_path}/file/churn.kind cannot be written: Not a directory; set K8S_KIND_FOLDER to a"
    )
    assert str(error.value).startswith(says)


LOGIN_PAGE = "<!DOCTYPE html><html><title>Log in</title><form action=/login></form></html>"


@pytest.mark.parametrize(
    ("argo", "says"),
    [
        (LOGIN_PAGE, ": log in to the proxy, or set K8S_ARGO_MANIFEST to"),
        ("a: {b: c}", "/install.yaml has no Kubernetes manifests: set K8S_ARGO"),
        (
            "{kind: ServiceAccount, metadata: {name: argo}}",
            "/install.yaml has no Kubernetes manifests: set",
        ),
    ],
    indirect=["argo"],
)
def test_a_page_that_is_no_manifest_is_not_kept(
    argo: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    """Whatever a proxy answers with 200: the next `kind up` asks again."""
    place = f"http://127.0.0.1:{argo.server_port}/install.yaml"
    monkeypatch.setenv("K8S_ARGO_MANIFEST", place)
    monkeypatch.setattr(installs, "apply", lambda *_: None)
    project, cluster = project_with_argo(tmp_path, ""), Noted("churn-model", tmp_path / "kept")
    cluster.make_folders()
    with pytest.raises(CommandError, match=says) as refused:
        installs.install(project, cluster, "ARGO")
    assert "set K8S_ARGO_MANIFEST to a file or URL that has them" in str(refused.value)
    assert not list(cluster.folder.glob("http*"))
    monkeypatch.setattr(argo.RequestHandlerClass, "do_GET", lambda self: self.send_error(503))
    with pytest.raises(CommandError, match="cannot read .*503"):
        installs.install(project, cluster, "ARGO")


ARGO_LINES = {"": "4", 'argo = "3.7"': "3.7", 'argo = "4"': "4"}


class Noted(Cluster):
    """A cluster of which a namespace's annotation is all that there is."""

    annotation = ""

    def kubectl(self, *command: str, stdin: str | None = None) -> str:
        if command[0] == "annotate":
            object.__setattr__(self, "annotation", command[-1].partition("=")[2])
        return self.annotation


def project_with_argo(folder: Path, line: str) -> Project:
    (folder / "pyproject.toml").write_text(f"[tool.mf-k8s]\npackage = 'churn_model'\n{line}\n")
    return Project(folder, "churn_model")


@pytest.mark.parametrize("line", ARGO_LINES)
def test_argo_is_the_projects_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(installs, "download", lambda place, *_: asked.append(place) or INSTALL)
    monkeypatch.setattr(installs, "apply", lambda *_: None)
    cluster = Noted("churn-model", tmp_path)
    installs.install(project_with_argo(tmp_path, line), cluster, "ARGO")
    (place,) = asked
    folder = "https://github.com/argoproj/argo-workflows/releases/download"
    assert re.fullmatch(rf"{folder}/v{ARGO_LINES[line]}\.[\d.]+/install.yaml", place)


CONTROLLER = """
kind: Deployment
metadata: {name: workflow-controller}
spec: {template: {spec: {containers: [{name: workflow-controller%s}]}}}
---
kind: Deployment
metadata: {name: other}
spec: {template: {spec: {containers: [{name: other}]}}}
"""


@pytest.mark.parametrize(
    ("own", "variables"),
    [
        ("", {"DEFAULT_REQUEUE_TIME": "2s"}),
        (", env: [{name: A, value: b}]", {"A": "b", "DEFAULT_REQUEUE_TIME": "2s"}),
        (", env: [{name: DEFAULT_REQUEUE_TIME, value: 5s}]", {"DEFAULT_REQUEUE_TIME": "5s"}),
    ],
)
def test_argo_starts_the_next_step_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, variables: dict[str, str]
) -> None:
    """A manifest of the company's own may have chosen a time."""
    applied: list[Any] = []
    monkeypatch.setattr(installs, "download", lambda *_: CONTROLLER % own)
    monkeypatch.setattr(installs, "apply", lambda _, items, namespace: applied.extend(items))
    cluster = Noted("churn-model", tmp_path)
    installs.install(project_with_argo(tmp_path, ""), cluster, "ARGO")
    (controller,), (other,) = (
        item["spec"]["template"]["spec"]["containers"] for item in applied if "spec" in item
    )
    assert {item["name"]: item["value"] for item in controller["env"]} == variables
    assert "env" not in other


def test_a_manifest_is_applied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Argo 4's has 11 MB. Another one, or one that could not be applied, is applied."""
    project, cluster = project_with_argo(tmp_path, ""), Noted("churn-model", tmp_path)
    texts = iter([CONTROLLER % "", CONTROLLER % "", CONTROLLER % ", env: []"])
    monkeypatch.setattr(installs, "download", lambda *_: next(texts))
    counts = []

    def install(apply: Any) -> None:
        done: list[str] = []
        monkeypatch.setattr(installs, "apply", lambda *_: done.append("apply") or apply())
        with contextlib.suppress(CommandError):
            installs.install(project, cluster, "ARGO")
        counts.append(len(done))

    def fail() -> None:
        raise CommandError("no space left on device")

    install(fail)
    install(dict)
    assert counts == [1, 1]
    install(dict)
    assert counts == [1, 1, 1]
    texts = iter([CONTROLLER % ", env: []"])
    install(dict)
    assert counts == [1, 1, 1, 0]


@pytest.mark.parametrize("value", ['"5"', "4", '["4"]'])
def test_unknown_argo(tmp_path: Path, value: str) -> None:
    with pytest.raises(CommandError) as error:
        installs.argo_release(project_with_argo(tmp_path, f"argo = {value}"))
    message = 'pyproject.toml: [tool.mf-k8s] argo must be one of "3.7", "4", not '
    assert str(error.value).endswith(message + value)


def test_another_cluster_than_the_projects_own(k8s: Callable[..., Any], example: Path) -> None:
    """A cluster that was made under another name is still the project's, and no other one is."""
    deletes = 'case "$1" in version) echo v0.33.0;; *) echo "$@" >> .kind-calls;; esac'
    calls = example / ".kind-calls"
    try:
        (example / ".kind").mkdir()
        (example / ".kind/config.yaml").write_text('{"name": "ours"}')
        down = ("kind", "down")
        code, line = k8s(*down, programs={"kind": deletes}, K8S_KIND_CLUSTER="churn-model")
        assert code == 2 and not calls.exists()
        assert "this project's cluster is ours, not churn-model: unset K8S_KIND_CLUSTER" in line
        assert k8s(*down, programs={"kind": deletes}) == (0, "kind cluster ours is gone\n")
        assert calls.read_text().startswith("delete cluster --name ours ")
    finally:
        calls.unlink(missing_ok=True)
        shutil.rmtree(example / ".kind", ignore_errors=True)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_record_of_the_cluster(k8s: Callable[..., Any], example: Path, text: str) -> None:
    """As after a full disk: commands that need no cluster work, and `down` clears it away."""
    try:
        (example / ".kind").mkdir()
        (example / ".kind/config.yaml").write_text(text)
        code, output = k8s("check", "hello")
        assert code == 0, output
        assert k8s("kind", "down") == (0, "kind cluster churn-model is gone\n")
        assert not (example / ".kind").exists()
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)


def test_env_turns_a_shell_to_the_cluster(k8s: Callable[..., Any], example: Path) -> None:
    """What would take it elsewhere is unset, and the values are quoted; a proxy is passed by."""
    own = {"METAFLOW_SERVICE_URL": "https://hers", "https_proxy": "http://proxy:3128"}
    own |= {"no_proxy": "acme.com, 127.0.0.1", "NO_PROXY": ""}
    try:
        (example / ".kind").mkdir()
        (example / ".kind/kubeconfig").touch()
        code, output = k8s("kind", "env", programs=STANDING, **own)
        assert code == 0, output
    finally:
        shutil.rmtree(example / ".kind", ignore_errors=True)
    line = "k8s: a proxy is set, which cannot reach the cluster, so NO_PROXY="
    output, _, after = output.partition(line)
    assert after == "acme.com,127.0.0.1,localhost\n"
    script = f"METAFLOW_SERVICE_URL=x AWS_PROFILE=y; export METAFLOW_SERVICE_URL\n{output}\nenv"
    done = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True)
    shell = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert "METAFLOW_SERVICE_URL" not in shell
    assert shell["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:32000"
    assert shell["METAFLOW_DATASTORE_SYSROOT_S3"] == "s3://metaflow/churn-model"
    assert shell["KUBECONFIG"] == str(example / ".kind/kubeconfig")
    assert shell["NO_PROXY"] == shell["no_proxy"] == "acme.com,127.0.0.1,localhost"


@pytest.mark.parametrize(
    ("variables", "value"),
    [
        ({}, None),
        ({"NO_PROXY": "acme.com"}, None),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"ALL_PROXY": "socks5://proxy"}, "127.0.0.1,localhost"),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "a", "no_proxy": "b,a"}, "a,b,127.0.0.1,localhost"),
    ],
)
def test_no_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], value: str | None
) -> None:
    """Both spellings, because of two that differ some programs read one and some the other."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    expected = {} if value is None else {"NO_PROXY": value, "no_proxy": value}
    assert environment.past_the_proxy() == expected


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("churn@sha256:1", "docker.io/library/churn@sha256:1"),
        ("acme/churn:1.2@sha256:1", "docker.io/acme/churn@sha256:1"),
        ("localhost/churn@sha256:1", "localhost/churn@sha256:1"),
        ("reg:5000/a/churn:1.2@sha256:1", "reg:5000/a/churn@sha256:1"),
        ("ghcr.io/acme/churn@sha256:1", "ghcr.io/acme/churn@sha256:1"),
    ],
)
def test_name_of_a_digest(image: str, name: str) -> None:
    """As containerd has it: the registry and no tag."""
    assert name_by_digest(image) == name


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("[helo]\nskip = 'slow'\n", "tests/kind.toml: no flow is called helo"),
        ("[hello]\nskipp = 'slow'\n", "tests/kind.toml: hello: no key skipp; did you mean skip?"),
        ("[hello]\nparameters = '--a=1'\n", "A list of text, like"),
        ("[hello]\nskip = 's'\n[train]\nskip = 's'\n", "no flow to test"),
        ("[hello\n", "kind.toml is not TOML"),
    ],
)
def test_kind_toml(k8s: Callable[..., Any], example: Path, settings: str, says: str) -> None:
    file = example / "tests/kind.toml"
    text = file.read_text()
    try:
        (example / ".kind").mkdir()
        (example / ".kind/kubeconfig").touch()
        file.write_text(settings)
        code, output = k8s("kind", "test", programs=STANDING)
        assert code == 2 and says in output, output
    finally:
        file.write_text(text)
        shutil.rmtree(example / ".kind", ignore_errors=True)


@pytest.mark.parametrize("command", [["test"], ["env"], ["logs", "x"]])
def test_without_a_cluster(k8s: Callable[..., Any], command: list[str]) -> None:
    assert k8s("kind", *command) == (2, "k8s: no cluster is up: run `uv run k8s kind up`\n")


def test_deploy_wants_a_flow_and_an_environment_that_exist(
    k8s: Callable[..., Any], example: Path
) -> None:
    assert k8s("deploy")[0] == 2
    helper = example / "flows/helper.py"
    helper.touch()
    code, output = k8s("deploy", "helper")
    helper.unlink()
    assert code == 2
    assert "k8s: no flow is started in flows/helper.py: end a flow's file with `if __name" in output
    code, output = k8s("deploy", "hello", "--env", "staging")
    assert (code, output) == (2, "k8s: no environment staging; environments/ has kind, prod\n")


def test_env_prints_no_value(k8s: Callable[..., Any], tmp_path: Path) -> None:
    """Only which keys of the user's own configuration it overrides."""
    own = {"METAFLOW_USER": "sesame", "METAFLOW_DEFAULT_DATASTORE": "azure"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    code, output = k8s("deploy", "nothing", "--env", "prod", METAFLOW_HOME=str(tmp_path))
    assert "sesame" not in output
    own["METAFLOW_KUBERNETES_NAMESPACE"] = "barley"
    (tmp_path / "config.json").write_text(json.dumps(own))
    code, output = k8s("deploy", "nothing", "--env", "prod", METAFLOW_HOME=str(tmp_path))
    assert (
        "environments/prod.json overrides your own METAFLOW_KUBERNETES_NAMESPACE, METAFLOW_USER\n"
        in output
    )
    assert "barley" not in output


REGISTRY = """case "$1 $2" in
  "manifest inspect") echo "{manifest}" >&$((1 + {code})); exit {code};;
  "image inspect") echo '[{{"Id": "sha256:one", "RepoDigests": []}}]';;
  version*) echo 28.0.1;;
  *) echo "$@" >> "$0.log";;
esac"""


@pytest.mark.parametrize(
    ("manifest", "code", "ends", "says"),
    [
        ("no such manifest", 1, 0, "ghcr.io/acme/churn:1.2.3: pushed"),
        ('{\\"config\\": \\"sha256:one\\"}', 0, 0, "ghcr.io/acme/churn:1.2.3: is pushed already"),
        ('{\\"config\\": \\"sha256:two\\"}', 0, 2, "k8s image --bump"),
        ("unauthorized: access denied", 1, 2, "docker login ghcr.io"),
    ],
)
def test_push_refuses_to_overwrite(
    k8s: Callable[..., Any], tmp_path: Path, manifest: str, code: int, ends: int, says: str
) -> None:
    docker = REGISTRY.format(manifest=manifest, code=code)
    found, output = k8s("image", "--push", programs={"docker": docker})
    assert found == ends and says in output
    pushed = "push ghcr.io" in (tmp_path / "bin/docker.log").read_text()
    assert pushed == (says.endswith(": pushed"))


BUILD = """case "$1" in version) echo 28.0.1;; *) cat >&2 <<'END'
#9 1.86 ERROR: No matching distribution found for nothing
#9 ERROR: executor failed running [/bin/sh -c pip install nothing]: exit code: 1
------
 > [3/3] RUN pip install nothing:
------
executor failed running [/bin/sh -c pip install nothing]: exit code: 1
END
exit 1;; esac"""


def test_failed_build_says_why(k8s: Callable[..., Any]) -> None:
    code, output = k8s("image", programs={"docker": BUILD.replace("cat", "/bin/cat")})
    why = "No matching distribution found for nothing: executor failed running [/bin/sh -c pip"
    assert code == 2 and why in output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ghcr.io/acme/churn:1.2.9", "ghcr.io/acme/churn:1.2.10"),
        ("reg:5000/churn:v7-slim", "reg:5000/churn:v8-slim"),
        ("churn:stable", None),
        ("reg:5000/churn@sha256:" + "0" * 64, None),
    ],
)
def test_bump(k8s: Callable[..., Any], example: Path, old: str, new: str | None) -> None:
    """The rest of k8s.toml stays as it is, comments included."""
    config = example / "k8s.toml"
    text = config.read_text()
    try:
        config.write_text(text.replace("ghcr.io/acme/churn:1.2.3", old))
        code, output = k8s("image", "--bump")
        assert code == (0 if new else 2)
        assert tomllib.loads(config.read_text())["image"] == (new or old)
        assert config.read_text() == text.replace("ghcr.io/acme/churn:1.2.3", new or old)
        assert new or "--bump needs a tag with a number" in output
    finally:
        config.write_text(text)


def test_bump_of_a_file_from_windows(k8s: Callable[..., Any], committed: Path) -> None:
    """Its line ends and its byte order mark stay, and a link stays one."""
    config, target = committed / "k8s.toml", committed.parent / "shared.toml"
    content = b"\xef\xbb\xbf" + config.read_bytes().replace(b"\n", b"\r\n")
    target.write_bytes(content)
    config.unlink()
    config.symlink_to(target)
    assert k8s("image", "--bump", folder=committed)[0] == 0
    assert config.is_symlink()
    assert target.read_bytes() == content.replace(b"churn:1.2.3", b"churn:1.2.4")
    both = with_image(target.read_bytes(), "churn:2", "sha256:two")
    assert both.count(b"\r\n") == both.count(b"\n") == content.count(b"\n") + 1


SHA = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "tag", "new"),
    [
        ("churn:1.2.9", "2.0", "churn:2.0"),
        ("reg:5000/churn:stable", "v1", "reg:5000/churn:v1"),
        ("churn:1", "latest", '--tag = "churn:latest": A fixed tag: '),
        ("churn:1", "a b", '--tag = "churn:a b": A fixed tag: '),
        (f"churn@{SHA}", "2.0", f"k8s.toml: image = churn@{SHA} has a digest, which fixes its"),
        (
            f"churn:1@{SHA}",
            "git",
            "fixes its content: write a name with a tag instead, like churn:0.1.0",
        ),
        (
            "churn:1",
            "git",
            "is in no git repository: run `git init`, `git add -A` and `git commit`",
        ),
    ],
)
def test_tag(example: Path, image: str, tag: str, new: str) -> None:
    try:
        found = with_tag(Project(example, "churn_model"), image, tag)
    except CommandError as refusal:
        assert new in str(refusal)
    else:
        assert found == new


# Keeps what it is asked to do, and answers as a registry that has what was pushed.
DOCKER = """case "$1 $2" in
  version*) echo 28.0.1;;
  "manifest inspect")
    [ -e {state}/pushed ] || {{ echo no such manifest >&2; exit 1; }}
    echo '{{"Descriptor": {{"digest": "sha256:two"}}}}';;
  *) echo "$1" >> {state}/log;;
esac
[ "$1" != push ] || : > {state}/pushed"""


@pytest.fixture
def committed(locked: Path, tmp_path: Path) -> Path:
    """Return the example project, with a commit of everything."""
    folder = tmp_path / "churn-model"
    shutil.copytree(locked, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    git("init", "-q", "-b", "main", cwd=folder)
    commit(folder)
    return folder


def test_tag_of_the_commit(k8s: Callable[..., Any], committed: Path, tmp_path: Path) -> None:
    """It is built and pushed once: a second run, or a job for another environment, finds it.

    Its digest is an annotation of the pods, until the image has another tag.
    """
    docker = DOCKER.format(state=tmp_path)
    programs = {"docker": docker, "git": f'exec {shutil.which("git")} "$@"'}

    def k8s_image(*options: str) -> str:
        code, output = k8s("image", *options, programs=programs, folder=committed)
        assert code == 0, output
        return " ".join(output.split())

    image = f"ghcr.io/acme/churn:{git('rev-parse', 'HEAD', cwd=committed)[:12]}"
    config = committed / "k8s.toml"
    text = config.read_text()
    output = k8s_image("--tag=git", "--push")
    assert f"build {image}: built" in output and f"push {image}: pushed" in output
    written = config.read_text()
    assert tomllib.loads(written) == tomllib.loads(text) | {
        "image": image,
        "annotations": {"mf-k8s/image-digest": "ghcr.io/acme/churn@sha256:two"},
    }
    assert [line for line in written.splitlines() if line not in text.splitlines()] == [
        f'image = "{image}"',
        'annotations."mf-k8s/image-digest" = "ghcr.io/acme/churn@sha256:two"',
    ]
    output = k8s_image("--tag=git", "--push")
    assert f"build {image}: not needed, the registry has it" in output
    assert f"push {image}: is pushed already" in output
    assert config.read_text() == written
    assert (tmp_path / "log").read_text().split() == ["build", "push"]
    k8s_image("--tag=1.2.3")
    assert config.read_text() == text


@pytest.mark.parametrize(
    ("file", "refused"),
    [
        ("Dockerfile", True),
        ("uv.lock", True),
        (".dockerignore", True),
        ("k8s.toml", False),
        ("flows/hello.py", False),
        ("src/churn_model/features.py", False),
    ],
)
def test_tag_of_a_commit_that_lacks_a_change(committed: Path, file: str, refused: bool) -> None:
    """Of what the image is built of: the flows' code travels with each run."""
    with (committed / file).open("a") as changed:
        changed.write("\n")
    refusal = f"by the commit, which lacks changes of {file}: git commit first"
    with pytest.raises(CommandError, match=refusal) if refused else nullcontext():
        commit_tag(Project(committed, "churn_model"))


def test_tag_of_a_commit_that_lacks_a_file(committed: Path) -> None:
    """A new file of src/, which a team's .dockerignore lets through."""
    project = Project(committed, "churn_model")
    with (committed / ".dockerignore").open("a") as ignored:
        ignored.write("!/src/\n")
    commit(committed)
    (committed / "src/churn_model/features.py").touch()
    (committed / "notes.txt").touch()
    with pytest.raises(CommandError, match="lacks changes of src/churn_model/features.py: git"):
        commit_tag(project)
    (committed / ".dockerignore").write_text("flows\n")  # which lets the rest through
    with pytest.raises(CommandError, match="of .dockerignore, notes.txt, src/churn_model/features"):
        commit_tag(project)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tag=git", "--push"], "ghcr.io/acme/churn:1.2.3 can be pulled and not built: to"),
        (["--tag=2", "--bump"], "--bump and --tag both choose the tag: give one of them"),
    ],
)
def test_tag_of_an_image_that_has_none(
    k8s: Callable[..., Any], committed: Path, options: list[str], says: str
) -> None:
    (committed / "Dockerfile").unlink()
    code, output = k8s("image", *options, folder=committed)
    (line,) = output.splitlines()
    assert code == 2 and says in line


def test_a_digest_that_is_not_known(k8s: Callable[..., Any], committed: Path) -> None:
    """The registry does not show what was pushed, as one without TLS does not."""
    docker = REGISTRY.format(manifest="no such manifest", code=1)
    code, output = k8s("image", "--tag=2", "--push", programs={"docker": docker}, folder=committed)
    assert code == 2 and "does not find it: no digest to write into k8s.toml" in output
    assert "image-digest" not in (committed / "k8s.toml").read_text()


def test_stages_that_begin_together_have_one_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of images and flows do: a second one ends `kind up` in a recursion."""
    made = []

    def display() -> rich.progress.Progress:
        time.sleep(0.1)
        made.append(rich.progress.Progress())
        return made[-1]

    def work(name: str) -> None:
        with stage(name):
            pass

    monkeypatch.setattr("mf_k8s.show.progress.shared_spinner", functools.cache(display))
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, ("images", "flows")))
    assert len(made) == 1


def test_the_flow_with_most_steps_is_first(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = {"hello": ["start", "end"], "train": ["start", "train", "choose", "end"]}
    compiled = [
        SimpleNamespace(file=example / f"flows/{name}.py", error=None, flow={"steps": steps[name]})
        for name in steps
    ]
    begun: list[str] = []
    monkeypatch.setattr(flow_tests, "compile_flows", lambda *_: compiled)
    monkeypatch.setattr(flow_tests, "passes_by", lambda way, run: not begun.append(run.name))
    monkeypatch.setattr(flow_tests, "FLOWS_AT_ONCE", 1)
    cluster = Cluster("churn-model", example / ".kind")
    assert flow_tests.test_flows(Project(example, "churn_model"), cluster, own_target(), (), ())
    assert begun == ["train-run", "train-argo", "hello-run", "hello-argo"]


class Clock:
    """Time that passes when a program sleeps or asks."""

    def __init__(self, tick: float = 1) -> None:
        self.now, self.tick = 0.0, tick

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        self.now += self.tick
        return self.now


def test_a_workflow_that_argo_does_not_take_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its controller does not run, or watches another namespace."""
    monkeypatch.setattr(run_flows, "time", Clock())
    workflow = {"metadata": {"name": "hello-x"}, "status": {}}
    found = {"metadata.name=hello-x": [workflow]}
    target: Any = SimpleNamespace(
        namespace="team-a", list=lambda path, fieldSelector: found.get(fieldSelector, [])
    )
    end = run_flows.WorkflowEnd(target, "hello-x")
    with pytest.raises(CommandError) as stopped:
        for _ in range(1000):
            assert end() is None
    assert str(stopped.value) == (
        "Argo has not taken up the workflow hello-x in 60 s: its controller may be down, or may"
        " not watch namespace team-a"
    )
    workflow["status"] = {"phase": "Running"}
    late = run_flows.WorkflowEnd(target, "hello-x")
    assert [late() for _ in range(1000)] == [None] * 1000  # taken up, it may take its time


def test_a_template_that_argo_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is deployed once and triggered five times at most (argoproj/argo-workflows#14615).

    Its schedule is deleted first, by which it would run again and again on a laptop, and its pods
    are kept, because they are compared when the run has ended.
    """
    missing = 'workflowtemplates.argoproj.io "helloflow" not found'
    done: list[str] = []
    watch = SimpleNamespace(until_end=lambda end: {"phase": "Error", "message": missing})
    cluster = SimpleNamespace(kubectl=lambda *command: done.append(" ".join(command)))
    target = SimpleNamespace(namespace="a")
    parts = {"project": None, "compiled": None, "target": target, "cluster": cluster}
    flow_run: Any = SimpleNamespace(watch=lambda: watch, **parts)
    monkeypatch.setattr(run_flows, "time", Clock())
    template = {
        "metadata": {"name": "helloflow"},
        "spec": {"podGC": {"strategy": "OnPodCompletion"}},
    }
    monkeypatch.setattr(run_flows, "deploy_flows", lambda *_: done.append("deploy") or [template])
    monkeypatch.setattr(run_flows, "trigger", lambda run: done.append("trigger") or "hello-x")
    monkeypatch.setattr(run_flows, "list_pods", lambda *_: [])
    with pytest.raises(CommandError) as stopped:
        run_flows.run_on_argo(flow_run)
    assert str(stopped.value) == f"the workflow hello-x: Error\n{missing}"
    delete = "delete cronworkflow helloflow --namespace a --ignore-not-found"
    patch = (
        'workflowtemplate helloflow --namespace a --type=merge --patch {"spec": {"podGC": null}}'
    )
    assert done == ["deploy", delete, f"patch {patch}", *["trigger"] * 5]


def test_what_a_workflow_names_is_there() -> None:
    """A priority class and semaphores; those of Kubernetes are there already."""
    semaphores = [
        {"config_map_key_ref": {"name": "limits", "key": key}} for key in ("gpu", "training")
    ]
    workflow = {"priority_class": "batch-low", "synchronization": {"semaphores": semaphores}}
    assert workflow_objects(workflow) == [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "batch-low"},
            "value": 0,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "limits"},
            "data": {"gpu": "100", "training": "100"},
        },
    ]
    assert workflow_objects({"priority_class": "system-node-critical", "parallelism": 2}) == []


def test_a_pod_that_has_got_its_node_lacks_none() -> None:
    """The scheduler's old warning is no reason: it would end a run whose pod just starts."""
    scheduled = {"type": "PodScheduled", "status": "True"}
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {
        "metadata": {"name": "a"},
        "status": {
            "phase": "Pending",
            "conditions": [scheduled],
            "containerStatuses": [starting],
        },
    }
    assert pod_states.reason_not_started(pod, {}) == ""
    lacks = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    pod["status"]["conditions"] = [lacks]
    assert pod_states.reason_not_started(pod, {}) == "0/1 nodes are available"


def test_warnings_are_not_those_of_the_scheduler() -> None:
    selectors: list[str] = []

    def list_objects(_: str, fieldSelector: str) -> list[Any]:
        selectors.append(fieldSelector)
        return []

    target: Any = SimpleNamespace(namespace="team-a", list=list_objects)
    assert pod_states.last_warnings(target) == {}
    assert selectors == ["type=Warning,reason!=FailedScheduling"]


@pytest.fixture
def kept_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Callable[..., list[str]]]:
    """Return a project's folder, and what tells which k8s.toml is compiled by two `kind up`."""
    root = tmp_path / "churn"
    (root / ".kind").mkdir(parents=True)
    (root / "k8s.toml").write_text("cpu = 1\n")
    compiled: list[str] = []
    needs = up.Needs([], [])
    monkeypatch.setattr(
        up, "compile_needs", lambda project: compiled.append(project.config_file.name) or needs
    )
    cluster: Any = SimpleNamespace(folder=root / ".kind")

    def twice(other_config: Path | None = None) -> list[str]:
        compiled.clear()
        project = Project(root, "churn", other_config=other_config)
        for _ in range(2):
            assert up.find_needs(project, cluster) == needs
        return compiled.copy()

    return root, twice


def test_needs_are_kept_until_something_changes(
    kept_needs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the project and of packages beside it, a variable, the Python, this package."""
    root, twice = kept_needs
    sibling, installed = tmp_path / "sibling", tmp_path / "site-packages"
    sibling.mkdir()
    installed.mkdir()
    monkeypatch.syspath_prepend(str(sibling))  # as one that is installed editable
    monkeypatch.setattr(compilation_stamp.sysconfig, "get_path", lambda _: str(installed))
    assert twice() == ["k8s.toml"]
    for variable in ("PWD", "SHLVL", "METAFLOW_USER", "AWS_PROFILE"):
        monkeypatch.setenv(variable, "another")
        assert twice() == []
    monkeypatch.setenv("FLOW_SIZE", "large")
    assert twice() == ["k8s.toml"]
    assert "large" not in (root / ".kind/pods.json").read_text()
    (sibling / "shared.py").touch()
    assert twice() == ["k8s.toml"]
    (sibling / "data.csv").touch()
    assert twice() == []
    os.utime(installed, ns=(1, 1))
    assert twice() == ["k8s.toml"]
    monkeypatch.setattr(compilation_stamp, "version", lambda _: "99")
    assert twice() == ["k8s.toml"]
    monkeypatch.setattr(compilation_stamp.sys, "version", "3.99")
    assert twice() == ["k8s.toml"]
    monkeypatch.delenv("HOME")  # and a user whom /etc/passwd does not have
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert twice() == ["k8s.toml"]


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_another_configuration_needs_other_pods(
    kept_needs: Any, tmp_path: Path, where: str
) -> None:
    root, twice = kept_needs
    other = (root if where == "inside" else tmp_path) / "other.toml"
    other.write_text("cpu = 2\n")
    assert twice() == ["k8s.toml"]
    assert twice(other) == ["other.toml"]
    other.write_text("cpu = 3\n")
    os.utime(other, ns=(1, 1))
    assert twice(other) == ["other.toml"]


@pytest.mark.parametrize(
    ("kind", "docker", "reason"),
    [
        ("echo a-worker", "", "kind has 1 of 2 nodes"),
        ("echo a-worker b-worker", "echo cannot connect to containerd >&2; exit 1", "cannot conn"),
    ],
)
def test_waiting_for_nodes_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, docker: str, reason: str
) -> None:
    for name, body in {"kind": kind, "docker": docker}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(images, "time", Clock(1000))
    with pytest.raises(CommandError, match=f"of churn take no images after .0 minutes: .*{reason}"):
        images.await_nodes(Cluster("churn", tmp_path), 2)


def test_nodes_that_took_long_to_pull_have_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ten minutes until containerd answers begin when all nodes are there."""
    second_time = f'test -e "{tmp_path}/$0.ran" || {{ touch "{tmp_path}/$0.ran"; %s; }}'
    bodies = {
        "kind": f"{second_time % 'echo a; exit'}; echo a b",
        "docker": second_time % "exit 1",
    }
    for name, body in bodies.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body.replace('$0', name)}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(images, "time", Clock(500))
    assert images.await_nodes(Cluster("churn", tmp_path), 2) == ["a", "b"]


@pytest.mark.parametrize(("present", "kept"), [("churn-worker", False), ("a b", True)])
def test_a_node_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: str, kept: bool
) -> None:
    """As by `docker rm`: the cluster is made again, and not given up in the middle."""
    kind = f'case "$2" in clusters) echo churn;; nodes) echo {present};; esac'
    for name, body in {"kind": kind, "docker": "echo true"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    cluster = Cluster("churn", tmp_path)
    config = cluster_config(cluster, 2)
    cluster.config_file.write_text(config)
    cluster.kubeconfig.touch()
    assert nodes.reuse_or_delete(cluster, config) == kept
    assert cluster.config_file.exists() == kept


@pytest.mark.parametrize(
    ("memory", "count", "limits"),
    [
        (10 * 2**30, 1, (9 * 2**30, 7 * 2**30)),
        (10 * 2**30, 7, (3 * 2**30, 2**30)),
        (4 * 10**9, 2, (27 * 10**8, 9 * 10**8)),
    ],
)
def test_memory_of_nodes(memory: int, count: int, limits: tuple[int, int]) -> None:
    """Of nine tenths, the control plane gets 2 GiB first; all get the same of the rest."""
    assert nodes.memory_limits(memory, count) == limits


def test_more_nodes_than_linux_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "max_user_instances"
    monkeypatch.setattr(nodes, "INOTIFY", str(limit))
    assert nodes.inotify_advice(9) == ""  # as on macOS
    limit.write_text("128\n")
    assert nodes.inotify_advice(2) == ""
    advice = nodes.inotify_advice(9)
    assert advice.startswith("9 nodes need about ") and "Linux allows 128 here" in advice
    assert "sudo sysctl fs.inotify.max_user_instances=" in advice
    limit.write_text("512\n")
    assert nodes.inotify_advice(9) == ""
