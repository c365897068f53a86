"""The rules about what flows use beside Argo itself: priority, semaphores, queues, events, …"""

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import account, healthy, manifest
from examinations import answers, examination, flow_pod, shown
from kinds_of_objects import Manifest
from mf_k8s.doctor.answers import FlowPod
from mf_k8s.doctor.prepare import ADDRESS, NOWHERE, with_address
from mf_k8s.kind.installs import INSTALLS
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.project.project import Project
from simulated_cluster import Simulate


def written(plural: str, name: str, spec: Manifest, flow: str = "OneFlow") -> Any:
    """Return a request that `deploy` would make."""
    metadata = {"name": name, "annotations": {"metaflow/flow_name": flow}}
    return "create", {"plural": plural, "body": {"metadata": metadata, "spec": spec}}


def template(name: str = "oneflow", **spec: Any) -> Any:
    return written("workflowtemplates", name, {"templates": [], **spec})


def labelled(**labels: str) -> FlowPod:
    pod = flow_pod("OneFlow/start")
    named = {name.replace("_", "/"): value for name, value in labels.items()}
    pod.manifest["metadata"]["labels"] = named
    return pod


def applied(remedy: str) -> Any:
    """Return the object that a remedy applies."""
    words = shlex.split(remedy)
    return json.loads(words[words.index("echo") + 1])


def test_priority_class(simulate: Simulate) -> None:
    low = manifest("PriorityClass", "low", value=-5)
    pods = (
        flow_pod("OneFlow/start", priorityClassName="low"),
        flow_pod("OneFlow/train", priorityClassName="high"),
        flow_pod("OneFlow/end"),
    )
    assert shown(examination(simulate(*healthy(), low), *pods), "priority-class") == [
        "problem: there is no priority class high | OneFlow/train"
        " | kubectl create priorityclass high --value=0",
        "ok: low: -5 | OneFlow/start",
    ]


PATCH = (
    "kubectl -n default patch configmap limits --type=merge -p "
    """'{"data": {"gpu": "1"}}'"""
)


def semaphore(name: str, key: str) -> Any:
    reference = {"configMapKeyRef": {"name": name, "key": key}}
    return template(synchronization={"semaphores": [reference]})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"gpu": "2"}, "ok: gpu of limits: 2 at a time | OneFlow/start"),
        (
            None,
            "problem: there is no ConfigMap limits in namespace default for a semaphore"
            " | OneFlow/start | kubectl -n default create configmap limits --from-literal=gpu=1",
        ),
        (
            {"cpu": "1"},
            "problem: the ConfigMap limits has no key gpu for a semaphore | OneFlow/start"
            f" | {PATCH}",
        ),
        (
            {"gpu": "two"},
            "problem: gpu in the ConfigMap limits is 'two', and must be a number of workflows"
            " | OneFlow/start"
            f" | {PATCH}",
        ),
        (
            {"gpu": "0"},
            "problem: gpu in the ConfigMap limits is 0: no workflow may run | OneFlow/start"
            f" | {PATCH}",
        ),
    ],
)
def test_semaphore(simulate: Simulate, data: Any, expected: str) -> None:
    limits = [manifest("ConfigMap", "limits", data=data)] if data else []
    case = examination(simulate(*healthy(), *limits), requests=[semaphore("limits", "gpu")])
    assert shown(case, "semaphore") == [expected]


def test_semaphore_of_the_controller(simulate: Simulate) -> None:
    """What workflowDefaults add holds too; a flow without any semaphore is not named."""
    reference = {"semaphore": {"configMapKeyRef": {"name": "all", "key": "n"}}}
    config = {"workflowDefaults": {"spec": {"synchronization": reference}}}
    cluster, controller = simulate(*healthy()), Controller(config=config)
    case = examination(cluster, requests=[template()], controller=controller)
    assert shown(case, "semaphore")[0].startswith("problem: there is no ConfigMap all in namespace")
    assert shown(examination(cluster, requests=[template()]), "semaphore") == []


