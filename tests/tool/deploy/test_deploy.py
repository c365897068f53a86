"""What `k8s deploy` writes, and puts back: a server that keeps objects as Kubernetes does."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import K8S, ROOT, own_target
from kubernetes_api import Api
from mf_k8s.cluster import write_or_undo as cluster_write
from mf_k8s.cluster.user_rights import missing_rights, missing_rights_to_start
from mf_k8s.cluster.write_or_undo import Write, if_unchanged
from mf_k8s.deploy import create
from mf_k8s.deploy.already_deployed import foreign_templates
from mf_k8s.deploy.create import reason_not_created
from mf_k8s.deploy.datastore import datastore_asked
from mf_k8s.deploy.project_branch import branch_of, split_branch_options
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.metaflow import ask_datastore
from mf_k8s.metaflow.compile_flows import CompiledFile, compile_flows
from mf_k8s.metaflow.record_requests import Job, without_replaced_deletes
from mf_k8s.pods.argo_releases import release_problems
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.project_labels import is_own, marks
from mf_k8s.project.environments import NO_ENVIRONMENT, Environment
from mf_k8s.project.project import Project
from stand_ins import k8s

__all__ = ["k8s"]  # fixtures

WHERE = {"group": "argoproj.io", "version": "v1alpha1", "namespace": "team-a"}


def request(verb: str, plural: str, name: str, value: str) -> Any:
    """Return a request as a dry run leaves it, with the version of the object that is there."""
    spec = {"entrypoint": value, "hooks": None}  # as by Metaflow's client, which writes nulls
    body: dict[str, Any] = {"metadata": {"name": name, "labels": {"value": value}}, "spec": spec}
    arguments = {**WHERE, "plural": plural, "body": body}
    if present := Api.objects.get(f"{plural}/{name}"):
        body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
    if verb == "replace":
        arguments["name"] = name
    return f"{verb}_namespaced_custom_object", arguments


def write_all(requests: Any) -> None:
    cluster_write.write_all(own_target(), requests)


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
    assert api.objects["workflowtemplates/a"]["spec"] == {"entrypoint": "old"}
    assert str(stopped.value) == (
        "cannot write workflowtemplates/c in namespace team-a: 400 Bad Request: the name is taken; "
        "workflowtemplates/b was deleted again; workflowtemplates/a was put back as it was"
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
    assert "workflowtemplates/a MAY BE CHANGED, and could not be put back: " in str(stopped.value)
    assert values(api) == {"workflowtemplates/a": "new"}


def test_what_somebody_else_has_changed_is_left_alone(api: type[Api]) -> None:
    write_all([request("create", "workflowtemplates", "a", "old")])
    write = Write(own_target(), *request("replace", "workflowtemplates", "a", "new"))
    write.send()
    write_all([request("replace", "workflowtemplates", "a", "of another")])
    with pytest.raises(CommandError, match="somebody else has changed it since"):
        write.undo()
    assert values(api) == {"workflowtemplates/a": "of another"}


@pytest.mark.parametrize(("gateway", "says"), [(False, "cannot be reached"), (True, ": 504 ")])
def test_a_write_whose_answer_is_lost_is_put_back(api: type[Api], gateway: bool, says: str) -> None:
    """The API server has written it, and goes away before it says so, or a gateway gives up."""
    write_all([request("create", "workflowtemplates", "a", "old")])
    api.lost, api.has_gateway = {"workflowtemplates/a", "workflowtemplates/b"}, gateway
    undone = {"a": "was put back as it was", "b": "was deleted again"}
    for verb, name in (("replace", "a"), ("create", "b")):
        with pytest.raises(CommandError) as stopped:
            write_all([request(verb, "workflowtemplates", name, "new")])
        assert f"write workflowtemplates/{name} " in str(stopped.value)
        assert says in str(stopped.value)
        assert str(stopped.value).endswith(f"; workflowtemplates/{name} {undone[name]}")
        assert values(api) == {"workflowtemplates/a": "old"}


def interrupt_reading(api: type[Api], key: str, pid: int, number: int) -> None:
    """Let the server send a signal to a process that asks it for an object."""
    answer = api.do_GET

    def interrupting(self: Any) -> None:
        if self.key() == key:
            os.kill(pid, number)
            time.sleep(0.5)  # no answer before the signal
        answer(self)

    api.do_GET = interrupting  # type: ignore[method-assign]


INTERRUPTED = """
import json, os, sys
from mf_k8s import cli
from mf_k8s.cluster.target import Target
from mf_k8s.metaflow.configuration import Configuration
from mf_k8s.project.environments import NO_ENVIRONMENT
from mf_k8s.deploy.already_deployed import foreign_templates
from mf_k8s.cluster.user_rights import missing_rights, missing_rights_to_start
from mf_k8s.cluster.write_or_undo import write_all
print("ready", flush=True)
requests = json.loads(sys.stdin.readline())
target = Target(NO_ENVIRONMENT, Configuration(os.environ))
cli.app = lambda *_, **__: write_all(target, requests)
sys.argv[1:] = ["deploy"]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_only_read_is_left_alone(
    api: type[Api], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A CronWorkflow runs on: the interruption comes before its write. What was written goes."""
    write_all([request("create", "cronworkflows", "a", "live")])
    requests = [
        request("create", "workflowtemplates", "a", "new"),
        request("replace", "cronworkflows", "a", "live"),  # with the same schedule
    ]
    before = json.dumps(api.objects)
    monkeypatch.setattr(api, "do_GET", api.do_GET)
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup and a shell's & ignore it
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        assert process.stdout.readline() == "ready\n"
        interrupt_reading(api, "cronworkflows/a", process.pid, number)
        process.stdin.write(f"{json.dumps(requests)}\n")
        if number == signal.SIGHUP:
            process.stderr.close()  # the terminal is gone
            process.stdout.close()
            assert process.wait(30) != 0
        else:
            errors = process.stderr.read()
            assert errors.endswith("k8s: workflowtemplates/a was deleted again\n")
            assert process.wait(30) == 128 + number
    assert json.dumps(api.objects) == before


def test_an_interrupted_deploy_is_put_back(
    api: type[Api], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server has written the second when Ctrl-C comes."""
    send = Write.send

    def interrupted(write: Write) -> None:
        send(write)
        if write.name == "b":
            raise KeyboardInterrupt

    monkeypatch.setattr(Write, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all([request("create", "workflowtemplates", name, "new") for name in "abc"])
    assert values(api) == {}
    assert capsys.readouterr().err == (
        "k8s: interrupted; what was written is put back first\n"
        "k8s: workflowtemplates/b was deleted again; workflowtemplates/a was deleted again\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interruption_does_not_stop_the_undoing(
    api: type[Api], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nor one that comes while the first is announced."""
    undo, send, api.refused = Write.undo, Write.send, {"workflowtemplates/c"}

    def interrupted(write: Write) -> str:
        os.kill(os.getpid(), number)
        return undo(write)

    monkeypatch.setattr(Write, "undo", interrupted)
    before = signal.signal(number, signal.default_int_handler)  # raises KeyboardInterrupt
    requests = [request("create", "workflowtemplates", name, "new") for name in "abc"]
    try:
        with pytest.raises(CommandError, match="workflowtemplates/a was deleted again"):
            write_all(requests)
        assert values(api) == {}

        def first(write: Write) -> None:
            send(write)
            if write.name == "b":
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Write, "send", first)
        announced = lambda _: os.kill(os.getpid(), number)  # noqa: E731
        monkeypatch.setattr("mf_k8s.cluster.write_or_undo.print_error", announced)
        with pytest.raises(KeyboardInterrupt):
            write_all(requests)
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    assert values(api) == {}


def deletion(plural: str, name: str) -> Any:
    """Return a request as --prune makes it."""
    manifest = Api.objects[f"{plural}/{name}"]
    where = {**WHERE, "plural": plural, "name": name, "body": if_unchanged(manifest, plural)}
    return "delete_namespaced_custom_object", where


@pytest.mark.parametrize("plural", ["workflowtemplates", "sensors"])
@pytest.mark.parametrize("change", ["changed", "made", "deleted", "pruned"])
def test_what_changed_since_the_dry_run_is_not_written(
    api: type[Api], plural: str, change: str
) -> None:
    """Somebody else has replaced, made or deleted the object, or replaced what is to be deleted."""
    if change != "made":
        write_all([request("create", plural, "b", "old")])
    verb = "create" if change == "made" else "replace"
    tried = deletion(plural, "b") if change == "pruned" else request(verb, plural, "b", "new")
    of_another = [request(verb, plural, "b", "of another")]
    write_all([deletion(plural, "b")] if change == "deleted" else of_another)
    with pytest.raises(CommandError) as stopped:
        write_all([request("create", "workflowtemplates", "a", "new"), tried])
    action = "delete" if change == "pruned" else "write"
    assert str(stopped.value) == (
        f"cannot {action} {plural}/b in namespace team-a, because somebody else has changed it"
        " while this command ran: run the same command again; workflowtemplates/a was deleted again"
    )
    assert values(api) == ({} if change == "deleted" else {f"{plural}/b": "of another"})


def test_a_refusal_by_a_quota_gives_its_reason(api: type[Api]) -> None:
    """It has the status of a missing right, but no Role helps."""
    api.refused, api.refusal = {"workflowtemplates/a"}, (403, "exceeded quota: templates")
    with pytest.raises(CommandError, match="403 Forbidden: exceeded quota: templates; nothing"):
        write_all([request("create", "workflowtemplates", "a", "new")])
    api.refusal = 403, 'User "ci" cannot create resource "workflowtemplates"'
    with pytest.raises(CommandError, match="not allowed to write workflowtemplates/a .* Role"):
        write_all([request("create", "workflowtemplates", "a", "new")])


def test_a_sensor_is_replaced_not_deleted_first() -> None:
    """Metaflow deletes that of an older version; in the dry run it is then still there."""
    delete = "delete_namespaced_custom_object", {**WHERE, "plural": "sensors", "name": "a"}
    other = "delete_namespaced_custom_object", {**WHERE, "plural": "sensors", "name": "b"}
    replace = request("replace", "sensors", "a", "new")
    assert without_replaced_deletes([delete, other, replace]) == [other, replace]
    assert without_replaced_deletes([replace, delete]) == [replace, delete]


def test_what_argo_has_written_meanwhile_does_not_hinder(api: type[Api]) -> None:
    """It writes the time of its last run into a CronWorkflow, which changes its version."""
    write_all([request("create", "cronworkflows", "a", "old")])
    tried = request("replace", "cronworkflows", "a", "new")
    obsolete = deletion("cronworkflows", "a")
    api.objects["cronworkflows/a"]["metadata"]["resourceVersion"] += "0"
    write_all([tried])
    assert values(api) == {"cronworkflows/a": "new"}
    write_all([obsolete, obsolete])  # which is there no more
    assert values(api) == {}

    write_all([request("create", "cronworkflows", "a", "old")])
    api.refused = {"cronworkflows/b"}
    store = api.store

    def and_argo(self: Any, must_be_new: bool) -> None:
        if "cronworkflows/a" in api.objects:
            api.objects["cronworkflows/a"]["metadata"]["resourceVersion"] += "0"
            api.objects["cronworkflows/a"]["status"] = {"lastScheduledTime": "now"}
        store(self, must_be_new)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(CommandError) as stopped:
        patch.setattr(api, "do_POST", lambda self: and_argo(self, must_be_new=True))
        write_all(
            [
                request("replace", "cronworkflows", "a", "new"),
                request("create", "cronworkflows", "b", "new"),
            ]
        )
    assert "cronworkflows/a was put back as it was" in str(stopped.value)
    assert values(api) == {"cronworkflows/a": "old"}


def compiled(project: Path, flow: str) -> dict[str, Any]:
    """Return the WorkflowTemplate of a flow of tests/flows."""
    file = ROOT / "tests/flows" / f"{flow}.py"
    (result,) = compile_flows(Project(project, "churn_model"), [file])
    assert result.template, result.error
    return result.template


def input_paths(template: dict[str, Any]) -> dict[str, str]:
    """Return the argument `input-paths` of each task of a WorkflowTemplate."""
    return {
        task["name"]: parameter["value"]
        for item in template["spec"]["templates"]
        for task in (item.get("dag") or {}).get("tasks", ())
        for parameter in task["arguments"]["parameters"]
        if parameter["name"] == "input-paths"
    }


def test_a_conditional_join_names_no_skipped_output(example: Path) -> None:
    """Argo from 3.7.11 on does not start a task whose arguments name one that is missing."""
    template = compiled(example, "conditional")
    before = input_paths(template)
    after = input_paths(configure_template(template, {}, {}))
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

    notes = [*release_problems(template, configure_template(template, {}, {}))]
    assert notes == [
        "meet: by a plain `argo-workflows create`, this join waits forever for a skipped branch, on"
        " Argo 3.7.11, 4.0.2 and later; `k8s deploy` corrects it"
    ]
    scheduled = {**template["metadata"]["annotations"], "metaflow/cron": "0 * * * ? *"}
    template["metadata"]["annotations"] = scheduled
    assert "Argo 4 refuses the schedule" in [*release_problems(template, template)][0]


@pytest.mark.parametrize("flow", ["branch", "nested", "recursion"])
def test_other_flows_are_not_rewritten(example: Path, flow: str) -> None:
    template = compiled(example, flow)
    completed = configure_template(template, {}, {})
    assert input_paths(completed) == input_paths(template)
    assert [*release_problems(template, completed)] == []


def test_the_whole_workflow_is_completed(example: Path) -> None:
    """By Argo's own names; without [workflow] nothing of it is written."""
    template = compiled(example, "branch")
    before = configure_template(template, {}, {})["spec"]
    workflow = {
        "ttl": {"seconds_after_failure": 60},
        "pod_gc": {"strategy": "OnPodSuccess", "delete_delay_duration": "5m"},
        "parallelism": 3,
        "priority_class": "low",
        "synchronization": {"semaphores": [{"config_map_key_ref": {"name": "a", "key": "b_c"}}]},
    }
    after = configure_template(template, {}, workflow)["spec"]
    written = {key: value for key, value in after.items() if value != before.get(key)}
    assert written == {
        "ttlStrategy": {"secondsAfterFailure": 60},
        "podGC": {"strategy": "OnPodSuccess", "deleteDelayDuration": "5m"},
        "parallelism": 3,
        "podPriorityClassName": "low",
        "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "a", "key": "b_c"}}]},
    }


METAFLOW = """
There is an existing version of trainflow on Argo Workflows which was deployed by the user ann.lee.
To deploy a new version of this flow, you need to use the same production token that they used.
Please reach out to them to get the token. Once you have it, call this command:
    argo-workflows create --authorize MY_TOKEN
Try again with the correct production token.
"""


def test_what_events_need_is_named() -> None:
    output = (
        "    An Argo Event name hasn't been configured for your deployment yet. You can configure\n"
        "    it by executing `metaflow configure kubernetes` or setting\n"
        "    METAFLOW_ARGO_EVENTS_EVENT in your configuration."
    )
    assert reason_not_created("flows/train.py", output, Environment("prod")).message == (
        "@trigger needs METAFLOW_ARGO_EVENTS_EVENT: write METAFLOW_ARGO_EVENTS_EVENT,"
        " _EVENT_SOURCE, _SERVICE_ACCOUNT and _WEBHOOK_URL into environments/prod.json"
    )


def test_a_reason_begins_with_its_sentence() -> None:
    """Not in the middle of what Metaflow has printed before; a traceback is cut to its end."""
    output = (
        "The namespace of this production flow is\n    production:mfprj-a-0-b\n"
        "    when deploying this flow to Argo Workflows for the first time.\n"
        '    See "Organizing Results" at https://docs.metaflow.org/ for more.\n\n'
        "    Argo Workflows error:\n    admission webhook denied the request\n\n"
    )
    message = reason_not_created("flows/train.py", output, NO_ENVIRONMENT).message
    assert message == "Argo Workflows error: admission webhook denied the request"
    assert reason_not_created("a.py", "1\n2\n\n3\n4\n5\n", NO_ENVIRONMENT).what == "2 3 4 5"


def test_the_owner_of_a_deployment_is_named() -> None:
    """And both ways out: Metaflow's last lines have neither."""
    message = reason_not_created("flows/train.py", METAFLOW, NO_ENVIRONMENT).message
    assert "deployed by ann.lee, and" in message
    assert "METAFLOW_USER=ann.lee" in message
    assert "`uv run k8s deploy flows/train.py -- --authorize TOKEN`" in message
    message = reason_not_created("flows/train.py", METAFLOW, Environment("prod")).message
    assert 'write "user": "ann.lee" into environments/prod.json' in message
    assert "`uv run k8s deploy flows/train.py --env prod -- --authorize TOKEN`" in message


PROD = {
    "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
    "context": "fake",
    "production": True,
    "user": "churn-ci",
    "tags": ["team:churn risk"],
    "max_workers": 7,
}
OTHER = "churn-model of another"  # the same name, and another identity
FOREIGN = {  # what nobody may prune: another project's, another branch's, and what has no mark
    "workflowtemplates/namesakes": (OTHER, {"flow_name": "GoneFlow"}),
    "workflowtemplates/theirs": ("vision", {"flow_name": "GoneFlow"}),
    "workflowtemplates/churnmodel.test.new.goneflow": (
        "churn-model",
        {"flow_name": "GoneFlow", "branch_name": "test.new"},
    ),
    "workflowtemplates/byhand": ("", {"flow_name": "GoneFlow"}),
    "cronworkflows/theirs": ("vision", {}),
}
GONE = {  # as 0.3.0 has deployed it: without an identity
    "workflowtemplates/churnmodel.prod.goneflow": (
        "churn-model",
        {"flow_name": "GoneFlow", "branch_name": "prod"},
    ),
    "cronworkflows/churnmodel.prod.goneflow": ("churn-model", {}),
    "sensors/churnmodel-prod-goneflow": ("churn-model", {}),
}
WITHOUT_PROJECT = {  # of a flow from before it had @project
    "workflowtemplates/helloflow": ("churn-model", {"flow_name": "HelloFlow"}),
    "cronworkflows/helloflow": ("churn-model", {}),
}


def put(api: type[Api], present: dict[str, tuple[str, dict[str, str]]]) -> None:
    """Return the cluster objects: the project that marked each, and Metaflow's annotations."""
    for key, (project, annotations) in present.items():
        labels = {"mf-k8s/project": project} if project else {}
        if project == OTHER:
            labels = {"mf-k8s/project": "churn-model", "mf-k8s/identity": "another"}
        metadata = {
            "name": key.partition("/")[2],
            "namespace": "team-a",
            "labels": labels,
            "annotations": {f"metaflow/{name}": text for name, text in annotations.items()},
            "resourceVersion": "1",
        }
        api.objects[key] = {"metadata": metadata, "spec": {"templates": []}}


Deploy = Callable[..., tuple[int, str]]


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    """Return a project with one flow, which has @project and @schedule."""
    project = tmp_path / "churn-model"
    shutil.copytree(example, project, ignore=shutil.ignore_patterns(".venv", ".metaflow"))
    (project / "flows/train.py").unlink()
    hello = project / "flows/hello.py"
    text = hello.read_text().replace("import Par", "import schedule, Par")
    hello.write_text(text.replace("class Hello", "@schedule(hourly=True)\nclass Hello"))
    (project / "environments/prod.json").write_text(json.dumps(PROD))
    return project


@pytest.fixture
def deploy(project: Path, api: type[Api], s3: dict[str, str]) -> Deploy:
    """Return a function that deploys as a person does, and gives the exit code and all output."""

    def deploy(*arguments: str, **env: str) -> tuple[int, str]:
        own = {"METAFLOW_HOME": str(project / ".home"), "METAFLOW_USER": "ann"}
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project / "src")}
        done = subprocess.run(
            [K8S, "deploy", *arguments],
            cwd=project,
            env={**path, **s3, **own, "KUBECONFIG": os.environ["KUBECONFIG"], **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout

    return deploy


def test_from_first_deploy_to_pruned(project: Path, api: type[Api], deploy: Deploy) -> None:
    """By an environment: what it gives, who may deploy again, a schedule that goes, a flow too."""
    code, output = deploy("--env", "prod", "--", "--workflow-priority=3", "--tag", "by:hand")
    assert code == 0, output
    first, *_ = [line for line in output.splitlines() if not line.startswith("k8s: ")]
    assert first.startswith("cluster          http://127.0.0.1:")
    assert first.endswith(" (context fake), namespace team-a, account ann@example.com")
    name = "churnmodel.prod.helloflow"
    assert {*api.objects} == {f"workflowtemplates/{name}", f"cronworkflows/{name}"}
    template = api.objects[f"workflowtemplates/{name}"]
    marks = {"mf-k8s/project": "churn-model", "mf-k8s/identity": Project(project, "").identity}
    assert marks["mf-k8s/identity"] and marks.items() <= template["metadata"]["labels"].items()
    assert template["spec"]["podMetadata"]["labels"].items() >= marks.items()
    assert template["metadata"]["annotations"]["metaflow/owner"] == "churn-ci"
    assert (template["spec"]["parallelism"], template["spec"]["priority"]) == (7, 3)
    assert "--tag team:churn risk --tag by:hand" in json.dumps(template).replace("'", "")
    cron = api.objects[f"cronworkflows/{name}"]["spec"]
    assert cron["schedules"] == ["0 * * * ?"]
    assert "schedule" not in cron  # Argo 4 knows no such key

    environment = project / "environments/prod.json"
    environment.write_text(json.dumps(PROD | {"user": "bob"}))
    before = json.dumps(api.objects)
    code, output = deploy("hello", "--env", "prod", METAFLOW_HOME=str(project / ".home-of-bob"))
    assert code == 2  # one who has its production token may
    assert "it was deployed by churn-ci, and Metaflow lets only that user" in output
    assert 'write "user": "churn-ci" into environments/prod.json, or give the token' in output
    assert json.dumps(api.objects) == before

    environment.write_text(json.dumps(PROD | {"user": "carol"}))  # on the first one's machine
    hello = project / "flows/hello.py"
    hello.write_text(hello.read_text().replace("@schedule(hourly=True)\n", ""))
    put(api, GONE | WITHOUT_PROJECT | FOREIGN)
    code, output = deploy("--env", "prod", "--prune", "--yes", METAFLOW_BRANCH="ann")
    assert code == 0, output
    assert "environments/prod.json overrides your own METAFLOW_USER, METAFLOW_BRANCH\n" in output
    assert f"\n{name} was deployed by the user churn-ci; a deploy makes it carol's\n" in output
    assert {*api.objects} == {f"workflowtemplates/{name}", *FOREIGN}
    assert "deleted          WorkflowTemplate churnmodel.prod.goneflow\n" in output
    assert "deleted          CronWorkflow churnmodel.prod.goneflow\n" in output
    assert "deleted          CronWorkflow helloflow\n" in output
    assert "deleted          Sensor churnmodel-prod-goneflow\n" in output


def test_a_namesake_is_another_project(api: type[Api], tmp_path: Path) -> None:
    """What has no identity, as of 0.3.0, is everybody's of that name, on either side."""
    template = {"metadata": {"name": "train", "namespace": "team-a"}}
    project = Project(tmp_path, "churn_model")
    answers = tmp_path / ".copier-answers.yml"
    for labels, message in (
        ({"mf-k8s/project": "churn-model"}, ""),
        ({"mf-k8s/project": "churn-model", "mf-k8s/identity": "mine"}, ""),
        ({"mf-k8s/project": "vision", "mf-k8s/identity": "theirs"}, "the project vision: give"),
        (
            {"mf-k8s/project": "churn-model", "mf-k8s/identity": "theirs"},
            "another project of the name churn-model: give this flow another class name, or another"
            " name in @project; or, if the two are one, write `mf_k8s_identity: theirs` into"
            " .copier-answers.yml",
        ),
    ):
        answers.write_text("image: a:1\n# Why\nmf_k8s_identity: mine\n")
        present = {"metadata": {"name": "train", "labels": labels}}
        api.objects["workflowtemplates/train"] = present
        if message:
            with pytest.raises(CommandError) as stopped:
                raise_if(foreign_templates(project, own_target(), [template]))
            assert f"WorkflowTemplate train in namespace team-a belongs to {message}" in str(
                stopped.value
            )
        else:
            raise_if(foreign_templates(project, own_target(), [template]))
        assert is_own(present, marks(project), "") == (not message)
        answers.unlink()
        assert is_own(present, marks(project), "") == (labels["mf-k8s/project"] != "vision")


def test_missing_rights_are_named(api: type[Api], deploy: Deploy) -> None:
    """All at once and before anything is compiled; where the cluster does not say, it goes on."""
    api.lacking = {"create workflowtemplates", "update workflowtemplates", "get cronworkflows"}
    code, output = deploy("--env", "prod")
    assert code == 2
    assert output.splitlines()[-1] == (
        "k8s: your account ann@example.com lacks rights in namespace team-a that this deploy needs:"
        " create, update workflowtemplates.argoproj.io and get cronworkflows.argoproj.io; ask for a"
        " Role there that has them"
    )
    assert not [line for line in output.splitlines() if line.startswith("compile ")]
    target = own_target(METAFLOW_KUBERNETES_NAMESPACE="team-a")
    assert not [*missing_rights(target, {"sensors": ["create"]})]
    api.has_reviews = False
    assert not [*missing_rights(target, {"cronworkflows": ["get"]})]


def test_rights_to_start_flows_are_asked_where_they_do(api: type[Api]) -> None:
    """By time and by events, which the compiled flow says."""
    metadata = {"metaflow/cron": "0 * * * ? *"}, {"metaflow/triggers": "[]"}, {}
    by_time, by_events, by_hand = (
        CompiledFile(Path("a.py"), [], None, "", None, {"metadata": {"annotations": annotations}})
        for annotations in metadata
    )
    api.lacking = {"update cronworkflows", "create sensors"}
    target = own_target(METAFLOW_KUBERNETES_NAMESPACE="team-a")
    raise_if(missing_rights_to_start(target, [by_hand]))
    with pytest.raises(CommandError, match="needs: update cronworkflows.argoproj.io; ask"):
        raise_if(missing_rights_to_start(target, [by_hand, by_time]))
    with pytest.raises(CommandError, match="needs: create sensors.argoproj.io; ask"):
        raise_if(missing_rights_to_start(target, [by_events]))


NO_CREDENTIALS = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""),
    "AWS_EC2_METADATA_DISABLED": "true",  # of a machine in AWS
    "HOME": "/nowhere",
}


def test_a_deploy_without_credentials_ends(api: type[Api], deploy: Deploy) -> None:
    """Metaflow tries for half an hour. Nothing is compiled, and it says what was looked for."""
    code, output = deploy("--env", "prod", "--dry-run", **NO_CREDENTIALS)
    assert code == 2
    assert output.splitlines()[-1] == (
        "k8s: cannot use the datastore s3://bucket/metaflow: there are no AWS"
        " credentials (credentials: none, profile default): log in, name a profile in"
        " AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )
    assert not [line for line in output.splitlines() if line.startswith("compile ")]
    assert api.tried == []


class Overloaded(BaseHTTPRequestHandler):
    """An S3 server that has too much to do, or is broken."""

    status, code = 503, "SlowDown"

    def do_GET(self) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>Later</Message></Error>".encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def test_why_a_bucket_cannot_be_used(
    s3: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One that is there, one that is not, nobody at the address, a silent server, a busy one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(ask_datastore.BRIEFLY, "read_timeout", 0.3)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(
        "[profile acme]\naws_access_key_id = a\naws_secret_access_key = sesame\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "acme")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3["METAFLOW_S3_ENDPOINT_URL"])
    assert ask_datastore.ask("s3", "s3://bucket/metaflow") == ""
    by_profile = " (credentials: config-file, profile acme)"
    assert ask_datastore.ask("s3", "s3://gone") == (
        f"NoSuchBucket: The specified bucket does not exist{by_profile}"
    )
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
        assert ask_datastore.ask("s3", "s3://bucket/metaflow") == (
            f'Could not connect to the endpoint URL: "{address}/bucket"{by_profile}'
        )
        silent.listen()
        assert ask_datastore.ask("s3", "s3://bucket/metaflow") == (
            f'Read timeout on endpoint URL: "{address}/bucket"{by_profile}'
        )
    with HTTPServer(("127.0.0.1", 0), Overloaded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        assert ask_datastore.ask("s3", "s3://bucket") == ""
        for status, answer in ((429, ""), (502, f"Bad: Later{by_profile}")):
            monkeypatch.setattr(Overloaded, "status", status)
            monkeypatch.setattr(Overloaded, "code", "Bad")
            assert ask_datastore.ask("s3", "s3://bucket") == answer
        server.shutdown()
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert ask_datastore.ask("s3", "s3://bucket") == "The config profile (gone) could not be found"


@pytest.mark.parametrize(("code", "answer"), [(404, "Error: gone"), (429, ""), (503, "")])
def test_what_google_answers(code: int, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = type("Error", (Exception,), {"__module__": "google.api_core.exceptions", "code": code})

    def refuse(*_: str) -> str:
        raise error("gone")

    monkeypatch.setitem(ask_datastore.ASK, "gs", refuse)
    assert ask_datastore.ask("gs", "gs://bucket") == answer


def test_no_terminal_to_ask_for_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The datastore is asked while other lines are printed, and a code of MFA is good once."""
    script = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read()); sys.exit(3)"
    (tmp_path / "python").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{script}'\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    target = own_target(
        METAFLOW_DEFAULT_DATASTORE="s3", METAFLOW_DATASTORE_SYSROOT_S3="s3://bucket"
    )
    with pytest.raises(CommandError, match="cannot use the datastore s3://bucket: True$"):
        with datastore_asked(Project(tmp_path, "churn_model"), [], target, tmp_path):
            pass


def test_waiting_for_metaflow_has_an_end(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nprint('S3 operation failed, retrying', flush=True)\ntime.sleep(60)\n"
    )
    target = own_target(PYTHONPATH=str(tmp_path))
    monkeypatch.setattr(create, "CREATE_TIMEOUT_S", 1)
    job = Job({}, {}, {}, ())
    flow: Any = {"name": "HelloFlow"}
    compiled = CompiledFile(Path("hello.py"), [], None, "", flow, {})
    with pytest.raises(CommandError) as stopped:
        create.create_flow(Project(example, "churn_model"), compiled, job, target, "slow")
    assert str(stopped.value) == (
        "hello.py: Metaflow's create did not end within 1 seconds: S3 operation failed, retrying"
    )


def test_a_branch_must_be_chosen(project: Path, api: type[Api], deploy: Deploy) -> None:
    """Metaflow's default would be a branch of the user's own. A dry run shows what is gone."""
    environment = project / "environments/prod.json"
    environment.write_text(json.dumps({"METAFLOW_KUBERNETES_NAMESPACE": "team-a"}))
    second, text = project / "flows/again.py", (project / "flows/hello.py").read_text()
    second.write_text(text.replace("HelloFlow", "AgainFlow"))
    code, output = deploy("--env", "prod")
    assert code == 2
    for file in ("flows/again.py", "flows/hello.py"):
        assert (
            f"k8s: {file} has @project, and nothing says whether it goes to production or to which"
            ' branch: write "production": true or "branch": "NAME" into environments/prod.json'
            in output
        )
    second.unlink()
    put(api, GONE | FOREIGN)
    everything = {*api.objects}
    command = ("--env", "prod", "--dry-run", "--prune", "--", "--branch", "new")
    code, output = deploy(*command)
    assert code == 0, output
    assert "churnmodel.test.new.helloflow in namespace team-a of http://127.0.0.1:" in output
    assert "obsolete         WorkflowTemplate churnmodel.test.new.goneflow\n" in output
    assert "goneflow\n" not in output.replace("churnmodel.test.new.goneflow\n", "")
    assert {*api.objects} == everything


def test_environments_of_one_namespace_need_a_project(project: Path, deploy: Deploy) -> None:
    """Without @project a flow has one name: staging would replace production."""
    hello = project / "flows/hello.py"
    hello.write_text(re.sub(r"@project\(.*\)\n", "", hello.read_text()))
    staging = {"METAFLOW_KUBERNETES_NAMESPACE": "team-a", "context": "fake", "branch": "next"}
    (project / "environments/staging.json").write_text(json.dumps(staging))
    code, output = deploy("--env", "prod", "--dry-run")
    assert code == 2
    assert (
        "flows/hello.py has no @project, so environments/prod.json and environments/staging.json"
        " would both write helloflow in namespace team-a: give the flow @project, or each"
        " environment its own namespace" in output
    )


def test_environments_of_one_branch_are_refused(project: Path, deploy: Deploy) -> None:
    """A copy of prod.json that is still production would replace production's flows.

    An environment that is wrong does not stop the others.
    """
    (project / "environments/dev.json").write_text('{"contxt": "dev"}')
    prod = json.loads((project / "environments/prod.json").read_text())
    (project / "environments/staging.json").write_text(json.dumps(prod | {"production": True}))
    (project / "environments/prod.json").write_text(json.dumps(prod | {"production": True}))
    code, output = deploy("--env", "staging", "--dry-run")
    assert code == 2
    assert (
        "environments/staging.json and environments/prod.json both write the branch prod in"
        " namespace team-a: give each its own `branch` or namespace\n" in output
    )
    code, output = deploy("--env", "staging", "--dry-run", "--", "--branch", "next")
    assert code == 0, output  # prod.next
    assert (
        "\nenvironments/staging.json is not compared with an environment that is wrong:"
        " environments/dev.json: no key contxt; did you mean context?\n" in output
    )


def test_two_flows_of_one_name_are_refused(project: Path, api: type[Api], deploy: Deploy) -> None:
    """Argo's names are lower case: the second would replace the first."""
    text = (project / "flows/hello.py").read_text()
    (project / "flows/second.py").write_text(text.replace("HelloFlow", "HelloFLOW"))
    code, output = deploy("--env", "prod")
    assert code == 2
    assert (
        "k8s: flows/hello.py and flows/second.py define HelloFLOW and HelloFlow, which are"
        " one name on Argo Workflows: rename all but one\n" in output
    )
    assert api.objects == {} and api.tried == []


@pytest.mark.parametrize(
    ("options", "others", "branch"),
    [
        (["--tag", "a"], ["--tag", "a"], ""),
        (["--production", "--tag=a"], ["--tag=a"], "prod"),
        (["--branch", "new", "--tag=a"], ["--tag=a"], "test.new"),
        (["--branch=new", "--production"], [], "prod.new"),
    ],
)
def test_options_of_project(options: list[str], others: list[str], branch: str) -> None:
    """Metaflow takes them before `argo-workflows`, or as variables."""
    variables, found = split_branch_options(options)
    assert (found, branch_of(variables)) == (others, branch)


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
