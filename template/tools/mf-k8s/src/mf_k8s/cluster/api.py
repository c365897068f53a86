"""Connects to the Kubernetes API, and explains its errors."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import lent_variables

ARGO = "/apis/argoproj.io/v1alpha1/namespaces"
BY_RBAC = re.compile(r'User ".*" cannot ')  # a quota or an admission webhook refuses with 403, too


def connect(variables: Mapping[str, str]) -> Any:
    """Return a kubernetes.client.ApiClient for the cluster that Metaflow would use.

    The rules are those of KubernetesClient in metaflow/plugins/kubernetes/kubernetes_client.py.
    Raise CommandError if kubectl's configuration has none that can be used.
    """
    from kubernetes import client, config

    class Configuration(client.Configuration):  # type: ignore[misc]
        def get_api_key_with_prefix(self, *names: Any, **named: Any) -> Any:
            with lent_variables(variables):  # a program that gives credentials may need AWS_PROFILE
                return super().get_api_key_with_prefix(*names, **named)

    try:
        with lent_variables(variables):
            configuration = Configuration()  # with the proxy that variables name
            if in_a_pod(variables):
                config.load_incluster_config(configuration)
            else:
                config.load_kube_config(kubeconfig(variables), client_configuration=configuration)
            configuration.retries = False
            return client.ApiClient(configuration)  # which sets no_proxy for a moment
    except (config.ConfigException, OSError) as error:
        what = f"kubectl's configuration has no context that can be used ({error})"
        other = "set KUBECONFIG to the file that has it"
        remedy = f"choose one with `kubectl config use-context NAME`, or {other}"
        raise CommandError(Finding("context-unusable", what, remedy=remedy)) from error


def kubeconfig(variables: Mapping[str, str]) -> str:
    """Return kubectl's configuration; the library's default is that of its import."""
    return variables.get("KUBECONFIG") or "~/.kube/config"


def in_a_pod(variables: Mapping[str, str]) -> bool:
    """Return whether the cluster is the one that this process runs in."""
    return "KUBERNETES_SERVICE_HOST" in variables and not variables.get("KUBECONFIG")


def reason_given(body: Any) -> str:
    """Return the message of a Status of Kubernetes, from JSON; empty for any other answer."""
    try:
        return str(json.loads(body)["message"])
    except (TypeError, ValueError, KeyError):
        return ""


@contextlib.contextmanager
def explain_errors(action: str) -> Iterator[None]:
    """Turn an error of the Kubernetes client into a CommandError that names the action."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        yield
    except client.ApiException as error:
        # if the kubeconfig's credential plugin fails, the request is anonymous
        if error.status == 401 or "system:anonymous" in str(error.body):
            what = (
                f"cannot {action}: the cluster does not accept your credentials, which may have"
                " expired"
            )
            remedy = "log in to it again, until `kubectl auth whoami` names you"
            finding = Finding("credentials-refused", what, remedy=remedy)
            raise CommandError(finding) from error
        reason = reason_given(error.body)
        if error.status == 403 and (not reason or BY_RBAC.search(reason)):
            what = f"your account is not allowed to {action}"
            finding = Finding("action-not-allowed", what, remedy="ask for a Role that allows it")
            raise CommandError(finding) from error
        what = f"cannot {action}: {error.status} {error.reason}{reason and f': {reason}'}"
        raise CommandError(Finding("request-refused", what)) from error
    except (config.ConfigException, HTTPError) as error:
        remedy = "check the network, and the server of kubectl's context"
        if "proxy" in str(error).lower():  # which the variables of the shell name
            remedy = "if the cluster is not behind that proxy, add its host to NO_PROXY"
        what = f"cannot {action}: the cluster cannot be reached: {error}"
        raise CommandError(Finding("cluster-unreachable", what, remedy=remedy)) from error
