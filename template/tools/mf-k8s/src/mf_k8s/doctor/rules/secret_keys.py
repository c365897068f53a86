"""The Secrets have the keys that pods need, and each key can be a variable of theirs.

A container that names a key which its Secret lacks waits in CreateContainerConfigError. Before
Kubernetes 1.32, a key that is no name of a variable, like `1st-key`, is left out of the pod without
an error, and only an event, InvalidEnvironmentVariableNames, says so; from then on every key gets
through. (https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data,
https://www.kubernetes.dev/resources/keps/4369/)

Values are never read. The command that renames a key moves its value within the Secret.
"""

import json
from collections.abc import Iterator
from typing import Any

from ...cluster.server_version import minor_version
from ...cluster.view import SECRETS
from ...pods.secret_uses import VARIABLE, SecretUse, secret_uses
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination

NEEDS = ("secret-exists",)
READS = (SECRETS.get,)
ANY_KEY = 32  # minor version of Kubernetes from which on every key becomes a variable


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(lambda pod: {use.name for use in secret_uses(pod.manifest)}):
        keys = set((case.view.get(SECRETS, name) or {}).get("data") or ())
        stopped: set[FlowPod] = set()
        for answer in [*missing(case, name, keys, pods), *unusable(case, name, keys, pods)]:
            stopped |= {*answer.pods}
            yield answer
        if fine := [pod for pod in pods if pod not in stopped]:
            yield ok(f"{name}: {', '.join(sorted(keys)) or 'no keys'}", fine)


def uses_of(pod: FlowPod, name: str) -> list[SecretUse]:
    return [use for use in secret_uses(pod.manifest) if use.name == name]


def missing(case: Examination, name: str, keys: set[str], pods: list[FlowPod]) -> Iterator[Answer]:
    """Yield the keys that a Secret lacks."""
    needed: dict[str, list[FlowPod]] = {}
    for pod in pods:
        for key in {key for use in uses_of(pod, name) for key in use.keys} - keys:
            needed.setdefault(key, []).append(pod)
    if needed:
        what = f"the Secret {name} has no key {', '.join(sorted(needed))}"
        patch = {"stringData": dict.fromkeys(sorted(needed), "VALUE")}
        stopped = dict.fromkeys(pod for each in needed.values() for pod in each)
        command = patch_secret(case, name, "merge", patch)
        yield problem(what, stopped, f"{command}  # VALUE is yours to fill in")


def unusable(case: Examination, name: str, keys: set[str], pods: list[FlowPod]) -> Iterator[Answer]:
    """Yield the keys that Kubernetes leaves out, because they are no names of variables."""
    invalid = sorted(key for key in keys if not VARIABLE.fullmatch(key))
    using = [pod for pod in pods if any(use.as_variables for use in uses_of(pod, name))]
    if invalid and using and minor_version(case.view) < ANY_KEY:
        what = f"pods do not get {', '.join(invalid)} of Secret {name}: no name of a variable"
        moves = [
            {"op": "move", "from": f"/data/{key}", "path": f"/data/{as_variable(key)}"}
            for key in invalid
        ]
        yield problem(what, using, patch_secret(case, name, "json", moves))


def as_variable(key: str) -> str:
    return f"_{key}"


def patch_secret(case: Examination, name: str, kind: str, patch: Any) -> str:
    return case.kubectl(f"patch secret {name} --type={kind} -p '{json.dumps(patch)}'")
