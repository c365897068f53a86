"""What a pod needs of Secrets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .argo_secrets import TOKEN
from .limits import containers_of
from .read_pods import Manifest

# Of an environment variable, before Kubernetes 1.32: IsEnvVarName of its apimachinery.
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


@dataclass(frozen=True)
class SecretUse:
    """A Secret that a pod cannot start without."""

    name: str
    keys: tuple[str, ...] = ()  # that it must have
    as_variables: bool = False  # each key becomes a variable


def secret_uses(pod: Manifest) -> Iterator[SecretUse]:
    """Yield what a pod takes of Secrets.

    But for what is optional, for pull secrets, and for the tokens that Argo mounts, which no one
    writes by hand.
    """
    for container in containers_of(pod):
        for source in container.get("envFrom") or ():
            reference = source.get("secretRef") or {}
            if reference.get("name") and not reference.get("optional"):
                yield SecretUse(reference["name"], as_variables=True)
        for variable in container.get("env") or ():
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
            if reference.get("name") and not reference.get("optional"):
                yield SecretUse(reference["name"], (reference["key"],))
    for volume in pod["spec"].get("volumes") or ():
        sources = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for secret in filter(None, (source.get("secret") for source in sources)):
            keys = tuple(item["key"] for item in secret.get("items") or ())
            name = secret.get("secretName") or secret.get("name")
            if name and not secret.get("optional") and not name.endswith(TOKEN):
                yield SecretUse(name, keys)


def pull_secrets(pod: Manifest) -> list[str]:
    """Return the Secrets that a pod names to pull its images with."""
    named = pod["spec"].get("imagePullSecrets") or ()
    return [secret["name"] for secret in named if secret.get("name")]


def images(pod: Manifest) -> list[str]:
    return [container["image"] for container in containers_of(pod) if container.get("image")]
