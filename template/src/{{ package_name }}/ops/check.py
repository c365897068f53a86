"""Compares the pods of flows with what k8s.toml and the flows' own overrides demand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from . import PACKAGE, ROOT, Problem
from .expect import expected_pods, read_config, shared_settings, step_pod
from .pods import SIZES, Pod, complete, workflow_pods

# what Metaflow and Argo put on pods themselves
THEIRS = ("metaflow/", "workflows.argoproj.io/", "app.kubernetes.io/", "task_id_", "num_parallel")
PLAIN_STEP: dict[str, Any] = {"overrides": [], "resources": {}, "timeout": None}
OWN_OF_HOOKS = {*SIZES, "qos", "timeout"}  # Metaflow gives their pods fixed, small ones
NEVER_ON_HOOKS = {"image_pull_policy", "labels", "annotations", "security_context"}
ANSWERS = ("image", "service_account", "gpu", "gpu_vendor", "shared_memory", "cpu", "memory")


def find_flows(names: Sequence[str], root: Path = ROOT) -> list[Path]:
    """Give the files that `names` stand for: a file, or the name of one in flows/; all if empty.

    Raises Problem for what is not there.
    """
    files, found = sorted(root.glob("flows/**/*.py")), []
    if not names and not files:
        raise Problem("no flow in flows/: put one there, or name a file")
    for name in names:
        fits = [Path(name).resolve()] if Path(name).is_file() else []
        fits = fits or [file for file in files if name in (file.stem, file.name)]
        if len(fits) != 1:
            known = ", ".join(file.stem for file in files) or "nothing"
            what = "more than one flow" if fits else "no flow"
            raise Problem(f"{what} is called {name}; in flows/ there is {known}")
        found += fits
    return found or files


def check_flows(
    results: Iterable[Mapping[str, Any]], root: Path = ROOT
) -> Iterator[dict[str, Any]]:
    """Give the report on each compiled flow, as it is done (see report.py)."""
    config = read_config(root / "k8s.toml")
    first = True
    for result in results:
        report, flow = start_report(result), result["flow"]
        if flow and not report["error"] and not report["failures"]:
            report["notes"] += differing_answers(config, root) if first else []
            first = False
            yield check_flow(report, result["template"], flow, config)
        else:
            yield report


def differing_answers(config: Mapping[str, Any], root: Path) -> list[str]:
    """Give a line that says where the template's answers differ from k8s.toml, which is used."""
    file, claims = root / ".copier-answers.yml", "persistent_volume_claims"
    answers = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    holds = {key: config.get(key, 0) for key in ANSWERS}
    holds[claims] = ",".join(map(":".join, config.get(claims, {}).items()))
    said = {key: str(answers[key]).replace(" ", "") for key in holds if key in answers}
    differ = [key for key in said if str(holds[key]) != said[key]]
    listed = ", ".join(f"{key} ({holds[key]}, not {said[key]})" for key in differ)
    return [f"k8s.toml is used, not .copier-answers.yml: {listed}"] if differ else []


def start_report(result: Mapping[str, Any], of: str = "compiled") -> dict[str, Any]:
    """Give the report on a flow whose pods are not yet compared."""
    flow = result["flow"] or {"name": None, "derives": True, "steps": {}}
    report = {"file": result["file"], "flow": flow["name"], "of": of, "error": result["error"]}
    report |= {"log": result["log"], "notes": [], "failures": [], "pods": {}}
    report["next"] = {name: step["next"] for name, step in flow["steps"].items()}
    if not flow["derives"]:
        fix = f"write class {flow['name']}(BaseFlow), from {PACKAGE.name} import BaseFlow"
        report["failures"] = [f"does not derive from BaseFlow, so k8s.toml is lost: {fix}"]
    return report


def check_flow(report: Any, template: Any, flow: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the report on one compiled WorkflowTemplate."""
    shared = shared_settings(config)
    whole = complete(template, shared)
    bare, found = workflow_pods(template), workflow_pods(whole)
    report["failures"] = invalid(whole)
    report["pods"] = compare_pods(expected_pods(config, flow), found, shared)
    for name, pod in found.items():
        lost = ", ".join(key for key in pod if bare[name].get(key) != pod[key])
        if lost:
            note = f"a hand-made `argo-workflows create` leaves off {name}: {lost}"
            report["notes"].append(note)
    if never := ", ".join(sorted(NEVER_ON_HOOKS & shared.keys())):
        report["notes"].append(f"not on the pods of hooks, for Metaflow has no way: {never}")
    return report


def invalid(template: Mapping[str, Any]) -> list[str]:
    """Give what Argo's schema does not allow in a manifest, a line each."""
    from hera.workflows.models import WorkflowTemplate
    from pydantic import ValidationError

    try:
        WorkflowTemplate.model_validate(template)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        return [f"Argo's schema: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong]
    return []


def compare_pods(
    expected: Mapping[str, Pod], found: Mapping[str, Pod], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Give for each pod a table of its settings: `expected`, `found`, `equal` and `override`.

    Every pod of a step must be there; of the others, those that are there are compared.
    """
    usual, report = step_pod(shared, PLAIN_STEP), {}
    for name in [*expected, *(found.keys() - expected.keys())]:
        want, has = expected.get(name), found.get(name)
        if want and has:
            report[name] = compare(want, without_theirs(has, expected), usual)
        elif has or "cpu" in (want or {}):  # else it is a hook that is turned off
            both = {"expected": want and "a pod", "found": has and "a pod"}
            report[name] = {"pod": {**both, "equal": False, "override": False}}
    return report


def compare(want: Pod, has: Pod, usual: Pod) -> dict[str, Any]:
    of_step = "cpu" in want
    return {
        key: {
            "expected": want.get(key),
            "found": has.get(key),
            "equal": want.get(key) == has.get(key),
            "override": of_step and want.get(key) != usual.get(key),
        }
        for key in sorted({*want, *has, *usual} if of_step else {*want, *has} - OWN_OF_HOOKS)
    }


def without_theirs(pod: Pod, expected: Mapping[str, Pod]) -> Pod:
    pod = dict(pod)
    for key in ("labels", "annotations"):
        ours = {name for one in expected.values() for name in one.get(key, {})}
        kept = pod.pop(key, {}).items()
        kept = {name: value for name, value in kept if name in ours or not name.startswith(THEIRS)}
        pod |= {key: kept} if kept else {}
    return pod
