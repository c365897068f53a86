"""What `k8s deploy` writes, and puts back: a server that keeps objects as Kubernetes does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import write_kubeconfig
from mf_k8s import cluster_api
from mf_k8s.compile_flows import compile_flows
from mf_k8s.complete_template import complete_template
from mf_k8s.deploy.create import reason_not_created
from mf_k8s.deploy.write import write_all
from mf_k8s.errors import CommandError
from mf_k8s.project import Project

WHERE = {"group": "argoproj.io", "version": "v1alpha1", "namespace": "team-a"}


class Api(BaseHTTPRequestHandler):
    """Custom objects by `plural/name`; refuses to write the names in `refused`."""

    objects: dict[str, dict[str, Any]] = {}
    refused: set[str] = set()
    version = 0

    def answer(self, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def key(self, body: Any = None) -> str:
        plural, _, name = self.path.partition("/team-a/")[2].partition("/")
        return f"{plural}/{name or body['metadata']['name']}"

    def do_GET(self) -> None:
        found = self.objects.get(self.key())
        self.answer(200 if found else 404, found or {})

    def do_POST(self) -> None:
        self.store(must_be_new=True)

    def do_PUT(self) -> None:
        self.store(must_be_new=False)

    def store(self, must_be_new: bool) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.key(body)
        present = self.objects.get(key)
        version = body["metadata"].get("resourceVersion")
        stale = present and version != present["metadata"]["resourceVersion"]
        if key in self.refused or (must_be_new == bool(present)) or (not must_be_new and stale):
            self.answer(409, {"reason": "Conflict"})
            return
        Api.version += 1
        body["metadata"]["resourceVersion"] = str(Api.version)
        self.objects[key] = body
        self.answer(200, body)

    def do_DELETE(self) -> None:
        self.objects.pop(self.key())
        self.answer(200, {})

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Api]]:
    Api.objects, Api.refused = {}, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = write_kubeconfig(tmp_path / "kubeconfig", server.server_port)
    monkeypatch.setenv("KUBECONFIG", str(config))
    cluster_api.api_client.cache_clear()
    yield Api
    cluster_api.api_client.cache_clear()
    server.shutdown()


def request(verb: str, plural: str, name: str, value: str) -> Any:
    body = {"metadata": {"name": name, "labels": {"value": value}}}
    arguments = {**WHERE, "plural": plural, "body": body}
    if verb == "replace":
        arguments["name"] = name
    return f"{verb}_namespaced_custom_object", arguments


def values(api: type[Api]) -> dict[str, str]:
    return {key: body["metadata"]["labels"]["value"] for key, body in api.objects.items()}


def test_all_is_written(api: type[Api]) -> None:
    write_all([request("create", "workflowtemplates", "a", "old")])
    write_all(
        [
            request("replace", "workflowtemplates", "a", "new"),
            request("create", "cronworkflows", "a", "new"),
        ]
    )
    assert values(api) == {"workflowtemplates/a": "new", "cronworkflows/a": "new"}


def test_a_refused_write_puts_back_what_was_written(api: type[Api]) -> None:
    """A new flow is deleted again, and an older one is as it was; the message names both."""
    write_all([request("create", "workflowtemplates", "a", "old")])
    api.refused = {"workflowtemplates/c"}
    with pytest.raises(CommandError) as stopped:
        write_all(
            [
                request("replace", "workflowtemplates", "a", "new"),
                request("create", "workflowtemplates", "b", "new"),
                request("create", "workflowtemplates", "c", "new"),
            ]
        )
    assert values(api) == {"workflowtemplates/a": "old"}
    assert str(stopped.value) == (
        "cannot write workflowtemplates/c in namespace team-a: 409 Conflict; "
        "workflowtemplates/b was put back as it was; workflowtemplates/a was put back as it was"
    )


def test_what_cannot_be_put_back_is_named(api: type[Api], monkeypatch: Any) -> None:
    write_all([request("create", "workflowtemplates", "a", "old")])
    api.refused = {"workflowtemplates/b"}

    def refuse(self: Any) -> None:
        if self.key({"metadata": {"name": "b"}}) == "workflowtemplates/b":
            api.refused = {"workflowtemplates/a", "workflowtemplates/b"}
        self.store(must_be_new=True)

    monkeypatch.setattr(api, "do_POST", refuse)
    with pytest.raises(CommandError) as stopped:
        write_all(
            [
                request("replace", "workflowtemplates", "a", "new"),
                request("create", "workflowtemplates", "b", "new"),
            ]
        )
    assert "workflowtemplates/a IS CHANGED, because it could not be put back" in str(stopped.value)
    assert values(api) == {"workflowtemplates/a": "new"}


def compiled(project: Path, flow: str) -> dict[str, Any]:
    """Return the WorkflowTemplate of a flow of tests/flows."""
    file = Path(__file__).parent / "flows" / f"{flow}.py"
    (result,) = compile_flows(Project(project, "churn_model"), [file])
    assert result.template, result.error
    return result.template


def input_paths(template: dict[str, Any]) -> dict[str, str]:
    """Return the argument `input-paths` of each task of a WorkflowTemplate."""
    return {
        task["name"]: parameter["value"]
        for one in template["spec"]["templates"]
        for task in (one.get("dag") or {}).get("tasks", ())
        for parameter in task["arguments"]["parameters"]
        if parameter["name"] == "input-paths"
    }


def test_a_conditional_join_names_no_skipped_output(example: Path) -> None:
    """Argo from 3.7.11 on does not start a task whose arguments name one that is missing."""
    template = compiled(example, "conditional")
    before = input_paths(template)
    after = input_paths(complete_template(template, {}))
    assert "{{tasks.right-hand.outputs.parameters.task-id}}" in before["meet"]
    assert after.pop("meet") == (
        "argo-{{workflow.name}}/:"
        "left/{{=tasks['left'].status == 'Succeeded'"
        " ? get(get(get(tasks['left'], 'outputs'), 'parameters'), 'task-id')"
        " : '{' + '{skipped}' + '}'}},"
        "right_hand/{{=tasks['right-hand'].status == 'Succeeded'"
        " ? get(get(get(tasks['right-hand'], 'outputs'), 'parameters'), 'task-id')"
        " : '{' + '{skipped}' + '}'}}"
    )
    del before["meet"]
    assert after == before


@pytest.mark.parametrize("flow", ["branch", "nested", "recursion"])
def test_other_flows_are_not_rewritten(example: Path, flow: str) -> None:
    template = compiled(example, flow)
    assert input_paths(complete_template(template, {})) == input_paths(template)


METAFLOW = """
There is an existing version of trainflow on Argo Workflows which was deployed by the user ann.lee.
To deploy a new version of this flow, you need to use the same production token that they used.
Please reach out to them to get the token. Once you have it, call this command:
    argo-workflows create --authorize MY_TOKEN
Try again with the correct production token.
"""


def test_the_owner_of_a_deployment_is_named() -> None:
    """And both ways out: Metaflow's last lines have neither."""
    message = reason_not_created("flows/train.py", METAFLOW)
    assert "deployed by ann.lee, and" in message
    assert "METAFLOW_USER=ann.lee" in message
    assert "python flows/train.py argo-workflows create --authorize TOKEN" in message
