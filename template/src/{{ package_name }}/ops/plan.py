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
from .check import find_flows
from .compile import compile_flows
from .expect import read_config, shared_settings
from .pods import complete, step_name, workflow_pods

Flow = dict[str, dict[str, Any]]  # settings of the pods, by their names
THEIRS = ("METAFLOW_", "ARGO_", "MF_")
UV = os.environ.get("UV", "uv")


def plan(reference: str = "", root: Path = ROOT) -> dict[str, Any]:
    """Give what differs between a revision and this tree, uncommitted changes included.

    `against` is the revision; `added` and `removed` are lists of flows; `changes` a list of `flow`,
    `pod`, `setting`, `old` and `new`; `unchanged` the pods with no change, by flow; `notes` lines.
    Raises Problem for an unknown revision, and if a flow of this tree does not compile.
    """
    new, problems = compiled(find_flows((), root), root)
    if problems:
        raise Problem(problems[0])
    with revision(reference, root) as (name, tree, python):
        files = sorted(tree.glob("flows/**/*.py"))
        old, problems = compiled(files, tree, python=python, source=tree / "src")
    result: dict[str, Any] = {"version": 1, "against": name, "changes": [], "unchanged": {}}
    result |= {"added": sorted(new.keys() - old.keys()), "removed": sorted(old.keys() - new.keys())}
    result["notes"] = [f"at {name}: {problem}" for problem in problems]
    for flow in sorted(new.keys() & old.keys()):
        for pod in {**new[flow], **old[flow]}:
            before, after = old[flow].get(pod, {}), new[flow].get(pod, {})
            changes = [
                {"flow": flow, "pod": pod, "setting": key, "old": before.get(key), "new": after.get(key)}
                for key in sorted({*before, *after})
                if before.get(key) != after.get(key)
            ]
            result["changes"] += changes
            if not changes:
                result["unchanged"].setdefault(flow, []).append(pod)
    return result


def compiled(files: list[Path], root: Path, **how: Any) -> tuple[dict[str, Flow], list[str]]:
    """Give the pods of each flow by its name, and why the others do not compile."""
    flows, problems = {}, []
    shared = shared_settings(read_config(root / "k8s.toml")) if files else {}
    try:
        for result in compile_flows(files, root, **how):
            if result["error"]:
                problems.append(f"{Path(result['file']).relative_to(root)}: {result['error']}")
            elif result["flow"]:
                flows[result["flow"]["name"]] = settings(complete(result["template"], shared))
    except OSError as error:
        raise Problem(f"Metaflow does not start in {root}: {error}") from error
    return flows, problems


def settings(template: Mapping[str, Any]) -> Flow:
    """Give what a change may be about: the pods' settings, their own variables, and the workflow's.

    Nothing of what differs between two compilations of one revision is in it: times, tokens, the
    code package and random names are all in the pods' commands and Metaflow's own variables.
    """
    spec, annotations = template["spec"], template["metadata"]["annotations"]
    pods = workflow_pods(template)
    for one in spec["templates"]:
        variables = (one.get("container") or {}).get("env") or ()
        own = {v["name"]: v["value"] for v in variables if not v["name"].startswith(THEIRS)}
        extra = {"environment": own, "retry": (one.get("retryStrategy") or {}).get("limit")}
        pods.get(step_name(one) or one["name"], {}).update(extra)
    given = {one["name"]: one["value"] for one in spec["arguments"]["parameters"]}
    pods["workflow"] = {"parameters": given, "max_workers": spec["parallelism"]}
    pods["workflow"] |= {key: annotations.get(f"metaflow/{key}") for key in ("cron", "triggers")}
    return pods


@contextlib.contextmanager
def revision(reference: str, root: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Give a revision's name, its files, and the command for a Python with its dependencies."""
    default = git(root, "merge-base", "HEAD", "origin/main", check=False) or "HEAD"
    commit = git(root, "rev-parse", "--verify", "--quiet", f"{reference or default}^{{commit}}", check=False)
    if not commit:
        raise Problem(f"no revision {reference or default} in this repository")
    prefix = git(root, "rev-parse", "--show-prefix")
    same = git(root, "diff", "--name-only", commit, "--", "pyproject.toml", "uv.lock") == ""
    with tempfile.TemporaryDirectory() as folder:
        try:
            git(root, "worktree", "add", "--quiet", "--detach", folder, commit)
            tree = Path(folder, prefix).resolve()
            own = [UV, "run", "--quiet", "--project", str(tree), "--with", "moto[s3]", "python"]
            yield reference or default[:10], tree, [sys.executable] if same else own
        finally:
            git(root, "worktree", "remove", "--force", folder, check=False)


def git(root: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if check and done.returncode:
        raise Problem(f"git {arguments[0]}: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
