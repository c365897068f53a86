"""Compares what is on the cluster, WorkflowTemplates and the pods of runs, with the code."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import ROOT, Problem
from .check import compare_pods, start_report
from .compile import compile_flows
from .expect import expected_pods, read_config, shared_settings
from .pods import Pod, read_pod, step_name, workflow_pods

TIMEOUT = (5, 60)  # seconds, to connect and to read
GROUP = "argoproj.io", "v1alpha1"


def check_live(
    files: Sequence[Path], namespace: str, run: str, root: Path = ROOT
) -> Iterator[dict[str, Any]]:
    """Give a report for each deployed WorkflowTemplate and each run of the flows in `files`.

    Of runs, those with the ID `run`; if that is empty, the newest on Argo and the newest of
    `run --with kubernetes`. Raises Problem if the cluster does not answer or refuses.
    """
    from metaflow import metaflow_config

    config = {**environment(metaflow_config), **read_config(root / "k8s.toml")}
    namespace = namespace or metaflow_config.KUBERNETES_NAMESPACE
    templates, pods = objects(namespace)
    for result in compile_flows(files, root):
        start = start_report(result)
        if start["error"] or start["failures"] or not result["flow"]:
            yield start
            continue
        flow, shared = result["flow"], shared_settings(config)
        expected, nothing = expected_pods(config, flow), True
        for template in templates:
            if annotation(template, "flow_name") == flow["name"]:
                nothing = False
                report = start_report(result, f"WorkflowTemplate {template['metadata']['name']}")
                report["pods"] = compare_pods(expected, workflow_pods(template), shared)
                yield report
        for name, of_run in runs(pods, flow["name"], run).items():
            nothing = False
            report = start_report(result, f"run {name}")
            found = dict(named(of_run))
            wanted = {key: expected[key.partition(" ")[0]] for key in found if key.partition(" ")[0] in expected}
            report["pods"] = compare_pods(wanted, found, shared)
            yield report
        if nothing:
            yield {**start, "error": f"nothing of {flow['name']} is in namespace {namespace}"}


def environment(metaflow_config: Any) -> dict[str, Any]:
    return {}


def objects(namespace: str) -> tuple[list[Any], list[Any]]:
    """Give the WorkflowTemplates and Metaflow's pods in a namespace, as JSON."""
    from kubernetes import client, config  # type: ignore  # it has no types
    from urllib3.exceptions import HTTPError

    what = "WorkflowTemplates (workflowtemplates.argoproj.io)"
    try:
        config.load_config()
        custom, core = client.CustomObjectsApi(), client.CoreV1Api()
        custom.api_client.configuration.retries = False
        try:
            templates = custom.list_namespaced_custom_object(
                *GROUP, namespace, "workflowtemplates", _request_timeout=TIMEOUT
            )["items"]
        except client.ApiException as error:
            if error.status != 404:
                raise
            templates = []  # Argo Workflows is not installed
        what = "pods"
        answer = core.list_namespaced_pod(
            namespace,
            label_selector="app.kubernetes.io/part-of=metaflow",
            _preload_content=False,
            _request_timeout=TIMEOUT,
        )
        return templates, json.loads(answer.data)["items"]
    except client.ApiException as error:
        if error.status == 403:
            raise Problem(f"no right to list {what} in namespace {namespace}") from error
        raise Problem(f"the cluster says: {error.status} {error.reason}") from error
    except (config.ConfigException, HTTPError) as error:
        raise Problem(f"no cluster can be reached: {error}") from error


def annotation(thing: Mapping[str, Any], name: str) -> str | None:
    return (thing["metadata"].get("annotations") or {}).get(f"metaflow/{name}")


def runs(pods: Sequence[Any], flow: str, run: str) -> dict[str, list[Any]]:
    """Give the pods of each run that is to be compared, by the run's ID."""
    by_run: dict[str, list[Any]] = {}
    for pod in sorted(pods, key=lambda one: one["metadata"]["creationTimestamp"]):
        name = annotation(pod, "run_id")
        if annotation(pod, "flow_name") == flow and name and run in ("", name, f"argo-{name}"):
            by_run.setdefault(name, []).append(pod)
    newest = {name.startswith("argo-"): name for name in by_run}
    return {name: by_run[name] for name in newest.values()}


def named(pods: Sequence[Any]) -> Iterator[tuple[str, Pod]]:
    """Give the different pods of a run by the names of `expected_pods`.

    A foreach makes many pods of one step: of those that are alike, one is enough, and each other
    has its own name added.
    """
    seen: dict[str, list[Pod]] = {}
    for pod in pods:
        containers = {one["name"]: one for one in pod["spec"]["containers"]}
        container = containers.get("main") or pod["spec"]["containers"][0]
        name = step_name(pod)
        part = (pod["metadata"].get("labels") or {}).get("jobset.sigs.k8s.io/replicatedjob-name")
        if name and part:
            name = f"{name}/{part}"
        for one in pod["spec"].get("initContainers") or () if not name else ():
            for variable in one.get("env") or ():
                if variable["name"] == "ARGO_TEMPLATE":
                    template = json.loads(variable["value"])
                    *_, name = workflow_pods({"spec": {"templates": [template]}})
                    container = {} if "resource" in template else container
        if not name:
            continue  # Argo's own, like the agent
        found = read_pod(pod["metadata"], pod["spec"], container)
        if found not in seen.setdefault(name, []):
            yield f"{name} ({pod['metadata']['name']})" if seen[name] else name, found
            seen[name].append(found)
