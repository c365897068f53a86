"""Compares the pods of flows with what k8s.toml and the flows' own overrides demand."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import PACKAGE, ROOT, Problem
from .compile import compile_flows
from .expect import expected_pods, read_config, shared_settings, step_pod
from .pods import SIZES, Pod, complete, workflow_pods

# what Metaflow and Argo put on pods themselves
THEIRS = ("metaflow/", "workflows.argoproj.io/", "app.kubernetes.io/", "task_id_", "num_parallel")
PLAIN_STEP = {"overrides": [], "resources": {}, "timeout": None}
NOT_ON_HOOKS = {*SIZES, "qos", "timeout"}  # Metaflow gives hook pods fixed, small ones
NEVER_ON_HOOKS = {"image_pull_policy", "labels", "annotations", "security_context"}


def find_flows(names: Sequence[str], root: Path = ROOT) -> list[Path]:
    """Give the files that `names` stand for: a file, or the name of one in flows/; all if empty.

    Raises Problem for what is not there.
    """
    files = sorted(path for path in root.glob("flows/**/*.py"))
    if not names and not files:
        raise Problem("no flow in flows/: put one there, or name a file")
    found = []
    for name in names:
        by_name = [file for file in files if file.stem == name or file.name == name]
        if len(by_name) != 1 and not Path(name).is_file():
            known = ", ".join(sorted(file.stem for file in files)) or "no flow"
            several = "several files of this name" if by_name else "no such flow or file"
            raise Problem(f"{name}: {several}; in flows/ there is {known}")
        found.append(Path(name) if Path(name).is_file() else by_name[0])
    return [path.resolve() for path in found] or files


def check_flows(files: Sequence[Path], root: Path = ROOT, **how: Any) -> Iterator[dict[str, Any]]:
    """Give a report for each file, as it is done; the format is in README.md.

    `how` goes to `compile_flows`. Raises Problem if k8s.toml cannot be read or nothing compiles.
    """
    config = read_config(root / "k8s.toml")
    try:
        for result in compile_flows(files, root, **how):
            yield check_flow(result, config)
    except OSError as error:
        raise Problem(f"Metaflow does not start: {error}") from error


def check_flow(result: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Give the report on what one flow compiled to (see `compile_flows`)."""
    report, flow = start_report(result), result.get("flow")
    if report["error"] or report["failures"] or not flow:
        return report
    shared = shared_settings(config)
    whole = complete(result["template"], shared)
    bare, found = workflow_pods(result["template"]), workflow_pods(whole)
    report["failures"] = invalid(whole)
    report["pods"] = compare_pods(expected_pods(config, flow), found, shared)
    report["notes"] = notes(bare, found, shared)
    return report


def start_report(result: Mapping[str, Any], of: str = "compiled") -> dict[str, Any]:
    """Give the report on a flow before its pods are compared."""
    flow = result.get("flow") or {"name": None, "derives": True, "steps": {}}
    report = {"file": result["file"], "flow": flow["name"], "of": of, "error": result["error"]}
    report |= {"log": result["log"], "notes": [], "failures": [], "pods": {}}
    if not result["error"] and not result.get("flow"):
        report["notes"] = ["no flow is started in this file"]
    if not flow["derives"]:
        fix = f"class {flow['name']}(BaseFlow), with `from {PACKAGE.name} import BaseFlow`"
        report["failures"] = [f"does not derive from BaseFlow, so k8s.toml is lost: write {fix}"]
    elif not result["error"]:
        report["next"] = {name: step["next"] for name, step in flow["steps"].items()}
    return report


def notes(bare: dict[str, Pod], found: dict[str, Pod], shared: Any) -> list[str]:
    said = []
    for name, pod in found.items():
        lost = [key for key in pod if bare[name].get(key) != pod[key]]
        if lost:
            said.append(f"a hand-made `argo-workflows create` leaves off {name}: {', '.join(lost)}")
    never = NEVER_ON_HOOKS.intersection(shared)
    if never:
        said.append(f"Metaflow gives hook pods none of this: {', '.join(sorted(never))}")
    return said


def invalid(template: Mapping[str, Any]) -> list[str]:
    """Give what Argo's schema does not allow in a manifest, a line each."""
    from hera.workflows.models import WorkflowTemplate
    from pydantic import ValidationError

    try:
        WorkflowTemplate.model_validate(template)
    except ValidationError as error:
        return [
            f"Argo's schema: {'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False)
        ]
    return []


def compare_pods(
    expected: Mapping[str, Pod], found: Mapping[str, Pod], shared: Mapping[str, Any]
) -> dict[str, Any]:
    """Give for each pod a table of its settings: `expected`, `found`, `equal` and `override`.

    Every pod of a step must be there; of the others, those that are there are compared.
    """
    usual = step_pod(shared, PLAIN_STEP)
    ours = {
        key: {name for pod in expected.values() for name in pod.get(key, {})}
        for key in ("labels", "annotations")
    }
    report: dict[str, Any] = {}
    for name in [*expected, *(found.keys() - expected.keys())]:
        want, has = expected.get(name, {}), dict(found.get(name, {}))
        of_step = "cpu" in want
        if not want or not has:
            if want and not of_step:
                continue  # a hook that is turned off
            report[name] = {"pod": setting("in the code" if want else None, has and "there", False)}
            continue
        for key, names in ours.items():
            has[key] = {
                one: value
                for one, value in has.get(key, {}).items()
                if one in names or not one.startswith(THEIRS)
            }
        report[name] = {
            key: setting(want.get(key), has.get(key), of_step and want.get(key) != usual.get(key))
            for key in sorted({*want, *has} - (set() if of_step else NOT_ON_HOOKS))
            if want.get(key) or has.get(key)
        }
    return report


def setting(expected: Any, found: Any, override: bool) -> dict[str, Any]:
    found = found or None
    equal = expected == found
    return {"expected": expected, "found": found, "equal": equal, "override": override}
