"""How Metaflow's WorkflowTemplate is completed: its joins, and settings of the whole workflow."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.pods.argo_pods import argo_pods
from mf_k8s.pods.argo_releases import release_problems
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.pods.edit_jobset import edit_jobset
from mf_k8s.pods.read_pods import jobset_manifest, pod_templates, workflow_settings
from mf_k8s.project.project import Project


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


def test_every_pod_has_the_labels(example: Path) -> None:
    """Those of all steps, and those of the workflow: also on the agent, hooks and gangs.

    Argo lays the workflow's over a step's, so the agent does without what a step overrides.
    """
    template = compiled(example, "gang")
    http = {"name": "call", "http": {"method": "POST", "url": "http://127.0.0.1:9"}}
    template["spec"]["templates"].append(http)
    for each in template["spec"]["templates"]:
        if "container" in each and "metadata" in each:
            each["metadata"]["labels"] = {"team": "churn", "cost-centre": "ml"}
    end = next(each for each in template["spec"]["templates"] if each["name"] == "end")
    end["metadata"]["labels"]["team"] = "other"
    shared = {"labels": {"team": "churn", "cost-centre": "ml"}}
    metadata = {"labels": {"queue_name": "a"}, "annotations": {"example.com/a": "b"}}
    before = json.dumps(template)
    pods = argo_pods(configure_template(template, shared, {"pod_metadata": metadata}), Controller())
    assert json.dumps(template) == before
    found = {name: pod["metadata"]["labels"] for name, pod in pods.items()}
    assert found.keys() >= {"start", "end", "train/creator", "error-msg-capture-hook", "(agent)"}
    assert {name: labels.get("team") for name, labels in found.items()} == {
        **{name: "churn" for name in found if not name.startswith("train/")},
        **{"train/creator": "churn", "train/control": None, "train/worker": None},
        **{"end": "other", "(agent)": None},
    }
    # what Metaflow gives to gangs is in the text of their JobSet
    of_gang = {"train/control", "train/worker"}
    assert {name for name in found if found[name].get("cost-centre") != "ml"} == of_gang
    assert {labels.get("queue_name") for labels in found.values()} == {"a"}
    assert {pod["metadata"]["annotations"].get("example.com/a") for pod in pods.values()} == {"b"}


def test_a_jobset_keeps_what_is_argos(example: Path) -> None:
    """Its numbers are expressions until Argo has replaced them, so it is no YAML before."""
    template = compiled(example, "gang")
    texts = [item["resource"]["manifest"] for item in pod_templates(template) if "resource" in item]
    (text,) = texts
    edited = edit_jobset(text, lambda pod: pod["metadata"].setdefault("labels", {}).update(a="b"))
    assert edited != text
    assert sorted(re.findall("{{.*?}}", edited)) == sorted(re.findall("{{.*?}}", text))
    assert all(f'"{expression}"' not in edited for expression in re.findall("{{=.*?}}", text))
    before, after = jobset_manifest(text), jobset_manifest(edited)
    for job in after["spec"]["replicatedJobs"]:
        assert job["template"]["spec"]["template"]["metadata"]["labels"].pop("a") == "b"
    assert after == before
    assert edit_jobset(text, lambda pod: None) == text


def test_each_pod_gets_the_pending_timeout(example: Path) -> None:
    """A graph has none: Argo 4.1 refuses it there (validateTemplate in workflow/validate)."""
    template = compiled(example, "gang")
    after = configure_template(template, {}, {"pending_timeout": "30m"})
    timeouts: dict[str, set[Any]] = {}
    for each in after["spec"]["templates"]:
        kind = next(key for key in ("dag", "steps", "container", "resource", "http") if key in each)
        timeouts.setdefault(kind, set()).add(each.get("pendingTimeout"))
    assert timeouts.pop("container") == timeouts.pop("resource") == {"30m"}
    assert "dag" in timeouts and all(values == {None} for values in timeouts.values()), timeouts
    assert workflow_settings(after)["pending_timeout"] == "30m"
    first = next(each for each in after["spec"]["templates"] if each.get("pendingTimeout"))
    first["pendingTimeout"] = "1h"
    assert workflow_settings(after)["pending_timeout"] == "1h and 30m"
    del first["pendingTimeout"]
    assert workflow_settings(after)["pending_timeout"] == "30m and none"
    assert "pending_timeout" not in workflow_settings(template)
