"""What starts flows by events is there: Argo Events, an EventBus, the EventSource and an account.

For @trigger and @trigger_on_finish, `k8s deploy` writes a Sensor. Argo Events makes a pod of it,
which waits at an EventBus for what an EventSource takes in, and creates a Workflow. Where one of
them is missing, the Sensor is written and nothing ever starts; the flow can still be started by
hand. (https://argoproj.github.io/argo-events/sensors/triggers/argo-workflow/)

Their names are METAFLOW_ARGO_EVENTS_EVENT_BUS, _EVENT_SOURCE, _EVENT and _SERVICE_ACCOUNT in the
environment or in Metaflow's configuration
(https://docs.metaflow.org/production/event-triggering). The EventSource of the command takes in
what Metaflow sends as a webhook. All are of the Sensor's namespace.
"""

from collections.abc import Iterator
from typing import Any

from ...cluster.rights import Right
from ...cluster.view import ACCOUNTS, EVENT_BUSES, EVENT_SOURCES
from ...pods.project_labels import annotation
from ...pods.rbac_rules import username
from ...pods.read_pods import Manifest
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..grants import grant
from ..installing import install

NEEDS = ("namespace-exists",)
READS = (EVENT_BUSES.get, EVENT_SOURCES.get, ACCOUNTS.get)
UNSET = "none"  # a stand-in's value
CREATE = Right("create", "argoproj.io", "workflows")
VERSION = "argoproj.io/v1alpha1"


def examine(case: Examination) -> Iterator[Answer]:
    sensors = case.written("sensors")
    if sensors and not case.view.serves(EVENT_BUSES):
        what = "the cluster has no eventbus and eventsources of Argo Events, which @trigger needs"
        yield problem(what, pods_of(case, sensors), install(case, "EVENTS"))
        return
    if sensors and case.target.environment.name == "kind":  # which has no EventBus
        yield ok("a Sensor, which no event reaches here", pods_of(case, sensors))
        return
    asked: set[tuple[str, ...]] = set()
    for sensor in sensors:
        for answer in of_sensor(case, sensor, pods_of(case, [sensor])):
            if (answer.state, answer.what) not in asked:
                asked.add((answer.state, answer.what))
                yield answer


def pods_of(case: Examination, sensors: list[Any]) -> list[FlowPod]:
    flows = {annotation(sensor, "flow_name") for sensor in sensors}
    return [pod for pod in case.pods if pod.flow in flows]


def of_sensor(case: Examination, sensor: Manifest, pods: list[FlowPod]) -> Iterator[Answer]:
    spec, namespace = sensor["spec"], sensor["metadata"].get("namespace") or case.namespace
    account = spec["template"].get("serviceAccountName") or "default"
    sources = {(item["eventSourceName"], item["eventName"]) for item in spec["dependencies"]}
    if UNSET in {account, *(name for names in sources for name in names)}:
        file = case.target.environment.file if case.target.environment.name else ""
        names = "METAFLOW_ARGO_EVENTS_EVENT, _EVENT_SOURCE, _SERVICE_ACCOUNT and _WEBHOOK_URL"
        place = file or "Metaflow's configuration"
        yield problem("Argo Events is not configured", pods, f"write {names} into {place}")
        return
    bus = spec.get("eventBusName") or UNSET
    yield of_bus(case, "default" if bus == UNSET else bus, namespace, pods)
    for source, event in sorted(sources):
        yield of_source(case, source, event, namespace, pods)
    yield of_account(case, account, namespace, pods)


def of_bus(case: Examination, name: str, namespace: str, pods: list[FlowPod]) -> Answer:
    if bus := case.view.get(EVENT_BUSES, name, namespace):
        if reason := not_ready(bus):
            what = f"the EventBus {name} in namespace {namespace} is not ready: {reason}"
            return problem(
                what, pods, case.kubectl(f"-n {namespace} describe eventbus {name}", False)
            )
        return ok(f"the EventBus {name}", pods)
    jetstream = {"jetstream": {"version": "latest", "replicas": 3}}
    remedy = case.apply(manifest("EventBus", name, namespace, jetstream), namespaced=False)
    return problem(f"there is no EventBus {name} in namespace {namespace}", pods, remedy)


def of_source(
    case: Examination, name: str, event: str, namespace: str, pods: list[FlowPod]
) -> Answer:
    source = case.view.get(EVENT_SOURCES, name, namespace)
    hook = {"port": "12000", "endpoint": f"/{event}", "method": "POST"}
    webhook = {"service": {"ports": [{"port": 12000}]}, "webhook": {event: hook}}
    if not source:
        what = f"there is no EventSource {name} in namespace {namespace}"
        remedy = case.apply(manifest("EventSource", name, namespace, webhook), namespaced=False)
        return problem(what, pods, remedy)
    events = {key for kind in source["spec"].values() if isinstance(kind, dict) for key in kind}
    if event not in events:
        edit = case.kubectl(f"-n {namespace} edit eventsource {name}", namespaced=False)
        return problem(f"the EventSource {name} has no event {event}", pods, edit)
    if reason := not_ready(source):
        what = f"the EventSource {name} in namespace {namespace} is not ready: {reason}"
        describe = f"-n {namespace} describe eventsource {name}"
        return problem(what, pods, case.kubectl(describe, namespaced=False))
    return ok(f"the event {event} of {name}", pods)


def of_account(case: Examination, name: str, namespace: str, pods: list[FlowPod]) -> Answer:
    if not case.view.get(ACCOUNTS, name, namespace):
        what = f"there is no service account {name} in namespace {namespace} for Sensors"
        create = f"-n {namespace} create serviceaccount {name}"
        return problem(what, pods, case.kubectl(create, namespaced=False))
    user = username(namespace, name)
    attributes = {"verb": "create", "group": CREATE.group, "resource": CREATE.resource}
    spec = {"user": user, "resourceAttributes": {**attributes, "namespace": case.namespace}}
    for plural, place in (
        ("localsubjectaccessreviews", case.namespace),
        ("subjectaccessreviews", ""),
    ):
        if status := case.view.review(plural, spec, place):
            if status.get("allowed"):
                return ok(f"the service account {name}", pods)
            what = f"the service account {name} of Sensors may not {CREATE} in {case.namespace}"
            remedy = grant(case, f"k8s-{name}", case.namespace, [CREATE], "ServiceAccount", user)
            return problem(what, pods, remedy)
    what = f"whether the service account {name} of Sensors may {CREATE}: for want of the right to"
    return cannot_tell(f"{what} create subjectaccessreviews.authorization.k8s.io", pods)


def not_ready(item: Manifest) -> str:
    """Return the first condition of an object of Argo Events that does not hold."""
    for condition in (item.get("status") or {}).get("conditions") or ():
        if condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or condition["type"])
    return ""


def manifest(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}
