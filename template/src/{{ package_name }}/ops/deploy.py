"""Deploys flows to Argo Workflows, with each of their pods configured."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import PACKAGE, ROOT, Problem
from .check import check_flows
from .expect import read_config, shared_settings
from .live import ARGO, api, check_live, get, refusals
from .plan import differences, settings
from .report import Report, is_equal, show

Request = tuple[str, dict[str, Any]]  # a method of CustomObjectsApi, and its arguments


def deploy(results: Sequence[Mapping[str, Any]], dry_run: bool = False) -> list[dict[str, Any]]:
    """Write the WorkflowTemplate, CronWorkflow and Sensor of each compiled flow.

    Give the WorkflowTemplates. Nothing is written unless all flows pass the check, Metaflow
    succeeds and the server accepts all of it in a dry run. With `dry_run` that is all, but for the
    code packages, which Metaflow uploads. Raises Problem with what is wrong.
    """
    from kubernetes import client  # type: ignore  # it has no types

    must_be_equal(check_flows(results))
    requests = [request for result in results for request in tried(result)]
    templates = [one["body"] for _, one in requests if one["plural"] == "workflowtemplates"]
    must_be_equal(check_live(results, "", None, templates))
    custom = client.CustomObjectsApi(api())
    for method, request in () if dry_run else requests:
        with refusals(f"write {request['plural']} in namespace {request['namespace']}"):
            if method.startswith("replace") and request["plural"] == "cronworkflows":
                # Argo writes into it at each of its runs, so what the dry run read may be old
                where = {key: value for key, value in request.items() if key != "body"}
                there = custom.get_namespaced_custom_object(**where)["metadata"]["resourceVersion"]
                request["body"]["metadata"]["resourceVersion"] = there
            getattr(custom, method)(**request)
    return templates


def tried(result: Mapping[str, Any]) -> list[Request]:
    """Give what Metaflow would write of a flow, complete, once the server has tried it."""
    file = os.path.relpath(result["file"])
    if not result["flow"]:
        raise Problem(f"no flow is started in {file}")
    shared = json.dumps(shared_settings(read_config(ROOT / "k8s.toml")))
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "held.json")
        script = [sys.executable, "-P", "-m", f"{PACKAGE.name}.ops.submit"]
        command = [*script, result["file"], str(held), shared]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            said = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
            raise Problem(f"{file}: {' '.join(filter(None, said[-4:]))}")
        return json.loads(held.read_text())


def must_be_equal(reports: Iterable[Report]) -> None:
    """Show the reports that have a difference, and raise Problem if there are any."""
    different = [one for one in reports if not is_equal(one)]
    show(different, markdown=False)
    for one in different:
        raise Problem(one["error"] or f"{one['flow']} ({one['of']}) is not as k8s.toml says")


def change(template: Mapping[str, Any]) -> dict[str, Any]:
    """Give what `template` would change of what is deployed under its name, in `plan`'s words."""
    name, namespace = (template["metadata"][key] for key in ("name", "namespace"))
    there = {one["metadata"]["name"]: one for one in get(f"{ARGO}/{namespace}/workflowtemplates")}
    old = {name: settings(there[name])} if name in there else {}
    return differences(old, {name: settings(template)}) | {"against": "deployed"}
