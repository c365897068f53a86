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


def test_the_organisation_lies_below(k8s: Run, project: Path) -> None:
    """Compiled pods have its values, and those for an environment; a locked one stops the check."""
    digest = 'annotations."mf-k8s/image-digest" = "churn@sha256:0"\n'  # of k8s image --tag
    (project / "k8s.toml").write_text(f'image = "churn:1.2.3"\nmemory = 4000\n{digest}')
    (project / "flows/one.py").write_text(flow('@k8s("big", image="other:1")'))
    organisation = {
        "k8s": {
            "registry": "registry.acme.example/ml",
            "memory": 9000,
            "service_account": "runner",
            "labels": {"cost-centre": "ml"},
            "pools": {"big": {"cpu": 3}},
        },
        "environments": {"prod": {"k8s": {"service_account": "runner-prod"}}},
        "locked": ["labels.cost-centre"],
    }
    (project / "src/churn_model/organisation.json").write_text(json.dumps(organisation))
    done = k8s("check", "one", "--format=json")
    assert (done.returncode, differences(done)) == (0, set()), done.stderr
    pods = settings(done)
    registry = "registry.acme.example/ml"
    assert (pods["start"]["image"], pods["end"]["image"]) == (
        f"{registry}/other:1",
        f"{registry}/churn:1.2.3",
    )
    assert (pods["start"]["cpu"], pods["start"]["memory"]) == ("3", "4000M")
    assert pods["end"]["service_account"] == "runner"
    assert pods["end"]["labels"] == {"cost-centre": "ml"}
    for pod in ("end", "error-msg-capture-hook"):
        assert pods[pod]["annotations"] == {"mf-k8s/image-digest": "churn@sha256:0"}
    assert settings(done, 1)["end"]["service_account"] == "runner-prod"
    done = k8s("check", "one", "--explain=start", "--env=prod", "--format=json")
    found = json.loads(done.stdout)["layers"]["OneFlow"]
    assert [layer["layer"] for layer in found] == [
        "organisation.json",
        "organisation.json for prod",
        "k8s.toml",
        "pool big of organisation.json",
        "on the step",
        "together",
    ]
    with (project / "k8s.toml").open("a") as file:
        file.write('labels.cost-centre = "own"\n')
    done = k8s("check", "one", "--format=json")
    assert done.returncode == 1
    message = "labels.cost-centre is locked: organisation.json says"
    assert message in json.dumps(json.loads(done.stdout)["flows"][0]["failures"])


def test_the_layers_of_a_step(k8s: Run, project: Path) -> None:
    """From low to high, the pool's in both files, and what comes of them."""
    (project / "k8s.toml").write_text(
        'image = "ghcr.io/acme/churn:1.2.3"\nmemory = 4000\ngpu = 1\npools.big.memory = 32000\n'
    )
    (project / "flows/one.py").write_text(flow('@k8s("big", cpu=3)'))
    (project / "tests/kind.toml").write_text('[one]\noptions = ["--with=kubernetes:disk=20000"]\n')
    lay_over(project, "prod", {"gpu": None, "pools": {"big": {"memory": 64000}}})
    file = project / "environments/prod.json"
    setting = {"METAFLOW_KUBERNETES_LABELS": "team=a"}
    file.write_text(json.dumps(json.loads(file.read_text()) | setting))

    done = k8s("check", "one", "--explain=start", "--env=prod", "--format=json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["layers"]["OneFlow"]
    prod, image = "environments/prod.json", "ghcr.io/acme/churn:1.2.3"
    assert [(layer["layer"], layer["values"]) for layer in found] == [
        ("METAFLOW_KUBERNETES_LABELS", {"labels": {"team": "a"}}),
        ("k8s.toml", {"image": image, "memory": 4000, "gpu": 1}),
        (prod, {"gpu": None}),
        ("pool big of k8s.toml", {"memory": 32000}),
        (f"pool big of {prod}", {"memory": 64000}),
        ("on the step", {"cpu": 3}),
        ("--with in options of tests/kind.toml", {"disk": 20000}),
        (
            "together",
            {"image": image, "memory": 64000, "cpu": 3, "disk": 20000, "labels": {"team": "a"}},
        ),
    ]
    printed = k8s("check", "one", "--explain=end").stdout
    assert printed.startswith("OneFlow: step end\n\nk8s.toml\n  image   ghcr.io/acme/churn:1.2.3\n")
    message = "k8s: no flow has a step strat; there are end, start"
    assert one_line(k8s("check", "one", "--explain=strat")) == message
