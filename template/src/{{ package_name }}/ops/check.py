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
    flow = result.get("flow") or {}
    report = {"file": result["file"], "flow": flow.get("name"), "error": result["error"]}
    report |= {"log": result.get("log", ""), "notes": [], "failures": [], "pods": {}, "next": {}}
    if report["error"] or not flow:
        return report
    if not flow["derives"]:
        fix = f"class {flow['name']}(BaseFlow), with `from {PACKAGE.name} import BaseFlow`"
        report["failures"] = [f"does not derive from BaseFlow, so k8s.toml is lost: write {fix}"]
        return report
    shared = shared_settings(config)
    whole = complete(result["template"], shared)
    report["failures"] = invalid(whole)
    expected, found = expected_pods(config, flow), workflow_pods(whole)
    report["pods"] = compare_pods(expected, found, shared)
    report["next"] = {name: step["next"] for name, step in flow["steps"].items()}
    report["notes"] = notes(workflow_pods(result["template"]), found, shared, flow)
    return report


def notes(bare: dict[str, Pod], found: dict[str, Pod], shared: Any, flow: Any) -> list[str]:
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
    expected: Mapping[str, Pod],
    found: Mapping[str, Pod],
    shared: Mapping[str, Any],
    live: bool = False,
) -> dict[str, Any]:
    """Give for each pod a table of its settings: `expected`, `found`, `equal` and `override`.

    Every expected pod of a step must be there; of the hooks' pods, those that are there are
    compared. `live` leaves out what a cluster adds by itself.
    """
    usual = step_pod(shared, PLAIN_STEP)
    ours = {
        key: {name for pod in expected.values() for name in pod.get(key, {})}
        for key in ("labels", "annotations")
    }
    report = {}
    for name in {**found, **expected}:
        want, has = dict(expected.get(name, {})), dict(found.get(name, {}))
        if not has and "image" in want and "timeout" not in want:
            continue  # a hook that was turned off
        if has and not want:
            report[name] = {"pod": difference(None, "not in the code")}
            continue
        if want and not has:
            report[name] = {"pod": difference("there", None)}
            continue
        for key, names in ours.items():
            has[key] = {
                one: value
                for one, value in has.get(key, {}).items()
                if one in names or not (live or one.startswith(THEIRS))
            }
        settings = sorted({*want, *has} - (set() if "timeout" in want else NOT_ON_HOOKS))
        report[name] = {
            key: {
                "expected": want.get(key),
                "found": has.get(key) or None,
                "equal": want.get(key) == (has.get(key) or None),
                "override": "timeout" in want and want.get(key) != usual.get(key),
            }
            for key in settings
        }
        report[name] = {
            key: one
            for key, one in report[name].items()
            if one["expected"] is not None or one["found"] is not None
        }
    return report


def difference(expected: Any, found: Any) -> dict[str, Any]:
    return {"expected": expected, "found": found, "equal": False, "override": False}
