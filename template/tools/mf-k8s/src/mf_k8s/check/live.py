"""Compares what is on a cluster, WorkflowTemplates and the pods of runs, with the code."""

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..cluster.api import ARGO
from ..cluster.argo_fields import as_kind_can
from ..cluster.pod_states import list_pods
from ..cluster.target import Target
from ..errors import Finding
from ..metaflow.compile_flows import CompiledFile
from ..metaflow.read_defaults import read_metaflow_defaults, with_default_decorators
from ..pods.expected_pods import expected_pods
from ..pods.flow_facts import FlowFacts
from ..pods.metaflow_defaults import MetaflowDefault, default_sources, override_sources
from ..pods.project_labels import annotation, is_own, marks
from ..pods.read_pods import WORKFLOW, Manifest, Pod, normalized, read_pod, step_name, workflow_pods
from ..project.environment_layer import layer_sources, merged_config
from ..project.environments import branches_of_others
from ..project.k8s_toml import Config
from ..project.merge_settings import step_settings
from ..project.pod_table import POD
from ..project.project import Project, shown_path
from .compare import compare_pods, compare_workflow, start_report
from .live_starters import with_starters
from .report import Comparison, Report
from .run_state import with_run_state
from .running_digest import with_running_digests

JOB_OF_JOBSET = "jobset.sigs.k8s.io/replicatedjob-name"
FILLED_IN_BY_CLUSTER = {"image_pull_policy", "image_pull_secrets"}  # where they are not set