def test_queue(simulate: Simulate) -> None:
    pod = labelled(**{"kueue.x-k8s.io_queue-name": "batch"})

    def line(*items: Manifest) -> str:
        kueue = manifest("CustomResourceDefinition", "localqueues.kueue.x-k8s.io")
        (found,) = shown(examination(simulate(*healthy(), kueue, *items), pod), "queue")
        return found

    def queue(status: str, **spec: str) -> Manifest:
        condition = {"type": "Active", "status": status, "message": "no ClusterQueue all"}
        spec = {"clusterQueue": "all", **spec}
        return manifest("LocalQueue", "batch", spec=spec, status={"conditions": [condition]})

    assert line(queue("True")) == "ok: batch of all | OneFlow/start"
    assert line(queue("False")) == (
        "problem: the LocalQueue batch admits no pods: no ClusterQueue all | OneFlow/start"
        " | kubectl describe clusterqueue all"
    )
    assert line(queue("True", stopPolicy="Hold")) == (
        "problem: the LocalQueue batch is stopped: stopPolicy is Hold | OneFlow/start"
        " | kubectl -n default patch localqueue batch --type=merge -p"
        """ '{"spec": {"stopPolicy": "None"}}'"""
    )
    missing = line()
    assert missing.startswith("problem: there is no LocalQueue batch in namespace default | One")
    assert applied(missing)["spec"] == {"clusterQueue": "CLUSTER_QUEUE"}
    case = examination(simulate(*healthy()), pod)
    assert shown(case, "queue") == [
        "ok: batch: pods do not wait, because Kueue is not installed | OneFlow/start"
    ]


def test_name_length(simulate: Simulate) -> None:
    cluster = simulate(*healthy())
    requests = [template("a" * 53), written("cronworkflows", "a" * 53, {})]
    assert shown(examination(cluster, requests=requests), "name-length") == [
        f"problem: {'a' * 53} has 53 characters; one of cronworkflows has at most 52"
        " | OneFlow/start | rename the flow's class, or write a shorter @project"
    ]
    fine = examination(cluster, requests=[template()])
    assert shown(fine, "name-length") == ["ok: up to 7 characters | OneFlow/start"]
    (line,) = shown(examination(cluster, labelled(team="x" * 64)), "name-length")
    assert line.startswith(f"problem: the value of the label team={'x' * 64} is no label's")


def token_of_account(name: str, kind: str = "kubernetes.io/service-account-token") -> Manifest:
    return manifest("Secret", name, type=kind, data={"token": "eA=="})


