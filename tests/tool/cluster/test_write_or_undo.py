"""All is written or nothing: what was written is put back, and what others changed is left."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from conftest import own_target
from kubernetes_api import WHERE, Api, request
from mf_k8s.cluster import write_or_undo as cluster_write
from mf_k8s.cluster.write_or_undo import Write, if_unchanged
from mf_k8s.errors import CommandError


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
