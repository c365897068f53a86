"""Creates a flow as a dry run: the server tries each request, and keeps nothing. A script.

Its argument is the job of record_requests.
"""

import contextlib
import json
import os
import sys
from typing import Any

from .record_requests import Job, record_requests

TIMEOUTS_S = (5, 60)  # to connect and to read


def try_on_server(method: Any, client: Any, **arguments: Any) -> Any:
    return method(client, **arguments, dry_run="All")


def bound_requests(rest_client: Any) -> None:
    """Set a timeout on the requests of the Kubernetes library, which has none of its own."""
    request = rest_client.request

    def bounded(this: Any, *positional: Any, **named: Any) -> Any:
        named["_request_timeout"] = named.get("_request_timeout") or TIMEOUTS_S
        return request(this, *positional, **named)

    rest_client.request = bounded


def store_token_where_possible(is_deployed: bool) -> None:
    """Let Metaflow keep the production token of a flow that is deployed, if there is a home for it.

    Only another METAFLOW_USER of this machine needs it. Without a home, Metaflow writes it into a
    folder `~` of the project.
    """
    from metaflow.plugins.argo import argo_workflows_cli

    store = argo_workflows_cli.store_token
    home = os.environ.get("METAFLOW_TOKEN_HOME") or os.environ.get("METAFLOW_HOME", "~")
    has_home = not os.path.expanduser(home).startswith("~")

    def store_token(prefix: str, token: str) -> None:
        if is_deployed and has_home:
            with contextlib.suppress(OSError):
                store(prefix, token)

    argo_workflows_cli.store_token = store_token


if __name__ == "__main__":
    from kubernetes import client

    bound_requests(client.rest.RESTClientObject)
    job = Job(**json.loads(sys.argv[1]))
    store_token_where_possible(job.keep_token)
    record_requests(job, try_on_server)
