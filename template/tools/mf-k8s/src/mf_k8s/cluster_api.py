"""Asks the Kubernetes API, with the user's own kubeconfig and context."""

import contextlib
import functools
import json
import os
from collections.abc import Iterator
from typing import Any

from .errors import CommandError

TIMEOUT = (5, 60)  # seconds, to connect and to read
ARGO = "/apis/argoproj.io/v1alpha1/namespaces"


@functools.cache
def api_client() -> Any:
    """Return a kubernetes.client.ApiClient for the current context."""
    from kubernetes import client, config

    if file := os.environ.get("KUBECONFIG"):
        config.load_kube_config(file)  # by itself it knows the one of when it was imported
    else:
        config.load_config()
    api = client.ApiClient()
    api.configuration.retries = False
    return api


def list_objects(path: str, **query: str) -> list[Any]:
    """Return what the cluster lists at a path of its API, like /api/v1/namespaces/default/pods.

    Raise CommandError if it does not answer, or refuses.
    """
    *_, namespace, plural = path.split("/")
    with refusals(f"list {plural} in namespace {namespace}"):
        answer = api_client().call_api(
            path,
            "GET",
            query_params=[*query.items()],
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=TIMEOUT,
        )
        items: list[Any] = json.loads(answer.data)["items"]
        return items


@contextlib.contextmanager
def refusals(work: str) -> Iterator[None]:
    """Raise CommandError, naming the work, for what the Kubernetes client raises."""
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        yield
    except client.ApiException as error:
        if error.status == 403:
            raise CommandError(f"no right to {work}") from error
        raise CommandError(f"cannot {work}: {error.status} {error.reason}") from error
    except (config.ConfigException, HTTPError) as error:
        raise CommandError(f"no cluster answers: {error}") from error
