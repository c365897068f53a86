"""Asks the Kubernetes API, with the user's own kubeconfig and context."""

import contextlib
import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import CommandError
from ..metaflow.create_on_server import TIMEOUTS_S

ARGO = "/apis/argoproj.io/v1alpha1/namespaces"
EMPTY: Mapping[str, str] = {}
BY_RBAC = re.compile(r'User ".*" cannot ')  # a quota or an admission webhook refuses with 403, too


@functools.cache
def api_client() -> Any:
    """Return a kubernetes.client.ApiClient for the cluster that Metaflow would use.

    The rules are those of KubernetesClient in metaflow/plugins/kubernetes/kubernetes_client.py.
    Raise CommandError if kubectl's configuration has none that can be used.
    """
    from kubernetes import client, config

    try:
        if in_a_pod():
            config.load_incluster_config()
        else:  # without the argument the library uses the KUBECONFIG from when it was imported
            config.load_kube_config(os.environ.get("KUBECONFIG") or None)
    except (config.ConfigException, OSError) as error:
        raise CommandError(
            f"kubectl's configuration has no context that can be used ({error}): choose one with"
            " `kubectl config use-context NAME`, or set KUBECONFIG to the file that has it"
        ) from error
    configuration = client.Configuration.get_default_copy()
    configuration.retries = False
    return client.ApiClient(configuration)


def in_a_pod() -> bool:
    """Return whether the cluster is the one that this process runs in."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")


def list_objects(path: str, **query: str) -> list[Any]:
    """Return what the cluster lists at a path of its API, like /api/v1/namespaces/default/pods.

    Raise CommandError if it does not answer, or refuses.
    """
    *_, namespace, plural = path.split("/")
    with explain_errors(f"list {plural} in namespace {namespace}"):
        items: list[Any] = ask("GET", path, query=query)["items"]
        return items


def ask(
    method: str, path: str, body: dict[str, Any] | None = None, query: Mapping[str, str] = EMPTY
) -> Any:
    """Return the answer to one request, from JSON."""
    answer = api_client().call_api(
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
            raise CommandError(
                f"cannot {action}: the cluster does not accept your credentials, which may have"
                " expired: log in to it again, until `kubectl auth whoami` names you"
            ) from error
        reason = reason_given(error.body)
        if error.status == 403 and (not reason or BY_RBAC.search(reason)):
            raise CommandError(
                f"your account is not allowed to {action}: ask for a Role that allows it"
            ) from error
        raise CommandError(
            f"cannot {action}: {error.status} {error.reason}{reason and f': {reason}'}"
        ) from error
    except (config.ConfigException, HTTPError) as error:
        remedy = "check the network, and the server of kubectl's context"
        if "proxy" in str(error).lower():  # which the variables of the shell name
            remedy = "if the cluster is not behind that proxy, add its host to NO_PROXY"
        raise CommandError(
            f"cannot {action}: the cluster cannot be reached: {error}; {remedy}"
        ) from error
