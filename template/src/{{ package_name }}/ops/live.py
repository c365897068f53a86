"""Compares what is on the cluster, WorkflowTemplates and the pods of runs, with the code."""

import contextlib
import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import ROOT, Problem
from .check import compare_pods, start_report
from .environment import of_metaflow
from .expect import expected_pods, read_config, shared_settings
from .pods import Pod, plain, read_pod, step_name, workflow_pods

TIMEOUT = (5, 60)  # seconds, to connect and to read
ARGO = "/apis/argoproj.io/v1alpha1/namespaces"
OF_METAFLOW = "app.kubernetes.io/part-of=metaflow"
PART = "jobset.sigs.k8s.io/replicatedjob-name"


def check_live(
    results: Iterable[Mapping[str, Any]],
    namespace: str,
    run: str | None,
    templates: Sequence[Any] | None = None,
    root: Path = ROOT,
) -> Iterator[dict[str, Any]]:
    """Give a report on each WorkflowTemplate, by default the deployed ones, and run of the flows.

    Of runs, the one with the ID `run`; if that is empty, the newest on Argo and the newest of
    `run --with kubernetes`; none if it is None. Raises Problem if the cluster does not answer or
    refuses.
    """
    config = read_config(root / "k8s.toml")
    shared, namespace = (
        shared_settings(config),
        namespace or of_metaflow("KUBERNETES_NAMESPACE") or "default",
    )
    if templates is None:
        templates = get(f"{ARGO}/{namespace}/workflowtemplates")
    pods = []
    if run is not None:
        pods = get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=OF_METAFLOW)
    run_secrets = of_metaflow("KUBERNETES_SECRETS").split(",")
    argo_secrets = [*run_secrets, *of_metaflow("ARGO_WORKFLOWS_KUBERNETES_SECRETS").split(",")]
    for result in results:
        start, flow = start_report(result), result["flow"]
        if start["error"] or start["failures"] or not flow:
            yield start
            continue
        pods_of = partial(with_secrets, expected_pods(config, flow))
        found = {
            f"WorkflowTemplate {one['metadata']['name']}": (
                pods_of(argo_secrets),
                workflow_pods(one),
            )
            for one in templates
            if annotation(one, "flow_name") == flow["name"]
        }
        for name, of_run in runs(pods, flow["name"], run or "").items():
            secrets = argo_secrets if name.startswith("argo-") else run_secrets
            found[f"run {name}"] = pair(pods_of(secrets), of_run)
        for name, (want, has) in found.items():
            notes = [f"secret {one}: of this environment" for one in {*argo_secrets} if one]
            report = start_report(result, name) | {"notes": notes}
            yield report | {"pods": compare_pods(want, has, shared)}
        if not found:
            yield start | {"error": f"nothing of {flow['name']} is in namespace {namespace}"}


def with_secrets(expected: Mapping[str, Pod], names: Sequence[str]) -> dict[str, Pod]:
    """Add the secrets of the environment, as Metaflow does, to all pods that run its code."""
    more = {name for name in names if name}
    return {
        name: pod | {"secrets": sorted({*pod.get("secrets", ()), *more})}
        if more and "image" in pod
        else pod
        for name, pod in expected.items()
    }


@functools.cache
def api() -> Any:
    from kubernetes import client, config  # type: ignore  # it has no types

    (config.load_kube_config if os.environ.get("KUBECONFIG") else config.load_config)()
    found = client.ApiClient()
    found.configuration.retries = False
    return found


def get(path: str, **query: str) -> list[Any]:
    """Give what the cluster lists at a path of its API; raise Problem if it does not."""
    how = {"auth_settings": ["BearerToken"], "_preload_content": False}
    *_, namespace, what = path.split("/")
    with refusals(f"list {what} in namespace {namespace}"):
        answer = api().call_api(
            path, "GET", query_params=[*query.items()], _request_timeout=TIMEOUT, **how
        )
        return json.loads(answer.data)["items"]


@contextlib.contextmanager
def refusals(work: str) -> Iterator[None]:
    """Raise Problem, which names the work, for what a cluster says against it."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        yield
    except client.ApiException as error:
        if error.status == 403:
            raise Problem(f"no right to {work}") from error
        raise Problem(f"cannot {work}: {error.status} {error.reason}") from error
    except (config.ConfigException, HTTPError) as error:
        raise Problem(f"no cluster answers: {error}") from error


def annotation(thing: Mapping[str, Any], name: str) -> str:
    return (thing["metadata"].get("annotations") or {}).get(f"metaflow/{name}", "")


def runs(pods: Sequence[Any], flow: str, run: str) -> dict[str, list[Any]]:
    """Give the pods of each run that is to be compared, by the run's ID."""
    by_run: dict[str, list[Any]] = {}
    for pod in sorted(pods, key=lambda one: one["metadata"]["creationTimestamp"]):
        name = annotation(pod, "run_id")
        if annotation(pod, "flow_name") == flow and name and run in ("", name, f"argo-{name}"):
            by_run.setdefault(name, []).append(pod)
    newest = {name.startswith("argo-"): name for name in by_run}
    return {name: by_run[name] for name in newest.values()}


def pod_name(pod: Mapping[str, Any]) -> str:
    """Give the name that `expected_pods` has for a pod, or nothing for one of Argo's own."""
    if name := step_name(pod):
        part = (pod["metadata"].get("labels") or {}).get(PART)
        return f"{name}/{part}" if part else name
    for container in pod["spec"].get("initContainers") or ():
        for variable in container.get("env") or ():
            if variable["name"] == "ARGO_TEMPLATE":
                template = json.loads(variable["value"])
                return [*workflow_pods({"spec": {"templates": [template]}})][-1]
    return ""


def pair(expected: Mapping[str, Pod], pods: Sequence[Any]) -> tuple[dict[str, Pod], dict[str, Pod]]:
    """Give what is expected of the pods of a run, and what they have, by their names.

    A foreach makes many pods of one step: of those that are alike one is enough, and each other
    has its own name added. What a cluster adds where nothing was asked for is left out: the node's
    pull policy, the service account's pull secrets, tolerations, and labels of its own.
    """
    want: dict[str, Pod] = {}
    has: dict[str, Pod] = {}
    for pod in pods:
        name = pod_name(pod)
        if not name:
            continue
        asked = expected.get(name, {})
        containers = {one["name"]: one for one in pod["spec"]["containers"]}
        container = containers.get("main") or pod["spec"]["containers"][0]
        found = read_pod(pod["metadata"], pod["spec"], {} if "/creator" in name else container)
        for key in {"image_pull_policy", "image_pull_secrets"} - asked.keys():
            found.pop(key, None)
        devices = {*found.get("gpu", {}), *found.get("extended_resources", {})}
        found["tolerations"] = [
            one
            for one in found.get("tolerations", ())
            if one in asked.get("tolerations", ())
            or not one.get("key", "").startswith("node.kubernetes.io/")
            and one.get("key") not in devices
        ]
        for key in ("labels", "annotations"):
            ours = {one for pod in expected.values() for one in pod.get(key, ())}
            found[key] = {one: found[key][one] for one in found.get(key, ()) if one in ours}
        found = plain(found)
        if found not in [pod for other, pod in has.items() if other.partition(" ")[0] == name]:
            name = f"{name} ({pod['metadata']['name']})" if name in has else name
            has[name], want[name] = found, asked
    return want, has