def test_notify(simulate: Simulate) -> None:
    agent = flow_pod("OneFlow/(agent)")

    def line(*items: Manifest) -> str:
        (found,) = shown(examination(simulate(*healthy(), *items), agent), "notify")
        return found

    name = "metaflow.service-account-token"
    assert line(token_of_account(name)) == f"ok: {name} | OneFlow/(agent)"
    missing = line()
    assert missing.startswith(
        f"problem: there is no Secret {name} with the token of the service account metaflow | One"
    )
    assert applied(missing) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "annotations": {"kubernetes.io/service-account.name": "metaflow"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    wrong = line(token_of_account(name, "Opaque"))
    assert wrong.startswith(f"problem: the Secret {name} has no token of the service account meta")
    assert f"kubectl -n default delete secret {name} && echo " in wrong

    (own,) = account("metaflow")
    own["metadata"]["annotations"] = {
        "workflows.argoproj.io/service-account-token.name": "of-annotation"
    }
    assert line(own, token_of_account("of-annotation")) == "ok: of-annotation | OneFlow/(agent)"
    own["secrets"] = [{"name": "of-list"}]
    assert line(own, token_of_account("of-list")) == "ok: of-list | OneFlow/(agent)"
    assert shown(examination(simulate(*healthy())), "notify") == []


def test_notify_has_no_address(simulate: Simulate) -> None:
    http = [{"name": "notify-slack-on-error", "http": {"url": NOWHERE}}]
    requests = [template(templates=http)]
    cluster = simulate(*healthy(), token_of_account("metaflow.service-account-token"))
    case = examination(cluster, flow_pod("OneFlow/(agent)"), requests=requests)
    assert shown(case, "notify")[0] == (
        f"problem: {ADDRESS}, or another address of `notify`, is not set | OneFlow/(agent)"
        " | set it where you deploy, in CI as a masked variable"
    )
    hook = [template(templates=[{"name": "exit-hook-hack", "http": {"url": NOWHERE}}])]
    case = examination(cluster, flow_pod("OneFlow/(agent)"), requests=hook)
    assert len(shown(case, "notify")) == 1
    own = [{"name": "notify-slack-on-error", "http": {"url": "https://hooks.example.com/1"}}]
    case = examination(cluster, flow_pod("OneFlow/(agent)"), requests=[template(templates=own)])
    assert len(shown(case, "notify")) == 1


def test_another_secret_of_metaflow_is_no_address() -> None:
    variables = {"METAFLOW_SERVICE_AUTH_KEY": "key"}
    assert with_address(variables) == {**variables, ADDRESS: NOWHERE}
    own = {"METAFLOW_ARGO_WORKFLOWS_CREATE_NOTIFY_INCIDENT_IO_API_KEY": "key"}
    assert with_address(own) == own


BUS = manifest("EventBus", "default", status={"conditions": [{"type": "A", "status": "True"}]})
SOURCE = manifest("EventSource", "webhook", spec={"webhook": {"metaflow": {"port": "1"}}})
MAY_CREATE = {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["create"]}
DEFINITIONS = [
    manifest("CustomResourceDefinition", f"{plural}.argoproj.io")
    for plural in ("eventbus", "eventsources")
]


def sensor(source: str = "webhook", event: str = "metaflow", of: str = "events") -> Any:
    dependencies = [{"name": "a", "eventSourceName": source, "eventName": event}] * 2
    spec = {"template": {"serviceAccountName": of}, "dependencies": dependencies}
    return written("sensors", "oneflow", {**spec, "eventBusName": "default"})


Lines = Callable[..., list[str]]


@pytest.fixture
def lines(simulate: Simulate, tmp_path: Path) -> Lines:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'churn-model'\n")

    def lines(*items: Manifest, request: Any = None, **options: Any) -> list[str]:
        plain = [item for item in healthy() if item["kind"] != "CustomResourceDefinition"]
        cluster = simulate(*plain, *items, **options)
        project = Project(tmp_path, "churn_model")
        case = examination(cluster, requests=[request or sensor()], project=project)
        return [line.replace(" | OneFlow/start", "") for line in shown(case, "events")]

    return lines


def test_events(lines: Lines) -> None:
    events = account("events", "default", MAY_CREATE)
    assert lines(*DEFINITIONS, BUS, SOURCE, *events) == [
        "ok: the EventBus default",
        "ok: the event metaflow of webhook",
        "ok: the service account events",
    ]
    (not_installed,) = lines(installed=[])
    assert not_installed.startswith("problem: the cluster has no eventbus and eventsources of Argo")
    assert INSTALLS["EVENTS"][0] in not_installed


def test_events_are_missing(lines: Lines) -> None:
    bus, source, service_account = lines(*DEFINITIONS)
    assert bus.startswith("problem: there is no EventBus default in namespace default")
    assert applied(bus)["spec"] == {"jetstream": {"version": "latest", "replicas": 3}}
    assert source.startswith("problem: there is no EventSource webhook in namespace default")
    assert applied(source)["spec"]["webhook"]["metaflow"]["endpoint"] == "/metaflow"
    assert service_account == (
        "problem: there is no service account events in namespace default for Sensors"
        " | kubectl -n default create serviceaccount events"
    )
    condition = {"type": "Deployed", "status": "False", "message": "no such image"}
    broken = {**BUS, "status": {"conditions": [condition]}}
    found = lines(*DEFINITIONS, broken, SOURCE, *account("events"), request=sensor(event="other"))
    assert found[0].startswith("problem: the EventBus default in namespace default is not ready")
    assert found[1] == (
        "problem: the EventSource webhook has no event other"
        " | kubectl -n default edit eventsource webhook"
    )
    what = "the service account events of Sensors may not create workflows.argoproj.io in default"
    assert found[2].startswith(f"problem: {what} | echo ")
    assert applied(found[2])["items"][0]["rules"] == [MAY_CREATE]


def test_events_are_not_configured(lines: Lines) -> None:
    assert lines(*DEFINITIONS, request=sensor("none", "none", "none")) == [
        "problem: Argo Events is not configured | write METAFLOW_ARGO_EVENTS_EVENT,"
        " _EVENT_SOURCE, _SERVICE_ACCOUNT and _WEBHOOK_URL into Metaflow's configuration"
    ]


def test_events_on_the_development_cluster(simulate: Simulate) -> None:
    """It has Argo Events, so that a Sensor can be written, and no EventBus."""
    case = examination(simulate(*healthy(), *DEFINITIONS), requests=[sensor()])
    kind = replace(case.target, environment=replace(case.target.environment, name="kind"))
    assert shown(replace(case, target=kind), "events") == [
        "ok: a Sensor, which no event reaches here | OneFlow/start"
    ]


def test_nothing_of_it_is_used(simulate: Simulate) -> None:
    case = examination(simulate(*healthy()), requests=[template()])
    for code in ("priority-class", "semaphore", "queue", "notify", "events"):
        assert answers(case, code) == []


def test_tokens_are_not_secrets_to_write(simulate: Simulate) -> None:
    """The rule secret-exists leaves them to `notify`, which knows how they are made."""
    volume = {"name": "kube-api", "secret": {"secretName": "metaflow.service-account-token"}}
    pod = flow_pod("OneFlow/(agent)", volumes=[volume])
    assert shown(examination(simulate(*healthy()), pod), "secret-exists") == []
