"""What `k8s check` finds on the pods of compiled flows, and what it takes for a difference."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.check.compare import compare_workflow
from own_copy import Run, differences, flow, history, k8s, project, replace, settings

__all__ = ["history", "k8s", "project"]  # fixtures


def test_the_example_has_its_configuration_on_every_pod(k8s: Run) -> None:
    done = k8s("check", "train", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    found = settings(done)
    step = {
        "image": "ghcr.io/acme/churn:1.2.3",
        "service_account": "metaflow",
        "cpu": "1",
        "memory": "4096M",
        "disk": "10240M",
        "qos": "Burstable",
        "gpu": {"nvidia.com/gpu": "1"},
        "shared_memory": "8196Mi of Memory at /dev/shm",
        "persistent_volume_claims": {"metaflow-training": "/cache"},
        "timeout": 432000,
    }
    assert found["start"] == found["end"] == found["choose"] == step
    assert found["train"] == {**step, "memory": "8192M"}
    assert found["error-msg-capture-hook"] == {
        "image": "ghcr.io/acme/churn:1.2.3",
        "service_account": "metaflow",
    }
    (report,) = json.loads(done.stdout)["flows"]
    assert report["next"] == {
        "start": ["train"],
        "train": ["choose"],
        "choose": ["end"],
        "end": [],
    }
    marked = [(pod, key) for pod, t in report["pods"].items() for key in t if t[key]["override"]]
    assert marked == [("train", "memory")]


BROKEN = {
    "a lost key": ('settings["gpu"]', ("gpu", 'settings.pop("gpu", None)')),
    "a wrong precedence": ("memory", ("memory", 'settings["memory"] = 4096')),
    "a lost table": (
        "claims",
        ("persistent_volume_claims", 'settings["persistent_volume_claims"] = {}'),
    ),
}


@pytest.mark.parametrize(("setting", "bug"), [item for _, item in BROKEN.values()], ids=BROKEN)
def test_a_bug_of_base_flow_is_a_difference(
    k8s: Run, project: Path, setting: str, bug: str
) -> None:
    base = project / "src/churn_model/base.py"
    line = "        settings = step_settings(read_config(), overrides, where)\n"
    assert line in base.read_text()
    base.write_text(base.read_text().replace(line, f"{line}        {bug}\n"))
    done = k8s("check", "train", "--format=json")
    assert done.returncode == 1
    assert ("train", setting) in differences(done)
    assert {key for _, key in differences(done)} == {setting}
    if setting == "gpu":  # a table says so of each alike
        shown = k8s("check", "train").stdout
        assert "TrainFlow (compiled): does not match k8s.toml" in shown
        assert "expected" in shown and "found" in shown


def test_a_flow_without_base_flow_names_the_fix(k8s: Run, project: Path) -> None:
    text = (
        flow()
        .replace("import BaseFlow, k8s", "import k8s")
        .replace("import step", "import FlowSpec, step")
    )
    (project / "flows/one.py").write_text(text.replace("(BaseFlow)", "(FlowSpec)"))
    done = k8s("check", "one")
    assert done.returncode == 1
    remedy = "write `from churn_model import BaseFlow` and `class OneFlow(BaseFlow)`"
    assert remedy in done.stdout


def test_overrides_may_be_written_in_any_way(k8s: Run, project: Path) -> None:
    """Variables, Metaflow's own decorators, Configs; and nothing of a shared table is lost."""
    (project / "flows/one.py").write_text(
        flow(
            "@k8s(gpu=GPU, labels=config_expr('extra.labels'))\n"
            "    @timeout(hours=2)\n    @resources(memory=9000, shared_memory=64)",
            ", Config, config_expr, resources, timeout\n\nGPU = 3",
        ).replace(
            "BaseFlow):\n",
            'BaseFlow):\n    extra = Config("extra", default_value={"labels": {"team": "a"}})\n\n',
        )
    )
    done = k8s("check", "one", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    start = settings(done)["start"]
    assert start["gpu"] == {"nvidia.com/gpu": "3"}
    assert start["labels"] == {"team": "a"}
    assert (start["memory"], start["timeout"]) == ("9000M", 7200)
    assert start["shared_memory"] == "64Mi of Memory at /dev/shm"
    assert start["persistent_volume_claims"] == {"metaflow-training": "/cache"}


def test_hooks_get_what_metaflow_leaves_off(k8s: Run, project: Path) -> None:
    """And a step that took a shared value away does not get it back from the workflow."""
    with (project / "k8s.toml").open("r+") as file:
        shared = 'image_pull_secrets = ["regcred"]\ntolerations = [{ operator = "Exists" }]\n'
        text = file.read().replace(
            "\ncpu", '\nimage_pull_policy = "Always"\n' + shared + "\ncpu", 1
        )
        file.seek(0)
        file.write(text + '\n[node_selector]\npool = "gpu"\n')
    own = (
        "@k8s(node_selector=None, tolerations=None, image_pull_secrets=None, service_account=None)"
    )
    (project / "flows/one.py").write_text(flow(own))
    done = k8s("check", "one", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = settings(done)
    hook = found["error-msg-capture-hook"]
    assert hook["node_selector"] == {"pool": "gpu"}
    assert hook["tolerations"] == [{"operator": "Exists"}]
    assert hook["image_pull_secrets"] == ["regcred"]
    for key in ("node_selector", "tolerations", "image_pull_secrets"):
        assert found["start"][key] is None
        assert found["end"][key] == hook[key]
    assert found["start"]["service_account"] == "default"
    (report,) = json.loads(done.stdout)["flows"]
    left_off = {"node_selector", "tolerations", "image_pull_secrets", "service_account"}
    assert report["by_deploy"].keys() == {"error-msg-capture-hook"}
    assert {*report["by_deploy"]["error-msg-capture-hook"]} == left_off
    (never,) = report["notes"]
    assert never.endswith(": image_pull_policy")


def test_check_takes_json_and_numbers_in_any_spelling(k8s: Run, project: Path) -> None:
    """1.0 GPU is 1, and 1000000 of a resource is 1M, as the pods have it."""
    config = {"image": "ghcr.io/acme/o:2", "gpu": None, "cpu": 1, "memory": 4096}
    config["extended_resources"] = {"example.com/x": "1000000"}
    (project / "other.json").write_text(json.dumps(config))
    replace(project / "flows/hello.py", "    @step", "    @k8s(gpu=2 / 2)\n    @step")
    replace(project / "flows/hello.py", "import BaseFlow", "import BaseFlow, k8s")
    done = k8s("check", "hello", "--format=json", K8S_CONFIG="other.json")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    (report,) = json.loads(done.stdout)["flows"]
    start = report["pods"]["start"]
    assert start["image"]["found"] == "ghcr.io/acme/o:2"
    assert start["gpu"]["found"] == {"nvidia.com/gpu": "1"}
    assert start["extended_resources"]["found"] == {"example.com/x": "1M"}
    (project / "other.json").write_text("{")
    done = k8s("check", "hello", K8S_CONFIG="other.json")
    assert done.returncode == 2 and "other.json is not JSON: " in done.stderr


OF_WORKFLOW = """
[workflow]
parallelism = 5
pending_timeout = "30m"
priority_class = "batch-low"
ttl.seconds_after_completion = 86400
pod_gc = { strategy = "OnWorkflowSuccess", delete_delay_duration = "60s" }
synchronization.semaphores = [{ config_map_key_ref = { name = "limits", key = "train" } }]
"""
IN_ARGO = {
    "parallelism": 5,
    "pending_timeout": "30m",
    "priority_class": "batch-low",
    "ttl": {"secondsAfterCompletion": 86400},
    "pod_gc": {"strategy": "OnWorkflowSuccess", "deleteDelayDuration": "60s"},
    "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "train"}}]},
}


def test_settings_of_the_whole_workflow(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    """`deploy` writes them, `check` compares them, `plan` shows them; no step has them."""
    with (project / "k8s.toml").open("a") as file:
        file.write(OF_WORKFLOW)
    done = k8s("check", "hello", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert settings(done)["(workflow)"] == IN_ARGO
    (report,) = json.loads(done.stdout)["flows"]
    assert sorted(report["by_deploy"]["(workflow)"]) == sorted(IN_ARGO)
    assert not IN_ARGO.keys() & report["pods"]["start"].keys()
    table = k8s("check", "hello").stdout
    assert "the whole workflow †" in table
    assert "Pods: start, end, error-msg-capture-hook\n" in table
    plan = json.loads(k8s("plan", "--format=json").stdout)
    of_hello = [change for change in plan["changes"] if change["flow"] == "HelloFlow"]
    assert {change["pod"] for change in of_hello} == {"(workflow)"}
    assert {change["setting"]: change["new"] for change in of_hello} == IN_ARGO
    assert {change["old"] for change in of_hello} == {None, 100}  # Metaflow's --max-workers


@pytest.mark.parametrize(
    ("config", "spec", "differ"),
    [
        ({}, {"parallelism": 100}, set()),
        ({"workflow": {"ttl": {"seconds_after_success": 0}}}, {}, {"ttl"}),
        ({}, {"ttlStrategy": {"secondsAfterSuccess": 0}}, {"ttl"}),
        ({"workflow": {"parallelism": 5}}, {"parallelism": 100}, {"parallelism"}),
        ({"workflow": {"priority_class": "a"}}, {"podPriorityClassName": "a"}, set()),
    ],
)
def test_a_workflow_that_is_deployed(config: Any, spec: Any, differ: set[str]) -> None:
    """What is there and not in k8s.toml is a difference, but for Metaflow's own parallelism."""
    compared = compare_workflow(config, {"spec": spec})
    assert {key for key, setting in compared.items() if not setting["equal"]} == differ


def test_two_files_with_a_flow_of_one_name(k8s: Run, project: Path) -> None:
    """On Argo one would replace the other: the check says so."""
    shutil.copy(project / "flows/hello.py", project / "flows/other.py")
    done = k8s("check")
    assert done.returncode == 1
    clash = "flows/hello.py and flows/other.py define HelloFlow, which are one name on"
    assert clash in done.stdout
