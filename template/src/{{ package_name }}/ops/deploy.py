"""Deploys flows to Argo Workflows, with each of their pods configured."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import PACKAGE, ROOT, Problem
from .check import check_flows
from .expect import read_config, shared_settings
from .live import ARGO, get
from .plan import differences, settings
from .report import Report, is_equal, show


def deploy(result: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
    """Check a compiled flow, then write its WorkflowTemplate, CronWorkflow and Sensor.

    Give the WorkflowTemplate. Nothing is written unless the check passes, Metaflow succeeds and the
    server accepts all of it in a dry run. With `dry_run` that is all, but for the code package,
    which Metaflow uploads. Raises Problem with what is wrong.
    """
    must_be_equal(check_flows([result]))
    shared = json.dumps(shared_settings(read_config(ROOT / "k8s.toml")))
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "held.json")
        script = [sys.executable, "-P", "-m", f"{PACKAGE.name}.ops.submit"]
        command = [*script, result["file"], str(held), shared, "dry-run" if dry_run else "write"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            raise Problem(f"{os.path.relpath(result['file'])}: {' '.join(filter(None, said[-4:]))}")
        written = json.loads(held.read_text())
    return next(one["body"] for one in written if one["plural"] == "workflowtemplates")


def must_be_equal(reports: Iterable[Report]) -> None:
    """Show the first report that has a difference, and raise Problem."""
    for one in reports:
        if not is_equal(one):
            show([one], markdown=False)
            raise Problem(one["error"] or f"{one['flow']} ({one['of']}) is not as k8s.toml says")


def change(template: Mapping[str, Any]) -> dict[str, Any]:
    """Give what `template` would change of what is deployed under its name, in `plan`'s words."""
    name, namespace = (template["metadata"][key] for key in ("name", "namespace"))
    there = {one["metadata"]["name"]: one for one in get(f"{ARGO}/{namespace}/workflowtemplates")}
    old = {name: settings(there[name])} if name in there else {}
    return differences(old, {name: settings(template)}) | {"against": "deployed"}
