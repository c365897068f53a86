"""What starts a flow on a cluster, against what its code and the environment say."""

from pathlib import Path
from typing import Any

import pytest
from conftest import own_target
from mf_k8s.check.live_starters import with_starters
from mf_k8s.check.report import Report
from mf_k8s.cluster.target import Target
from mf_k8s.errors import CommandError, Finding
from mf_k8s.pods.read_pods import Manifest
from mf_k8s.project.environments import Environment

CRON = {"cron": '{"schedule": "0 * * * ?", "tz": "Europe/Berlin"}'}
TRIGGER = {"triggers": '[{"name": "metaflow.a.prod.other.end", "type": "run"}]'}
HOURLY = {"spec": {"schedules": ["0 * * * ?"], "timezone": "Europe/Berlin"}}
DAILY = {"spec": {"schedules": ["0 0 * * ?"], "suspend": True}}


def template(**annotations: str) -> Manifest:
    named = {f"metaflow/{name}": text for name, text in annotations.items()}
    return {"metadata": {"name": "a.prod.flow", "annotations": named}}


@pytest.mark.parametrize(
    ("starts", "code", "deployed", "cluster", "found"),
    [
        (True, {}, {}, {}, {}),
        (False, CRON | TRIGGER, {}, {}, {}),
        (True, CRON, CRON, {"cronworkflows": HOURLY}, {"schedule": True}),
        (True, CRON, CRON, {"cronworkflows": DAILY}, {"schedule": False}),
        (True, CRON, CRON, {}, {"schedule": False}),
        (True, CRON, {}, {}, {"schedule": False}),
        (False, CRON, CRON, {"cronworkflows": HOURLY}, {"schedule": False}),
        (True, TRIGGER, TRIGGER, {"sensors": {}}, {"events": True}),
        (True, TRIGGER, TRIGGER, {}, {"events": False}),
        (False, TRIGGER, TRIGGER, {"sensors": {}}, {"events": False}),
    ],
)
def test_what_starts_a_flow(
    monkeypatch: pytest.MonkeyPatch,
    starts: bool,
    code: dict[str, str],
    deployed: dict[str, str],
    cluster: dict[str, Any],
    found: dict[str, bool],
) -> None:
    def listed(_: Target, path: str, **query: str) -> list[Any]:
        plural = path.rpartition("/")[2]
        name = "a-prod-flow" if plural == "sensors" else "a.prod.flow"
        assert query == {"fieldSelector": f"metadata.name={name}"}
        own = cluster.get(plural)
        return [] if own is None else [{**own, "metadata": {"name": name}}]

    monkeypatch.setattr(Target, "list", listed)
    target = Target(Environment("prod", schedules=starts), own_target().configuration)
    start = Report(Path("flow.py"))
    report = with_starters(start, template(**code), template(**deployed), target, ask=True)
    settings = report.pods.get("(workflow)", {})
    assert {key: comparison["equal"] for key, comparison in settings.items()} == found
    assert report.notes == []


def test_a_cluster_that_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what the WorkflowTemplate says is compared, and a note says so."""

    def refuse(_: Target, path: str, **query: str) -> None:
        raise CommandError(Finding("forbidden", "you may not list cronworkflows"))

    monkeypatch.setattr(Target, "list", refuse)
    one = template(**CRON)
    report = with_starters(Report(Path("flow.py")), one, one, own_target(), ask=True)
    assert report.all_equal and report.pods["(workflow)"].keys() == {"schedule"}
    (note,) = report.notes
    assert note == "schedule: not compared with the cluster: you may not list cronworkflows"
