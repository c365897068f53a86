"""The cluster that a command works with: its address, the user's account, and Argo on it."""

import os
from dataclasses import dataclass
from typing import Any

from ..errors import CommandError
from ..metaflow.configuration import metaflow_setting
from ..project.environments import Environment
from .api import api_client, ask, explain_errors, in_a_pod

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
ARGO_GROUP = "/apis/argoproj.io/v1alpha1"


@dataclass(frozen=True)
class Place:
    """Where a command writes."""

    cluster: str  # the URL of its API
    context: str  # of kubectl; empty in a pod
    namespace: str
    account: str  # the name by which the cluster knows the user

    def __str__(self) -> str:
        context = f" (context {self.context})" if self.context else ""
        return f"{self.cluster}{context}, namespace {self.namespace}, account {self.account}"


def must_be_context(environment: Environment) -> None:
    """Raise CommandError unless kubectl's current context is the environment's."""
    required = environment.context
    if not required:
        return
    requires = f"{environment.file} requires the kubectl context {required}"
    if in_a_pod():
        raise CommandError(
            f"{requires}, but in a pod its own cluster is used: set KUBECONFIG to the file that has"
            " this context"
        )
    contexts, current = kubectl_contexts()
    if required == current.get("name"):
        return
    file = os.environ.get("KUBECONFIG") or "~/.kube/config"
    use = f"run `kubectl config use-context {required}`"
    names = sorted(context["name"] for context in contexts)
    if not names:  # the Kubernetes library tells neither from the other
        raise CommandError(
            f"{requires}, but {file} is missing or has no current context: {use}, or set KUBECONFIG"
            " to the file that has it"
        )
    if required not in names:
        raise CommandError(f"{requires}, which {file} does not have; it has: {', '.join(names)}")
    raise CommandError(f"{requires}, but the current one is {current['name']}: {use}")


def kubectl_contexts() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return all contexts of kubectl's configuration, and the current one; both may be empty."""
    from kubernetes import config

    if in_a_pod():
        return [], {}
    try:
        contexts, current = config.list_kube_config_contexts(os.environ.get("KUBECONFIG") or None)
    except config.ConfigException:  # there is no such file, or it has no current context
        return [], {}
    return contexts, current


def find_place() -> Place:
    """Return the place that is configured now.

    Raise CommandError if no cluster answers there, if it does not accept the user's credentials,
    or if it has no Argo Workflows.
    """
    with explain_errors("ask the cluster who you are"):
        cluster = api_client().configuration.host
    _, current = kubectl_contexts()
    account = find_account() or current.get("context", {}).get("user") or "unknown"
    must_have_argo(cluster)
    namespace = metaflow_setting("KUBERNETES_NAMESPACE") or "default"
    return Place(cluster, current.get("name", ""), namespace, account)


def find_account() -> str:
    """Return the user's name on the cluster; empty if it does not say, as before version 1.28."""
    from kubernetes.client import ApiException

    with explain_errors("ask the cluster who you are"):
        try:
            answer = ask("POST", REVIEWS, REVIEW)
        except ApiException as error:
            anonymous = "system:anonymous" in str(error.body)
            if error.status == 404 or (error.status == 403 and not anonymous):
                return ""
            raise
    return str(answer["status"]["userInfo"]["username"])


def must_have_argo(cluster: str) -> None:
    """Raise CommandError unless the cluster knows WorkflowTemplates."""
    from kubernetes.client import ApiException

    with explain_errors("ask the cluster for Argo Workflows"):
        try:
            resources = ask("GET", ARGO_GROUP)["resources"]
        except ApiException as error:
            if error.status == 403:  # unknown: the first request for a WorkflowTemplate shows it
                return
            if error.status != 404:
                raise
            resources = []
    if not any(resource["name"] == "workflowtemplates" for resource in resources):
        raise CommandError(
            f"the cluster {cluster} has no Argo Workflows: install it there, or choose another"
            " context or environment"
        )
