"""Pods of environments that lay values over k8s.toml: check and plan, with --env and without."""

import json
from collections.abc import Callable
from pathlib import Path

from own_copy import Run, differences, flow, history, k8s, one_line, project, settings

__all__ = ["history", "k8s", "project"]  # fixtures

LAYER = {
    "service_account": "team-b",
    "shared_memory": None,
    "node_selector": {"disk": "ssd"},
    "pools": {"big": {"memory": 64000}},
    "workflow": {"parallelism": 3},
}


def lay_over(project: Path, name: str, layer: object) -> None:
    file = project / f"environments/{name}.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "k8s": layer}))


def test_check_and_plan_see_each_environment(
    k8s: Run, project: Path, history: Callable[..., str]
) -> None:
    with (project / "k8s.toml").open("a") as file:
        file.write("\npools.big.cpu = 3\n")
    for name in ("hello", "train"):
        (project / f"flows/{name}.py").unlink()
    (project / "tests/kind.toml").write_text("")
    (project / "flows/one.py").write_text(flow('@k8s("big")'))
    history("add", "-A")
    history("commit", "-qm", "one flow")
    lay_over(project, "prod", LAYER)

    done = k8s("check", "--env", "prod", "--format=json")
    assert (done.returncode, differences(done)) == (0, set()), done.stderr
    pods = settings(done)
    assert (pods["start"]["memory"], pods["start"]["cpu"]) == ("64000M", "3")
    for pod in ("start", "end"):
        assert pods[pod]["service_account"] == "team-b"
        assert pods[pod]["node_selector"] == {"disk": "ssd"}
        assert "shared_memory" not in pods[pod]
    assert pods["error-msg-capture-hook"]["node_selector"] == {"disk": "ssd"}
    assert pods["(workflow)"] == {"parallelism": 3}
    (report,) = json.loads(done.stdout)["flows"]
    assert [note for note in report["notes"] if "prod" in note] == [
        f"{key}: from environments/prod.json"
        for key in ("node_selector", "pools.big", "service_account", "shared_memory", "workflow")
    ]

    done = k8s("check", "--format=json")
    assert done.returncode == 0, done.stderr
    assert [report["of"] for report in json.loads(done.stdout)["flows"]] == [
        "compiled",
        "compiled for prod",
    ]
    assert settings(done)["start"]["service_account"] == "metaflow"
    assert settings(done, 1) == pods
    by_variable = k8s("check", "--format=json", K8S_ENVIRONMENT="environments/prod.json")
    assert settings(by_variable) == pods

    plan = json.loads(k8s("plan", "--format=json").stdout)
    assert {change["flow"] for change in plan["changes"]} == {"OneFlow (prod)"}
    changed = {change["setting"] for change in plan["changes"] if change["pod"] == "start"}
    assert changed == {"memory", "node_selector", "service_account", "shared_memory"}
    done = k8s("plan", "--env", "prod", "--exit-code", "--format=json")
    assert done.returncode == 1
    assert {change["flow"] for change in json.loads(done.stdout)["changes"]} == {"OneFlow"}

    lay_over(project, "prod", {"gpus": 1})
    message = "k8s: environments/prod.json: k8s: no key gpus; did you mean gpu?"
    done = k8s("check", "--format=json")
    assert (done.returncode, one_line(done)) == (2, message)
    assert settings(done)["start"]["service_account"] == "metaflow"  # k8s.toml is compared
    assert one_line(k8s("check", "--env", "prod")) == message
    assert k8s("check", "--env", "kind").returncode == 0  # another environment is as it was
    plan = json.loads(k8s("plan", "--format=json").stdout)
    assert (plan["changes"], plan["notes"]) == ([], [message.removeprefix("k8s: ")])
