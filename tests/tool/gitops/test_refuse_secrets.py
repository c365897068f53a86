"""Secrets that would stand in rendered files: of an environment, the machine, or the flow."""

import dataclasses
import json
import os
from typing import Any

import pytest
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.gitops.manifests import dump
from mf_k8s.gitops.refuse_secrets import notify_findings, secret_findings
from mf_k8s.project.environments import Environment

ENVIRONMENT = Environment("prod")
SLACK = "https://hooks.example.com/services/T000/B000/XXXX"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"create_options": ("--notify-on-error",)}, "--notify-on-error: an address of notif"),
        (
            {"create_options": (f"--notify-slack-webhook-url={SLACK}",)},
            "--notify-slack-webhook-url: an address",
        ),
    ],
)
def test_secrets_of_an_environment_are_refused(changes: Any, says: str) -> None:
    with pytest.raises(CommandError) as stopped:
        raise_if(notify_findings(dataclasses.replace(ENVIRONMENT, **changes)))
    message = str(stopped.value)
    assert message.startswith(says)
    assert "put it into a Secret on the cluster, name that in `secrets` of k8s.toml" in message
    assert SLACK not in message


def test_secrets_of_the_machine_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a flow with @environment(vars={"TOKEN": os.environ["CHURN_TOKEN"]})."""
    files = {"a.yaml": "value: open-sesame-1234\n"}
    raise_if(secret_findings(files, os.environ))
    monkeypatch.setenv("CHURN_TOKEN", "open-sesame-1234")
    with pytest.raises(CommandError) as stopped:
        raise_if(secret_findings(files, os.environ))
    assert str(stopped.value).startswith(
        "the value of the variable CHURN_TOKEN looks like a secret, and would stand in a.yaml in"
    )
    assert "sesame" not in str(stopped.value)
    raise_if(secret_findings(files, os.environ, ["CHURN_TOKEN"]))
    monkeypatch.setenv("CHURN_TOKEN", "sunshine")  # a word, so it must be the whole value
    raise_if(secret_findings({"a.yaml": "args: [sunshine-state]\n"}, os.environ))
    with pytest.raises(CommandError, match="the variable CHURN_TOKEN looks like a secret"):
        raise_if(secret_findings({"a.yaml": "env: [{name: A, value: sunshine}]\n"}, os.environ))


KEY = "-----BEGIN KEY-----\nMIIE'vQ==\n-----END KEY-----\n"


@pytest.mark.parametrize(
    "value", [KEY, KEY.strip(), json.dumps({"key": KEY}), json.dumps({"a": json.dumps([KEY])})]
)
def test_secrets_of_several_lines_are_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML breaks their lines, and Metaflow writes parameters as JSON in JSON."""
    files = {"a.yaml": dump({"env": [{"name": "KEY", "value": value}]})}
    assert KEY not in files["a.yaml"]
    raise_if(secret_findings(files, os.environ))
    monkeypatch.setenv("CHURN_API_KEY", KEY)
    with pytest.raises(CommandError, match="the value of the variable CHURN_API_KEY looks like"):
        raise_if(secret_findings(files, os.environ))


JOBSET = """
spec:
  replicatedJobs:
  - name: worker
    template:
      spec:
        parallelism: {{=asInt(inputs.parameters.n)}}
        template:
          metadata: {annotations: {metaflow/step_name: train}}
          spec:
            containers:
            - {name: train, image: a, env: [{name: PGPASSWORD, value: sunshine}]}
"""


def test_a_secret_of_a_parallel_step_is_refused() -> None:
    """Whose pods stand in the template as a text."""
    template = {"name": "train", "resource": {"action": "create", "manifest": JOBSET}}
    files = {"a.yaml": dump({"kind": "WorkflowTemplate", "spec": {"templates": [template]}})}
    with pytest.raises(CommandError, match="the value of PGPASSWORD of the flow looks like"):
        raise_if(secret_findings(files, os.environ))
    raise_if(secret_findings(files, os.environ, ["PGPASSWORD"]))


def test_a_secret_of_one_step_is_refused() -> None:
    """Where a later step has another value of that name, which is none."""
    pods = [{"env": [{"name": "DB_PASSWORD", "value": value}]} for value in ("sunshine", "/run/a")]
    with pytest.raises(CommandError, match="the value of DB_PASSWORD of the flow looks like"):
        raise_if(secret_findings({"a.yaml": dump(pods)}, os.environ))


def test_each_secret_is_named_once() -> None:
    """Though this machine has its value, too, and another step another one."""
    steps = [f"{{name: DB_PASSWORD, value: hunter2-of-{step}}}" for step in ("start", "end")]
    text = f"env: [{', '.join(steps)}, {{name: API_TOKEN, value: other-token}}]\n"
    found = secret_findings({"a.yaml": text}, {"DB_PASSWORD": "hunter2-of-start"})
    assert [finding.what.partition(" looks")[0] for finding in found] == [
        "the value of the variable DB_PASSWORD",
        "the value of API_TOKEN of the flow",
    ]
