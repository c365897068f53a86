"""The Secrets that pods take variables or files from are there.

A pod whose Secret is missing is scheduled, and its container waits in CreateContainerConfigError
until somebody makes the Secret, or with ContainerCreating where a file is mounted of it. Secrets
are named by `secrets` in k8s.toml, by @k8s(secrets=…) on a step, and by
METAFLOW_KUBERNETES_SECRETS; each key of one becomes a variable of the pod.
(https://kubernetes.io/docs/concepts/configuration/secret/#using-a-secret)

The values in the command are yours to fill in, and so are the keys that are written in capitals.
What the pods' code reads from their environment says which are needed, as AWS_ACCESS_KEY_ID.
"""

from collections.abc import Iterator

from ...cluster.view import SECRETS
from ...pods.secret_uses import secret_uses
from ..answers import Answer, ok, problem
from ..examination import Examination

NEEDS = ("namespace-exists",)
READS = (SECRETS.get,)


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(lambda pod: {use.name for use in secret_uses(pod.manifest)}):
        if case.view.get(SECRETS, name):
            yield ok(name, pods)
            continue
        uses = [use for pod in pods for use in secret_uses(pod.manifest) if use.name == name]
        keys = list(dict.fromkeys(key for use in uses for key in use.keys)) or ["KEY"]
        literals = " ".join(f"--from-literal={key}=VALUE" for key in keys)
        what = f"there is no Secret {name} in namespace {case.namespace}"
        command = case.kubectl(f"create secret generic {name} {literals}")
        note = "one --from-literal for each variable of the pods, like AWS_ACCESS_KEY_ID"
        yield problem(what, pods, f"{command}  # {note}")
