"""The pull secrets are of a type that Kubernetes pulls images with, for the images' registries.

A Secret of another type than kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg is ignored
without a word, and the image is pulled without a login; so is a login for another registry than
the image's, which does no harm if the image is public. The type of a Secret cannot be changed: it
has to be made again.
(https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets)

Only the type and the names of the registries are looked at, never a user or a password.
"""

from collections.abc import Iterator

from ...cluster.view import ACCOUNTS
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination
from ..pull_secrets import (
    KEYS,
    PULL_SECRETS,
    create_command,
    has_login,
    pull_secrets_of,
    registries_of,
)

NEEDS = ("pull-secret-exists",)
READS = (PULL_SECRETS.get, ACCOUNTS.get)


def examine(case: Examination) -> Iterator[Answer]:
    usable: dict[str, set[FlowPod]] = {}  # pods that a Secret has a login for
    for name, pods in case.pods_by(lambda pod: pull_secrets_of(case, pod)):
        secret = case.view.get(PULL_SECRETS, name)
        if not secret:
            continue  # pull-secret-exists could not tell, or it was deleted since
        again = f"{case.kubectl(f'delete secret {name}')} && {create_command(case, name, pods)}"
        if secret["type"] not in KEYS:
            types = " or ".join(KEYS)
            yield problem(f"Secret {name} has type {secret['type']}, not {types}", pods, again)
        elif secret["registries"] is None:
            what = f"Secret {name} has no logins under {KEYS[secret['type']]} that can be read"
            yield problem(what, pods, again)
        else:
            usable[name] = {pod for pod in pods if has_login(secret, pod)}
            if fine := [pod for pod in pods if pod in usable[name]]:
                yield ok(f"{name}: {', '.join(secret['registries'])}", fine)
    for name, pods in case.pods_by(lambda pod: pull_secrets_of(case, pod)):
        without = [pod for pod in pods if not any(pod in fine for fine in usable.values())]
        if name in usable and without:
            registries = ", ".join(registries_of(without))
            if case.target.environment.name == "kind":  # whose nodes have the image
                yield ok(f"{name}: no login for {registries}", without)
            else:
                what = f"Secret {name} has no login for {registries}: is the image public?"
                yield cannot_tell(what, without)
