"""The place that a command works with: an environment, its configuration and its cluster."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..errors import Finding
from ..metaflow.configuration import Configuration
from ..metaflow.create_on_server import TIMEOUTS_S
from ..project.environments import Environment
from .api import connect, explain_errors, in_a_pod, kubeconfig

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
ARGO_GROUP = "/apis/argoproj.io/v1alpha1"
EMPTY: Mapping[str, str] = {}

Listed = list[Any]  # which `list` cannot name below


@dataclass(frozen=True)
class Target:
    """A place to work with. Nothing is asked before it is needed, and what is asked only once."""

    environment: Environment
    configuration: Configuration

    def __str__(self) -> str:
        context = f" (context {self.context})" if self.context else ""
        return f"{self.cluster}{context}, namespace {self.namespace}, account {self.account}"

    @property
    def variables(self) -> Mapping[str, str]:
        """Return the variables of a process that works with this place."""
        return self.configuration.variables

    def with_variables(self, variables: Mapping[str, str]) -> "Target":
        """Return the same place with other variables."""
        configuration = replace(self.configuration, variables={**self.variables, **variables})
        return Target(self.environment, configuration)

    @cached_property
    def namespace(self) -> str:
        """Return the Kubernetes namespace of the runs."""
        return self.configuration.setting("KUBERNETES_NAMESPACE") or "default"

    @cached_property
    def client(self) -> Any:
        """Return a kubernetes.client.ApiClient; raise CommandError if kubectl has no context."""
        return connect(self.variables)

    @cached_property
    def contexts(self) -> tuple[Listed, dict[str, Any]]:
        """Return all contexts of kubectl's configuration, and the current one.

        Both are empty in a pod, without such a file, and where no context is chosen.
        """
        from kubernetes import config

        if in_a_pod(self.variables):
            return [], {}
        try:
            contexts, current = config.list_kube_config_contexts(kubeconfig(self.variables))
        except config.ConfigException:
            return [], {}
        return contexts, current

    @property
    def context(self) -> str:
        """Return the name of kubectl's current context; empty in a pod."""
        return str(self.contexts[1].get("name", ""))

    @property
    def cluster(self) -> str:
        """Return the URL of the cluster's API."""
        return str(self.client.configuration.host)

    @cached_property
    def account(self) -> str:
        """Return the name by which the cluster knows the user.

        Where it does not say, as before version 1.28, it is that of kubectl's configuration. Raise
        CommandError if the cluster does not answer, or does not accept the user's credentials.
        """
        from kubernetes.client import ApiException

        with explain_errors("ask the cluster who you are"):
            try:
                answer = self.ask("POST", REVIEWS, REVIEW)
                return str(answer["status"]["userInfo"]["username"])
            except ApiException as error:
                anonymous = "system:anonymous" in str(error.body)
                if error.status != 404 and (error.status != 403 or anonymous):
                    raise
        return self.contexts[1].get("context", {}).get("user") or "unknown"

    def ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: Mapping[str, str] = EMPTY,
    ) -> Any:
        """Return the answer to one request, from JSON."""
        answer = self.client.call_api(
            path,
            method,
            query_params=[*query.items()],
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=TIMEOUTS_S,
        )
        return json.loads(answer.data)

    def list(self, path: str, **query: str) -> Listed:
        """Return what the cluster lists at a path of its API, like /api/v1/namespaces/default/pods.

        Raise CommandError if it does not answer, or refuses.
        """
        *_, namespace, plural = path.split("/")
        with explain_errors(f"list {plural} in namespace {namespace}"):
            items: Listed = self.ask("GET", path, query=query)["items"]
            return items


def context_findings(target: Target) -> Iterator[Finding]:
    """Yield why kubectl's current context is not the environment's."""
    required, where = target.environment.context, target.environment.file
    if not required or required == target.context:
        return
    requires = f"{where} requires the kubectl context {required}"
    file = kubeconfig(target.variables)
    use = f"run `kubectl config use-context {required}`"
    names = sorted(context["name"] for context in target.contexts[0])
    if in_a_pod(target.variables):
        what = f"{requires}, but in a pod its own cluster is used"
        remedy = "set KUBECONFIG to the file that has this context"
        yield Finding("context-in-a-pod", what, where, remedy)
    elif not names:  # the Kubernetes library tells neither from the other
        what = f"{requires}, but {file} is missing or has no current context"
        remedy = f"{use}, or set KUBECONFIG to the file that has it"
        yield Finding("context-none", what, where, remedy)
    elif required not in names:
        what = f"{requires}, which {file} does not have; it has: {', '.join(names)}"
        yield Finding("context-unknown", what, where)
    else:
        what = f"{requires}, but the current one is {target.context}"
        yield Finding("context-another", what, where, use)


def argo_findings(target: Target) -> Iterator[Finding]:
    """Yield whether the cluster has no Argo Workflows.

    Raise CommandError if it does not answer, or does not accept the user.
    """
    from kubernetes.client import ApiException

    _ = target.account  # of which an error says more
    with explain_errors("ask the cluster for Argo Workflows"):
        try:
            resources = target.ask("GET", ARGO_GROUP)["resources"]
        except ApiException as error:
            if error.status == 403:  # unknown: the first request for a WorkflowTemplate shows it
                return
            if error.status != 404:
                raise
            resources = []
    if not any(resource["name"] == "workflowtemplates" for resource in resources):
        what = f"the cluster {target.cluster} has no Argo Workflows"
        remedy = "install it there, or choose another context or environment"
        yield Finding("no-argo", what, target.cluster, remedy)