@dataclasses.dataclass(frozen=True)
class OnCluster:
    """What a namespace has of flows."""

    templates: Sequence[Manifest]
    pods: Sequence[Manifest]


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What the pods of a flow must have, by one of the two ways to run it."""

    pods: Mapping[str, Pod]
    defaults: Sequence[MetaflowDefault]
    notes: Sequence[str]  # which settings come from elsewhere than k8s.toml and the steps


def check_live(
    project: Project,
    compiled: Iterable[CompiledFile],
    target: Target,
    run: str | None = "",
    templates: Sequence[Manifest] | None = None,
) -> Iterator[Report]:
    """Yield a report on each WorkflowTemplate and run of the compiled flows.

    `templates` are by default the deployed ones. `run` is a run's ID; empty for the newest on Argo
    and the newest of `run --with kubernetes`; None for no run. Raise CommandError if the cluster
    does not answer, or refuses.
    """
    config, of_layer = as_kind_can(merged_config(project), target), layer_sources(project)
    ask = templates is None and target.environment.name != "kind"  # whose tests start flows
    if templates is None:
        templates = target.list(f"{ARGO}/{target.namespace}/workflowtemplates")
    cluster = OnCluster(templates, [] if run is None else list_pods(target))
    configuration, others = target.configuration, branches_of_others(project, target.environment)
    run_defaults = read_metaflow_defaults(configuration, on_argo=False)
    argo_defaults = read_metaflow_defaults(configuration, on_argo=True)
    for result in compiled:
        start, flow = start_report(project, result), result.flow
        if start.error or start.failures or not flow:
            yield start
            continue
        flow = with_default_decorators(flow, result.options, configuration)
        for_run = expectation(config, flow, run_defaults, of_layer, on_argo=False)
        for_argo = expectation(config, flow, argo_defaults, of_layer)
        own = own_objects(cluster, project, result, others)
        assert result.template
        reports = [
            with_starters(report, result.template, template, target, ask)
            for template in own.templates
            for report in [template_report(start, template, for_argo, config)]
        ]
        for run_id, pods in newest_runs(own.pods, run or "").items():
            by_code = for_argo if run_id.startswith("argo-") else for_run
            expected, found = pods_of_run(by_code.pods, pods)
            compared = compare_pods(expected, found, config, by_code.defaults)
            report = live_report(start, f"run {run_id}", by_code, compared)
            if target.environment.name != "kind":  # whose image is built there
                report = with_running_digests(report, pods, config)
            reports.append(with_run_state(report, target, run_id, pods, own.templates))
        yield from reports
        names = [report.of for report in reports]
        where = f"of {flow['name']} in namespace {target.namespace} is this project's"
        for error in not_deployed(shown_path(start.file), names, run, where):
            yield dataclasses.replace(start, error=error)


def template_report(
    start: Report, template: Manifest, by_code: Expectation, config: Config
) -> Report:
    """Return the report on a deployed WorkflowTemplate."""
    compared = compare_pods(
        by_code.pods, workflow_pods(template, by_code.pods), config, by_code.defaults
    )
    if whole := compare_workflow(config, template):
        compared[WORKFLOW] = whole
    return live_report(start, f"WorkflowTemplate {template['metadata']['name']}", by_code, compared)


def live_report(
    start: Report, of: str, by_code: Expectation, compared: dict[str, dict[str, Comparison]]
) -> Report:
    """Return the report on one object of the cluster, whose pods have been compared."""
    return dataclasses.replace(start, of=of, pods=compared, notes=[*start.notes, *by_code.notes])


def not_deployed(
    file: str, names: Collection[str], run: str | None, where: str
) -> Iterator[Finding]:
    """Yield why there is nothing to compare.

    `names` are those of the WorkflowTemplates and runs that were compared; `where` ends the text.
    """
    if run and not any(name.startswith("run ") for name in names):
        remedy = "its pods may be deleted, or its ID is another"
        yield Finding("run-not-found", f"no pod of run {run} {where}", file, remedy)
    elif not names:
        remedy = "deploy it, or name another --env or --namespace"
        what = f"no WorkflowTemplate and no pod {where}"
        yield Finding("flow-not-deployed", what, file, remedy)


def expectation(
    config: Config,
    flow: FlowFacts,
    defaults: Sequence[MetaflowDefault],
    of_layer: Sequence[str] = (),
    on_argo: bool = True,
) -> Expectation:
    """Return what the pods of a flow must have, with Metaflow's defaults under k8s.toml.

    `of_layer` says what an environment lays over it.
    """
    steps = [step_settings(config, step) for step in flow["steps"].values()]
    pods = expected_pods(config, flow, defaults, on_argo)
    notes = [*default_sources(steps, defaults), *of_layer, *override_sources(flow)]
    return Expectation(pods, defaults, notes)


def own_objects(
    cluster: OnCluster, project: Project, result: CompiledFile, others: Collection[str] = ()
) -> OnCluster:
    """Return what a namespace has of one flow, without the branches of other environments.

    Another project may have a flow of its name.
    """
    assert result.flow and result.template
    flow, metaflow_project = result.flow["name"], annotation(result.template, "project_name")
    labels = marks(project)

    def own(manifests: Sequence[Manifest]) -> list[Manifest]:
        return [
            manifest
            for manifest in manifests
            if annotation(manifest, "flow_name") == flow
            and annotation(manifest, "branch_name") not in others
            and is_own(manifest, labels, metaflow_project)
        ]

    return OnCluster(own(cluster.templates), own(cluster.pods))


def newest_runs(pods: Sequence[Manifest], run: str) -> dict[str, list[Manifest]]:
    """Return the pods of the runs that are to be compared, by the run's ID."""
    by_run: dict[str, list[Manifest]] = {}
    for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]):
        name = annotation(pod, "run_id")
        if name and (not run or name in (run, f"argo-{run}")):
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
        of_step = [pod for name, pod in found_by_name.items() if name.partition(" ")[0] == step]
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
    expected_pod = expected.get(name, {})
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    container = containers.get("main") or pod["spec"]["containers"][0]
    container = {} if "/creator" in name else container
    found = read_pod(pod["metadata"], pod["spec"], container, expected_pod.get(POD))
    for key in FILLED_IN_BY_CLUSTER - expected_pod.keys():
        found.pop(key, None)
    device_names = {*found.get("gpu", {}), *found.get("extended_resources", {})}
    found["tolerations"] = [
        toleration
        for toleration in found.get("tolerations", ())
        if toleration in expected_pod.get("tolerations", ())
        or not toleration.get("key", "").startswith("node.kubernetes.io/")
        and toleration.get("key") not in device_names
    ]
    for key in ("labels", "annotations"):
        configured = {entry for each in expected.values() for entry in each.get(key, ())}
        found[key] = {k: v for k, v in found.get(key, {}).items() if k in configured}
    return normalized(found)
