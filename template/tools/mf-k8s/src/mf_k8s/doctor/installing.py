"""Commands that install, and change, what Argo Workflows and its friends run with."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..kind.installs import INSTALLS, argo_release, manifest_place
from ..pods.argo_controller import Controller
from .examination import Examination

NARROWING = ("namespaced", "managed-namespace")  # flags by which it watches one namespace


def install(case: Examination, name: str) -> str:
    """Return the command that installs ARGO, JOBSET or EVENTS."""
    place, namespace = manifest_place(case.project, name), INSTALLS[name][1]
    create = case.kubectl(f"create namespace {namespace} --dry-run=client -o yaml", False)
    apply = case.kubectl("apply -f -", False)
    how = f"apply --server-side --force-conflicts -n {namespace} -f {shlex.quote(place)}"
    return f"{create} | {apply} && {case.kubectl(how, False)}"


def own_controller(case: Examination, release: str) -> str:
    """Return the command that installs a controller of its own into the namespace of the runs."""
    path = INSTALLS["ARGO"][0].replace("/install.yaml", "/namespace-install.yaml")
    path = path.replace("ARGO_RELEASE", release or argo_release(case.project))
    return case.kubectl(f"apply --server-side -f https://github.com/{path}")


def watch_all_namespaces(case: Examination, controller: Controller) -> str:
    """Return the command by which a controller watches all namespaces, if its account may."""
    if controller.config.get("namespace") and controller.flags.get("namespaced") is None:
        return without_setting(case, controller, "namespace")
    attributes = {"verb": "list", "group": "argoproj.io", "resource": "workflows"}
    user = f"system:serviceaccount:{controller.namespace}:{controller.account}"
    spec = {"user": user, "resourceAttributes": attributes}
    status = case.view.review("subjectaccessreviews", spec)
    if not status or not status.get("allowed"):
        return own_controller(case, controller.release)
    container = controller.container
    changed: dict[str, Any] = {"name": container["name"]}
    for field in ("command", "args"):
        if container.get(field):
            changed[field] = without_flags(container[field])
    names = [f"ARGO_{flag.upper().replace('-', '_')}" for flag in NARROWING]
    if env := [
        {"name": name, "$patch": "delete"} for name in names if name in controller.variables
    ]:
        changed["env"] = env
    patch = {"spec": {"template": {"spec": {"containers": [changed]}}}}
    return patched(case, controller, f"deployment {controller.deployment}", patch)


def without_flags(words: list[str]) -> list[str]:
    """Return the words of a command without the flags that narrow what a controller watches."""
    kept: list[str] = []
    skip = False
    for word in words:
        name, has_value, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in NARROWING:
            skip = not has_value and name != "namespaced"
        elif not skip:
            kept.append(word)
        else:
            skip = False
    return kept


def without_setting(case: Examination, controller: Controller, name: str) -> str:
    """Return the command that takes a setting of one line out of a controller's ConfigMap."""
    data: dict[str, str | None] = {name: None}
    if "config" in controller.data:
        text = re.sub(rf"(?m)^{name}:.*\n?", "", controller.data["config"])
        data = {"config": text}
    patch = patched(case, controller, f"configmap {controller.config_map}", {"data": data})
    restart = f"-n {controller.namespace} rollout restart deployment {controller.deployment}"
    return f"{patch} && {case.kubectl(restart, False)}"


def patched(case: Examination, controller: Controller, what: str, patch: Mapping[str, Any]) -> str:
    kind = "strategic" if what.startswith("deployment") else "merge"
    text = shlex.quote(json.dumps(patch))
    words = f"-n {controller.namespace} patch {what} --type={kind} -p {text}"
    return case.kubectl(words, namespaced=False)
