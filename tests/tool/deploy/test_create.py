"""Why Metaflow's create has failed, and how long it is waited for."""

from pathlib import Path
from typing import Any

import pytest
from conftest import own_target
from mf_k8s.deploy import create
from mf_k8s.deploy.create import reason_not_created
from mf_k8s.errors import CommandError
from mf_k8s.metaflow.compile_flows import CompiledFile
from mf_k8s.metaflow.record_requests import Job
from mf_k8s.project.environments import NO_ENVIRONMENT, Environment
from mf_k8s.project.project import Project

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
        " _EVENT_SOURCE, _SERVICE_ACCOUNT and _WEBHOOK_URL into environments/prod.json, or"
        ' "schedules": false, if nothing is to start flows there'
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


def test_waiting_for_metaflow_has_an_end(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nprint('S3 operation failed, retrying', flush=True)\ntime.sleep(60)\n"
    )
    target = own_target(PYTHONPATH=str(tmp_path))
    monkeypatch.setattr(create, "CREATE_TIMEOUT_S", 1)
    job = Job({}, {}, {}, ())
    flow: Any = {"name": "HelloFlow", "steps": {}}
    compiled = CompiledFile(Path("hello.py"), [], None, "", flow, {})
    with pytest.raises(CommandError) as stopped:
        create.create_flow(Project(example, "churn_model"), compiled, job, target, "slow")
    assert str(stopped.value) == (
        "hello.py: Metaflow's create did not end within 1 seconds: S3 operation failed, retrying"
    )
