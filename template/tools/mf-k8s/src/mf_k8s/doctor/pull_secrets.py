"""The Secrets that a pod's images are pulled with: its own, or else its service account's."""

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from ..cluster.rights import Kind
from ..cluster.view import ACCOUNTS
from ..image.registry_logins import is_for
from ..pods.image_names import image_name
from ..pods.secret_uses import images, pull_secrets
from .answers import FlowPod
from .examination import Examination

EXECUTOR = r"/argoexec\b"
KEYS = {  # by the type of a Secret: https://kubernetes.io/docs/concepts/configuration/secret/
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}


def without_logins(secret: dict[str, Any]) -> dict[str, Any]:
    """Return a Secret's name, type and keys, and the registries that it has a login for.

    `registries` is None where its text cannot be read.
    """
    data = secret.get("data") or {}
    key = KEYS.get(secret.get("type", ""), "")
    registries: list[str] | None = None
    try:
        content = json.loads(base64.b64decode(data.get(key, "")))
        registries = [*(content["auths"] if key == ".dockerconfigjson" else content)]
    except (ValueError, KeyError, TypeError):
        pass
    kept = {"name": secret["metadata"]["name"]}
    return {"metadata": kept, "type": secret.get("type"), "keys": [*data], "registries": registries}


PULL_SECRETS = Kind("v1", "secrets", slim=without_logins)


def pull_secrets_of(case: Examination, pod: FlowPod) -> list[str]:
    """Return the names; Kubernetes gives a pod those of its account only if it names none.

    Raise NotAllowed if the account cannot be read.
    """
    if named := pull_secrets(pod.manifest):
        return named
    account = case.view.get(ACCOUNTS, pod.account) or {}
    return [secret["name"] for secret in account.get("imagePullSecrets") or ()]


def registries_of(pods: Iterable[FlowPod]) -> list[str]:
    """Return the registries of the images of pods."""
    return list(
        dict.fromkeys(image_name(image).registry for pod in pods for image in images_of(pod))
    )


def images_of(pod: FlowPod) -> list[str]:
    """Return the images of a step: that of Argo's executor comes from elsewhere."""
    return [image for image in images(pod.manifest) if not re.search(EXECUTOR, image)]


def has_login(secret: dict[str, Any], pod: FlowPod) -> bool:
    """Return whether a Secret has a login for the image of a pod."""
    names = [image_name(image) for image in images_of(pod)]
    return all(any(is_for(key, name) for key in secret["registries"] or ()) for name in names)


def create_command(case: Examination, name: str, pods: Iterable[FlowPod]) -> str:
    """Return the command that makes a pull secret, to be filled in."""
    servers = registries_of(pods)
    server = servers[0] if servers else "REGISTRY"
    server = "https://index.docker.io/v1/" if server == "docker.io" else server
    command = case.kubectl(
        f"create secret docker-registry {name} --docker-server={server} --docker-username=USER"
        " --docker-password=PASSWORD"
    )
    return f"{command}  # USER and PASSWORD are a login there"
