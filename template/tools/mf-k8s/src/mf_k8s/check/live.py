"""Compares what is on a cluster, WorkflowTemplates and the pods of runs, with the code."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..cluster_api import ARGO, list_objects
from ..compile_flows import CompiledFlow
from ..config import read_toml
from ..environments import metaflow_setting
from ..expected_pods import expected_pods
from ..project import Project
from ..read_pods import Manifest, Pod, normalized, read_pod, step_name, workflow_pods
from .compare import compare_pods, start_report
from .report import Report

METAFLOW_LABEL = "app.kubernetes.io/part-of=metaflow"
JOB_OF_JOBSET = "jobset.sigs.k8s.io/replicatedjob-name"
FILLED_IN = {"image_pull_policy", "image_pull_secrets"}  # by the cluster, where they are not set


@dataclasses.dataclass(frozen=True)
class OnCluster:
    """What a namespace has of flows, and the secrets that Metaflow adds to pods there."""

    namespace: str
    templates: Sequence[Manifest]
    pods: Sequence[Manifest]
    run_secrets: Sequence[str]  # of `run --with kubernetes`
    argo_secrets: Sequence[str]


def check_live(
    project: Project,
    compiled: Iterable[CompiledFlow],
    namespace: str = "",
    run: str | None = "",
    templates: Sequence[Manifest] | None = None,
) -> Iterator[Report]:
    """Yield a report on each WorkflowTemplate and run of the compiled flows.

    `namespace` is by default the one of Metaflow's configuration. `templates` are by default the
    deployed ones. `run` is a run's ID; empty for the newest on Argo and the newest of `run --with
    kubernetes`; None for no run. Raise CommandError if the cluster does not answer, or refuses.
    """
    config = read_toml(project.config_file)
    cluster = read_cluster(namespace, run, templates)
    for result in compiled:
        start, flow = start_report(project, result), result.flow
        if start.error or start.failures or not flow:
            yield start
            continue
        expected, count = expected_pods(config, flow), 0
        for name, of_object, found in pods_of_flow(cluster, flow["name"], run or "", expected):
            report = start_report(project, result, name)
            for secret in sorted({*cluster.argo_secrets}):
                report.notes.append(f"secret {secret}: of this environment")
            count += 1
            yield dataclasses.replace(report, pods=compare_pods(of_object, found, config))
        if not count:
            error = f"namespace {cluster.namespace} has nothing of {flow['name']}"
            yield dataclasses.replace(start, error=error)


def read_cluster(
    namespace: str, run: str | None, templates: Sequence[Manifest] | None
) -> OnCluster:
    namespace = namespace or metaflow_setting("KUBERNETES_NAMESPACE") or "default"
    if templates is None:
        templates = list_objects(f"{ARGO}/{namespace}/workflowtemplates")
    pods: list[Any] = []
    if run is not None:
        pods = list_objects(f"/api/v1/namespaces/{namespace}/pods", labelSelector=METAFLOW_LABEL)
    of_run, of_argo = (
        [name for name in metaflow_setting(key).split(",") if name]
        for key in ("KUBERNETES_SECRETS", "ARGO_WORKFLOWS_KUBERNETES_SECRETS")
    )
    return OnCluster(namespace, templates, pods, of_run, [*of_run, *of_argo])


def pods_of_flow(
    cluster: OnCluster, flow: str, run: str, expected: Mapping[str, Pod]
) -> Iterator[tuple[str, Mapping[str, Pod], Mapping[str, Pod]]]:
    """Yield, for each WorkflowTemplate and run of a flow, its name, expected and found pods."""
    on_argo = with_secrets(expected, cluster.argo_secrets)
    for template in cluster.templates:
        if annotation(template, "flow_name") == flow:
            name = template["metadata"]["name"]
            yield f"WorkflowTemplate {name}", on_argo, workflow_pods(template)
    by_hand = with_secrets(expected, cluster.run_secrets)
    for name, pods in newest_runs(cluster.pods, flow, run).items():
        of_run = on_argo if name.startswith("argo-") else by_hand
        yield f"run {name}", *pods_of_run(of_run, pods)


def with_secrets(expected: Mapping[str, Pod], names: Sequence[str]) -> dict[str, Pod]:
    """Return pods with the environment's secrets, which Metaflow adds to all that run its code."""
    if not names:
        return dict(expected)
    return {
        name: pod | {"secrets": sorted({*pod.get("secrets", ()), *names})}
        if "image" in pod
        else pod
        for name, pod in expected.items()
    }


def annotation(manifest: Manifest, name: str) -> str:
    """Return one of Metaflow's annotations, or an empty text."""
    annotations: dict[str, str] = manifest["metadata"].get("annotations") or {}
    return annotations.get(f"metaflow/{name}", "")


def newest_runs(pods: Sequence[Manifest], flow: str, run: str) -> dict[str, list[Manifest]]:
    """Return the pods of the runs that are to be compared, by the run's ID."""
    by_run: dict[str, list[Manifest]] = {}
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]):
        name = annotation(pod, "run_id")
        if annotation(pod, "flow_name") == flow and name and run in ("", name, f"argo-{name}"):
            by_run.setdefault(name, []).append(pod)
    newest = {name.startswith("argo-"): name for name in by_run}
    return {name: by_run[name] for name in newest.values()}


def pods_of_run(
    expected: Mapping[str, Pod], pods: Sequence[Manifest]
) -> tuple[dict[str, Pod], dict[str, Pod]]:
    """Return what is expected of the pods of a run and what they have, by name.

    A foreach makes many pods of one step. Those that are alike count once; each other one has the
    pod's own name added.
    """
    expected_by_name: dict[str, Pod] = {}
    found_by_name: dict[str, Pod] = {}
    for pod in pods:
        step = pod_name(pod)
        if not step:
            continue
        found = live_pod(pod, step, expected)
        of_step = [one for name, one in found_by_name.items() if name.partition(" ")[0] == step]
        if found not in of_step:
            name = f"{step} ({pod['metadata']['name']})" if of_step else step
            found_by_name[name] = found
            expected_by_name[name] = expected.get(step, {})
    return expected_by_name, found_by_name


def pod_name(pod: Manifest) -> str:
    """Return a live pod's name in `expected_pods`, or an empty text for a pod of Argo's own."""
    if step := step_name(pod):
        job = (pod["metadata"].get("labels") or {}).get(JOB_OF_JOBSET)
        return f"{step}/{job}" if job else step
    for container in pod["spec"].get("initContainers") or ():
        for variable in container.get("env") or ():
            if variable["name"] == "ARGO_TEMPLATE":
                template = json.loads(variable["value"])
                return list(workflow_pods({"spec": {"templates": [template]}}))[-1]
    return ""


def live_pod(pod: Manifest, name: str, expected: Mapping[str, Pod]) -> Pod:
    """Return the settings of a live pod, without what the cluster adds where nothing was set.

    That is the node's pull policy, the service account's pull secrets, tolerations of nodes'
    conditions and of devices, and labels and annotations of others.
    """
    wanted = expected.get(name, {})
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    container = containers.get("main") or pod["spec"]["containers"][0]
    found = read_pod(pod["metadata"], pod["spec"], {} if "/creator" in name else container)
    for key in FILLED_IN - wanted.keys():
        found.pop(key, None)
    device_names = {*found.get("gpu", {}), *found.get("extended_resources", {})}
    found["tolerations"] = [
        toleration
        for toleration in found.get("tolerations", ())
        if toleration in wanted.get("tolerations", ())
        or not toleration.get("key", "").startswith("node.kubernetes.io/")
        and toleration.get("key") not in device_names
    ]
    for key in ("labels", "annotations"):
        configured = {entry for one in expected.values() for entry in one.get(key, ())}
        found[key] = {k: v for k, v in found.get(key, {}).items() if k in configured}
    return normalized(found)
