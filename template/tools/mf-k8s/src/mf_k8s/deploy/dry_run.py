"""Creates a flow as a dry run: the server tries each request, and keeps nothing. A script."""

import json
import sys
from typing import Any

from ..cluster_api import TIMEOUT
from ..run_create import run_create


def try_on_server(method: Any, client: Any, **arguments: Any) -> Any:
    return method(client, **arguments, dry_run="All")


def bound_requests(rest_client: Any) -> None:
    """Set a timeout on the requests of the Kubernetes library, which has none of its own."""
    request = rest_client.request

    def bounded(this: Any, *positional: Any, **named: Any) -> Any:
        named["_request_timeout"] = named.get("_request_timeout") or TIMEOUT
        return request(this, *positional, **named)

    rest_client.request = bounded


if __name__ == "__main__":
    from kubernetes import client

    bound_requests(client.rest.RESTClientObject)
    run_create(json.loads(sys.argv[1]), try_on_server)
