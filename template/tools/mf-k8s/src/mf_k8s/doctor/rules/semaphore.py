"""The semaphores of the workflows have a limit.

`synchronization` below [workflow] in k8s.toml names a key of a ConfigMap, whose value says how many
workflows may run side by side. Where the ConfigMap, or the key, is missing, Argo fails the run
before its first step; with a limit of 0 it stays pending.
(https://argo-workflows.readthedocs.io/en/latest/synchronization/)

The command sets a limit of 1: write another number for more workflows at a time. It is read each
time that a workflow waits, so it may be changed while runs go on.
"""

import json
import shlex
from collections.abc import Iterator

from ...cluster.view import CONFIG_MAPS
from ...pods.argo_controller import Controller
from ...pods.argo_pods import whole_spec
from ...pods.project_labels import annotation
from ...pods.read_pods import Manifest
from ..answers import Answer, ok, problem
from ..examination import Examination

NEEDS = ("namespace-exists",)
READS = (CONFIG_MAPS.get,)


def examine(case: Examination) -> Iterator[Answer]:
    flows: dict[tuple[str, str], set[str]] = {}
    for template in case.templates:
        for name_and_key in semaphores(whole_spec(template, case.controller or Controller())):
            flows.setdefault(name_and_key, set()).add(annotation(template, "flow_name"))
    for (name, key), names in sorted(flows.items()):
        pods = [pod for pod in case.pods if pod.flow in names]
        if pods:
            config_map = case.view.get(CONFIG_MAPS, name)
            limit = ((config_map or {}).get("data") or {}).get(key)
            what = wrong(case, config_map, name, key, limit)
            if what:
                yield problem(what, pods, remedy(case, config_map, name, key))
            else:
                yield ok(f"{key} of {name}: {limit} at a time", pods)


def semaphores(spec: Manifest) -> Iterator[tuple[str, str]]:
    """Yield ConfigMap and key of each semaphore that a workflow or one of its templates waits for.

    Before Argo 3.6 there was only `semaphore`, a single one.
    """
    for item in (spec, *spec["templates"]):
        synchronization = item.get("synchronization") or {}
        for semaphore in (
            *(synchronization.get("semaphores") or ()),
            synchronization.get("semaphore") or {},
        ):
            reference = semaphore.get("configMapKeyRef") or {}
            name, key = reference.get("name", ""), reference.get("key", "")
            if name and "{{" not in name + key:
                yield name, key


def wrong(
    case: Examination, config_map: Manifest | None, name: str, key: str, limit: str | None
) -> str:
    """Return what is wrong with a semaphore, or an empty text."""
    if not config_map:
        return f"there is no ConfigMap {name} in namespace {case.namespace} for a semaphore"
    if limit is None:
        return f"the ConfigMap {name} has no key {key} for a semaphore"
    if not limit.strip().isdecimal():
        return f"{key} in the ConfigMap {name} is {limit!r}, and must be a number of workflows"
    if not int(limit):
        return f"{key} in the ConfigMap {name} is 0: no workflow may run"
    return ""


def remedy(case: Examination, config_map: Manifest | None, name: str, key: str) -> str:
    if not config_map:
        return case.kubectl(f"create configmap {name} --from-literal={key}=1")
    patch = shlex.quote(json.dumps({"data": {key: "1"}}))
    return case.kubectl(f"patch configmap {name} --type=merge -p {patch}")
