"""Why a container of a pod waits, from its state, and what that means."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .read_pods import Manifest
from .reasons import Reason, Rule, first_reason
from .refusals import why_refused

PULLS = "kubectl -n {namespace} create secret docker-registry NAME --docker-server=HOST"
PULL = (
    Rule(
        "image-platform",
        r"no match for platform in manifest|no matching manifest for",
        "the image {image} is not built for the platform of the node",
        "build it for that platform: `uv run k8s image --push`",
    ),
    Rule(
        "image-pull",
        r"InvalidImageName|couldn't parse image",
        "{image} is no name of an image",
        "correct `image` in k8s.toml",
    ),
    Rule(
        "image-pull",
        r"no such host",
        "the image {image} cannot be pulled: its registry's host is not known there",
        "correct `image` in k8s.toml, or the cluster's DNS",
    ),
    Rule(
        "image-pull",
        r"(?i)x509|certificate",
        "the image {image} cannot be pulled: the nodes do not trust its registry's certificate",
        "give the nodes the registry's authority, or use another registry",
    ),
    Rule(
        "image-pull",
        r"(?i)toomanyrequests|429 Too Many",
        "the image {image} cannot be pulled now: its registry limits the rate of pulls",
        f"wait, or log in to it: `{PULLS} …`, and `image_pull_secrets` in k8s.toml",
        passes=True,
    ),
    Rule(
        "image-pull",
        r"(?i)unauthorized|authentication required|authorization failed|insufficient_scope"
        r"|denied|40[13] |no basic auth",
        "the image {image} cannot be pulled: its registry refuses the pod's login"
        " (pull secrets: {pull_secrets})",
        f"`{PULLS} --docker-username=USER --docker-password=PASSWORD`, and"
        ' `image_pull_secrets = ["NAME"]` in k8s.toml; some registries say so of an image that'
        " does not exist, too",
    ),
    Rule(
        "image-pull",
        r"(?i)not found|manifest unknown|404 ",
        "there is no image {image} in its registry",
        "build and push it: `uv run k8s image --push`, or correct `image` in k8s.toml",
    ),
    Rule(
        "image-pull",
        r"ErrImageNeverPull",
        "the image {image} is not on the node, and image_pull_policy is Never",
        'write image_pull_policy = "IfNotPresent" into k8s.toml',
    ),
    Rule(
        "image-pull",
        r"(?s)(?P<why>.+)",
        "the image {image} cannot be pulled: {why}",
        "`kubectl -n {namespace} describe pod {pod}` shows all of it",
    ),
)
OF_SECRETS = "kubectl -n {namespace} create secret generic {secret} --from-literal="
CONTAINER = (
    Rule(
        "secret-keys",
        r"couldn't find key (?P<key>\S+) in Secret [^/\s]+/(?P<secret>\S+)",
        "the Secret {secret} has no key {key}",
        "kubectl -n {namespace} patch secret {secret} --type=merge"
        ' -p \'{{"stringData": {{"{key}": "VALUE"}}}}\'',
    ),
    Rule(
        "secret-exists",
        r"secret \"(?P<secret>[^\"]+)\" not found",
        "there is no Secret {secret} in namespace {namespace}",
        f"{OF_SECRETS}KEY=VALUE",
    ),
    Rule(
        "config-map-exists",
        r"configmap \"(?P<name>[^\"]+)\" not found",
        "there is no ConfigMap {name} in namespace {namespace}",
        "kubectl -n {namespace} create configmap {name} --from-literal=KEY=VALUE",
    ),
    Rule(
        "run-as-root",
        r"runAsNonRoot and image (?:will run as root|has non-numeric user)",
        "run_as_non_root is set, and the image {image} runs as root, or as a user without number",
        "write run_as_user = 1000 into [security_context] of k8s.toml, or `USER 1000` into the"
        " Dockerfile; for an image of Argo's, run_as_user = 8737 for its container below [pod]",
    ),
    Rule(
        "claim-access",
        r"Multi-Attach error for volume \"(?P<volume>[^\"]+)\"",
        "the volume {volume} is attached to another node, and its claim is ReadWriteOnce",
        "wait until the pods there have ended, or use a claim of access mode ReadWriteMany",
        passes=True,
    ),
)
PULL_STATES = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
PULL_STATES |= {"RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"}
PULL_SECRETS = re.compile(r"image pull secrets \((?P<names>[^)]+)\)")


def why_container_waits(
    state: Mapping[str, Any],
    container: Manifest,
    warnings: Sequence[Manifest],
    facts: Mapping[str, str],
) -> Reason | None:
    """Return why a container waits, from its state `waiting`; None if it only starts."""
    kind, message = str(state.get("reason", "")), str(state.get("message", ""))
    if kind in PULL_STATES:
        return missing_pull_secret(warnings, facts) or first_reason(
            PULL, f"{kind}: {message}", facts
        )
    if kind == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        how = f"{last.get('reason', 'Error')}, exit code {last.get('exitCode', 'unknown')}"
        what = f"its container {container.get('name')} ends again and again: {how}"
        remedy = "`kubectl -n {namespace} logs {pod} -c {container} --previous`"
        return Reason("crash-loop", what, remedy.format(container=container.get("name"), **facts))
    if message:
        return why_not_made(message, facts) or Reason("container-create", f"{kind}: {message}")
    return None


def missing_pull_secret(warnings: Sequence[Manifest], facts: Mapping[str, str]) -> Reason | None:
    """Return that a pull secret is missing, which says more than the registry's answer."""
    for event in warnings:
        if found := PULL_SECRETS.search(str(event.get("message", ""))):
            what = (
                f"there is no Secret {found['names']} in namespace {facts['namespace']} to pull"
                " images with"
            )
            login = " --docker-server=HOST --docker-username=USER --docker-password=PASSWORD"
            names = found["names"].split(", ")
            remedy = (
                f"kubectl -n {facts['namespace']} create secret docker-registry {names[0]}{login}"
            )
            return Reason("pull-secret-exists", what, remedy)
    return None


def why_not_made(message: str, facts: Mapping[str, str]) -> Reason | None:
    """Return what the kubelet lacks to make a container, or the API server refuses, if known."""
    if message.startswith("Failed to pull image"):
        return first_reason(PULL, message, facts)
    return first_reason(CONTAINER, message, facts) or why_refused(message, facts)
