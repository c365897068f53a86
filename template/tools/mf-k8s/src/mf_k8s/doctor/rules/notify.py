"""Argo can send what `notify` asks for.

What `notify` of an environment asks for is sent by Argo in a pod of its own, the agent. It logs in
with the token of the pods' service account, which it takes from a Secret, by default
ACCOUNT.service-account-token. Kubernetes has made no such Secret by itself since 1.24: without it
the agent stays in ContainerCreating, and the run does not end.
(https://argo-workflows.readthedocs.io/en/latest/service-account-secrets/,
https://argo-workflows.readthedocs.io/en/latest/http-template/)

Where to send it to is a secret, and so a variable where you deploy, not a key of an environment.
Without one Metaflow deploys nothing. Which rights the account needs for it, account-rights says.
"""

from collections.abc import Iterator

from ...cluster.view import ACCOUNTS, SECRETS
from ...pods.argo_pods import AGENT
from ...pods.argo_secrets import token_of
from ...pods.project_labels import annotation
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..prepare import ADDRESS, NOWHERE

NEEDS = ("account-exists",)
READS = (ACCOUNTS.get, SECRETS.get)
TYPE = "kubernetes.io/service-account-token"
NOTIFICATIONS = "notify-"  # how Metaflow's names of their templates begin
NAMED_BY_ACCOUNT = "workflows.argoproj.io/service-account-token.name"


def examine(case: Examination) -> Iterator[Answer]:
    agents = [pod for pod in case.pods if pod.name == AGENT]
    if addressless := [pod for pod in agents if has_no_address(case, pod)]:
        what = f"{ADDRESS}, or another address of `notify`, is not set"
        yield problem(what, addressless, "set it where you deploy, in CI as a masked variable")
    for account, pods in case.pods_by(account_of_agent):
        name = token_secret(case, account)
        secret = case.view.get(SECRETS, name)
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "annotations": {"kubernetes.io/service-account.name": account},
            },
            "type": TYPE,
        }
        if not secret:
            what = f"there is no Secret {name} with the token of the service account {account}"
            yield problem(what, pods, case.apply(manifest))
        elif secret.get("type") != TYPE or "token" not in (secret.get("data") or {}):
            what = f"the Secret {name} has no token of the service account {account}"
            delete = case.kubectl(f"delete secret {name}")
            yield problem(what, pods, f"{delete} && {case.apply(manifest)}")
        else:
            yield ok(name, pods)


def has_no_address(case: Examination, pod: FlowPod) -> bool:
    """Return whether a flow's notifications have the address that stands in for the user's."""
    addresses = {
        part["http"]["url"]
        for template in case.templates
        if annotation(template, "flow_name") == pod.flow
        for part in template["spec"]["templates"]
        if part.get("http") and part["name"].startswith(NOTIFICATIONS)
    }
    return NOWHERE in addresses


def account_of_agent(pod: FlowPod) -> list[str]:
    return [pod.account] if pod.name == AGENT else []


def token_secret(case: Examination, account: str) -> str:
    """Return the Secret that Argo takes for an account (util/secrets in argo-workflows)."""
    found = case.view.get(ACCOUNTS, account) or {"metadata": {}}
    for secret in found.get("secrets") or ():
        return str(secret["name"])
    annotations = found["metadata"].get("annotations") or {}
    return str(annotations.get(NAMED_BY_ACCOUNT) or token_of(account))
