"""Compares the pods of compiled flows with what k8s.toml and the flows' own overrides demand."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import Finding
from ..metaflow.compile_flows import CompiledFile, not_compiled
from ..pods.argo_releases import release_problems
from ..pods.configure_template import configure_template
from ..pods.expected_pods import expected_pods, plain_step_pod
from ..pods.flow_facts import FlowFacts
from ..pods.lay_pod import OF_AGENT, agent_fields, step_pods
from ..pods.metaflow_defaults import MetaflowDefault, override_sources
from ..pods.project_labels import annotation
from ..pods.read_container import SIZE_RESOURCES
from ..pods.read_pods import (
    WORKFLOW,
    Manifest,
    Pod,
    without_added,
    workflow_pods,
    workflow_settings,
)
from ..project.environment_layer import layer_sources, merged_config
from ..project.k8s_toml import Config
from ..project.merge_settings import shared_settings
from ..project.pod_table import POD, pod_findings
from ..project.project import Project, shown_path
from ..project.workflow_table import (
    METADATA_KINDS,
    OF_OPTIONS,
    POD_METADATA,
    argo_value,
    own_names,
    workflow_fields,
)
from .flow_imports import unlisted_imports
from .locked_values import locked_in_files, locked_in_flow
from .pods_python import code_for_other_pythons, python_notes
from .report import Comparison, Report
from .stale_image import stale_image_notes

# Not compared on helper pods: Metaflow gives these small, fixed sizes.
OWN_OF_HELPERS = {*SIZE_RESOURCES, "qos", "timeout"}
# Settings that Metaflow has no way to give to helper pods.
STEPS_ONLY = {"image_pull_policy", "security_context"}
NAME_LIMIT = 45  # of a WorkflowTemplate (resolve_workflow_name_v2 in argo_workflows_cli.py)


def check_flows(project: Project, compiled: Iterable[CompiledFile]) -> Iterator[Report]:
    """Yield the report on each compiled flow, as it is done."""
    config = merged_config(project)
    first = True
    for result in compiled:
        report = start_report(project, result)
        if result.flow and result.template and not report.failures:
            report = check_flow(report, result.template, result.flow, config)
            if first:  # what concerns the whole project
                report.notes.extend([*layer_sources(project), *stale_image_notes(project)])
                report.failures.extend(locked_in_files(project))
                report.notes.extend(python_notes(project))
                if never := sorted(STEPS_ONLY & shared_settings(config).keys()):
                    pods = "Metaflow gives these to steps only, not to helper pods"
                    report.notes.append(f"{pods}: {', '.join(never)}")
            first = False
            report.failures.extend(locked_in_flow(project, result.flow))
            report.notes.extend(unlisted_imports(project, result.file, result.flow))
            report.notes.extend(code_for_other_pythons(project, result.file, result.flow))
        yield report


def name_clashes(project: Project, flows: Iterable[CompiledFile | Report]) -> dict[str, Finding]:
    """Return, by class, the flows that share their name on Argo Workflows with another.

    The one would replace the other there. Names are lower case, without underscores
    (sanitize_for_argo in metaflow/plugins/argo/argo_workflows_cli.py).
    """
    found: dict[str, dict[str, str]] = {}  # by name on Argo Workflows: classes by their files
    for flow in flows:
        name = flow.flow["name"] if isinstance(flow, CompiledFile) and flow.flow else flow.flow
        if isinstance(name, str):
            file = os.path.relpath(flow.file, project.root)
            found.setdefault(name.replace("_", "").lower(), {})[file] = name
    return {
        name: Finding(
            "flow-name-twice",
            f"{' and '.join(sorted(classes))} define {' and '.join(sorted({*classes.values()}))},"
            " which are one name on Argo Workflows",
            remedy="rename all but one",
        )
        for classes in found.values()
        if len(classes) > 1
        for name in classes.values()
    }


def start_report(project: Project, result: CompiledFile) -> Report:
    """Return the report on a flow whose pods are not yet compared."""
    flow = result.flow
    error = not_compiled(shown_path(result.file), result.error) if result.error else None
    report = Report(file=result.file, error=error, log=result.log)
    if project.environment_file:
        report = dataclasses.replace(report, of=f"compiled for {project.environment_file.stem}")
    if not flow:
        return report
    following = {name: step["next"] for name, step in flow["steps"].items()}
    report = dataclasses.replace(report, flow=flow["name"], next=following, steps=flow["steps"])
    if not flow["derives"]:
        report.failures.append(
            "does not derive from BaseFlow, so k8s.toml is ignored: write"
            f" `from {project.package} import BaseFlow` and `class {flow['name']}(BaseFlow)`"
        )
    return report


def check_flow(report: Report, template: Manifest, flow: FlowFacts, config: Config) -> Report:
    """Return the report on one compiled WorkflowTemplate, compared as `deploy` would write it."""
    shared = shared_settings(config)
    own = step_pods(config, flow)
    completed = configure_template(template, shared, config.get("workflow", {}), own)
    expected = expected_pods(config, flow)
    bare, found = workflow_pods(template, expected), workflow_pods(completed, expected)
    by_deploy = {}
    for name, pod in found.items():
        if left_off := [key for key in pod if bare[name].get(key) != pod[key]]:
            by_deploy[name] = left_off
    name, project_flow = template["metadata"]["name"], annotation(template, "project_flow_name")
    if len(project_flow) > NAME_LIMIT:
        report.notes.append(f"Metaflow shortens {project_flow} to {name} on Argo Workflows")
    report.release_problems.extend(release_problems(template, completed))
    report.notes.extend(override_sources(flow))
    report.failures.extend([*wrong_hook_images(flow), *wrong_pods(flow)])
    pods = compare_pods(expected, found, config)
    if whole := compare_workflow(config, completed):
        pods[WORKFLOW] = whole
        by_deploy[WORKFLOW] = [*whole]
    return dataclasses.replace(report, pods=pods, by_deploy=by_deploy)


def wrong_hook_images(flow: FlowFacts) -> list[str]:
    """Return a line for each image of @exit_hook that is not text: Metaflow takes any value."""
    return [
        f"{pod}: @exit_hook has the image {image!r}: write text, like ghcr.io/acme/tell:1.2.3"
        for pod, image in flow["hooks"].items()
        if image and not isinstance(image, str)
    ]


def wrong_pods(flow: FlowFacts) -> list[str]:
    """Return a line for each thing that is wrong in a `pod` of @k8s."""
    return [
        str(finding)
        for name, step in flow["steps"].items()
        for override in step["overrides"]
        for finding in pod_findings(override["values"].get(POD), f"step {name}: @k8s")
    ]


def compare_pods(
    expected: Mapping[str, Pod],
    found: Mapping[str, Pod],
    config: Mapping[str, Any],
    defaults: Sequence[MetaflowDefault] = (),
) -> dict[str, dict[str, Comparison]]:
    """Return for each pod a table of its settings.

    Every pod of a step must be there. Of the helper pods, those that are there are compared.
    `defaults` are what Metaflow's configuration gave to the expected pods.
    """
    plain_pod, compared = plain_step_pod(config, defaults), {}
    for name in [*expected, *(found.keys() - expected.keys())]:
        expected_pod, found_pod = expected.get(name), found.get(name)
        if expected_pod and found_pod:
            compared[name] = compare_pod(expected_pod, own_settings(found_pod), plain_pod)
        elif found_pod or runs_step(expected_pod or {}):  # else it is of a hook that is turned off
            missing = compare_values(expected_pod and "a pod", found_pod and "a pod")
            compared[name] = {"pod": missing}
    return compared


def compare_workflow(config: Config, template: Manifest) -> dict[str, Comparison]:
    """Return the comparison of each setting that [workflow] of k8s.toml or the template has.

    What options of Metaflow's create set, too, and what [pod] gives to the agent, counts only where
    k8s.toml has it.
    """
    written = own_names(config.get("workflow", {}))
    expected = {key: argo_value(key, value) for key, value in written.items()}
    found = workflow_settings(template)
    fields = workflow_fields()
    of_agent = {OF_AGENT[key]: each for key, each in agent_fields(config.get(POD) or {}).items()}
    for key in found.keys() - expected.keys():
        if key in OF_OPTIONS or found[key] == of_agent.get(fields[key].name):
            del found[key]
    if own := without_shared(found.pop(POD_METADATA, {}), expected.get(POD_METADATA) or {}, config):
        found[POD_METADATA] = own
    return {
        key: compare_values(expected.get(key), found.get(key))
        for key in sorted({*expected, *found})
    }


def without_shared(found: Manifest, expected: Manifest, config: Config) -> dict[str, Any]:
    """Return the metadata of all pods without labels and annotations that k8s.toml shares."""
    tables = {
        kind: {
            name: value
            for name, value in (found.get(kind) or {}).items()
            if name in (expected.get(kind) or {}) or name not in (config.get(kind) or {})
        }
        for kind in METADATA_KINDS
    }
    return {kind: table for kind, table in tables.items() if table}


def own_settings(found: Pod) -> Pod:
    """Return a pod without what Metaflow and Argo add, and with each secret once.

    Metaflow repeats a secret that both k8s.toml and its own configuration name.
    """
    pod = without_added(found)
    return pod | ({"secrets": sorted({*pod["secrets"]})} if "secrets" in pod else {})


def compare_pod(expected: Pod, found: Pod, plain_pod: Pod) -> dict[str, Comparison]:
    """Return the comparison of each setting; `plain_pod` is the pod of a step with no overrides."""
    of_step = runs_step(expected)
    keys = {*expected, *found, *plain_pod} if of_step else {*expected, *found} - OWN_OF_HELPERS
    return {
        key: compare_values(
            expected.get(key),
            found.get(key),
            override=of_step and expected.get(key) != plain_pod.get(key),
        )
        for key in sorted(keys)
    }


def compare_values(expected: Any, found: Any, override: bool = False) -> Comparison:
    return Comparison(expected=expected, found=found, equal=expected == found, override=override)


def runs_step(expected: Pod) -> bool:
    """Return whether a pod, as expected_pods has it, runs a step: helper pods have no sizes."""
    return "cpu" in expected
