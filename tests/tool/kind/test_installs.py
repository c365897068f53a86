"""What is installed on a kind cluster: objects that are missing, and Argo Workflows."""

import contextlib
import json
import re
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kind_objects import present
from mf_k8s.errors import CommandError
from mf_k8s.kind import installs
from mf_k8s.kind.cluster import Cluster
from mf_k8s.project.project import Project
from stand_ins import INSTALL, argo

__all__ = ["argo"]  # fixtures


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
