"""Says what a change does to the pods: this tree against another revision of it."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import ROOT, Problem
from .check import find_flows, without_theirs
from .compile import compile_flows
from .environment import shown
from .expect import read_config, shared_settings
from .pods import complete, step_name, workflow_pods

OF_METAFLOW = ("METAFLOW_", "ARGO_", "MF_")  # its own variables differ from one time to the next
WORKFLOW = "(workflow)"
UV = os.environ.get("UV", "uv")


def plan(reference: str = "", root: Path = ROOT) -> dict[str, Any]:
    """Give what differs between a revision and this tree, uncommitted changes included.

    `against` is the revision; `added` and `removed` are flows; `changes` have `flow`, `pod`,
    `setting`, `old` and `new`; `unchanged` are the other pods, by flow; `notes` are lines. Raises
    Problem for an unknown revision, and for a flow of this tree that does not compile.
    """
    with revision(reference, root) as (name, tree, python):
        new, problems = compiled(find_flows((), root), root)
        if problems:
            raise Problem(problems[0])
        files = sorted(tree.glob("flows/**/*.py"))
        old, problems = compiled(files, tree, python=python, source=tree / "src")
    found = differences(old, new)
    return {**found, "against": name, "notes": [f"at {name}: {problem}" for problem in problems]}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Give what differs between the pods of flows, in the words of `plan`."""
    changes: list[dict[str, Any]] = []
    unchanged: dict[str, list[str]] = {}
    for flow in sorted(new.keys() & old.keys()):
        for pod in {**new[flow], **old[flow]}:
            before, after = old[flow].get(pod, {}), new[flow].get(pod, {})
            keys = [key for key in {**after, **before} if before.get(key) != after.get(key)]
            at = {"flow": flow, "pod": pod}
            changes += [
                {**at, "setting": key, "old": before.get(key), "new": after.get(key)}
                for key in keys
            ]
            if not keys and pod != WORKFLOW:
                unchanged.setdefault(flow, []).append(pod)
    return {
        "version": 1,
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changes": changes,
        "unchanged": unchanged,
        "notes": [],
    }


def compiled(files: list[Path], root: Path, **how: Any) -> tuple[dict[str, Any], list[str]]:
    """Give the pods of each flow by its name, and why the others do not compile."""
    flows, problems = {}, []
    shared = shared_settings(read_config(root / "k8s.toml")) if files else {}
    for result in compile_flows(files, root, **how) if files else ():
        if result["error"]:
            problems.append(f"{Path(result['file']).relative_to(root)}: {result['error']}")
        elif result["flow"]:
            pods = settings(complete(result["template"], shared))
            order = {**result["flow"]["steps"], **pods}
            flows[result["flow"]["name"]] = {pod: pods[pod] for pod in order if pod in pods}
    return flows, problems


def settings(template: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a change may be about: the pods' settings, their own variables, the workflow's.

    What differs between two compilations of one revision is all elsewhere: times, tokens, the
    code package and random names are in the pods' commands and Metaflow's variables.
    """
    spec, annotations = template["spec"], template["metadata"]["annotations"]
    pods = {name: without_theirs(pod, {}) for name, pod in workflow_pods(template).items()}
    for one in spec["templates"]:
        variables = (one.get("container") or {}).get("env") or ()
        named = {v["name"]: v["value"] for v in variables}
        own = {k: shown(k, v) for k, v in named.items() if not k.startswith(OF_METAFLOW)}
        pod = pods.get(step_name(one) or "", {})
        pod |= {"environment": own, "retry": (one.get("retryStrategy") or {}).get("limit")}
    parameters = {one["name"]: one["value"] for one in spec["arguments"]["parameters"]}
    of_all = {key: annotations.get(f"metaflow/{key}") for key in ("cron", "triggers")}
    return pods | {WORKFLOW: {**of_all, "parameters": parameters}}


@contextlib.contextmanager
def revision(reference: str, root: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Give a revision's name, its files, and the command for a Python with its dependencies."""
    name = reference or git(root, "merge-base", "HEAD", "origin/main", check=False)[:12] or "HEAD"
    commit = git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
    if not commit:
        raise Problem(f"no revision {name} in this repository")
    prefix = git(root, "rev-parse", "--show-prefix")
    python = [sys.executable]
    if git(root, "diff", "--name-only", commit, "--", "pyproject.toml", "uv.lock"):
        python = [UV, "run", "--quiet", "--with", "moto[s3]", "python"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            git(root, "worktree", "add", "--detach", folder, commit)
            yield name, Path(folder, prefix).resolve(), python
        finally:
            git(root, "worktree", "remove", "--force", folder, check=False)


def git(root: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if check and done.returncode:
        raise Problem(f"git {arguments[0]}: {done.stderr}")
    return done.stdout.strip()
