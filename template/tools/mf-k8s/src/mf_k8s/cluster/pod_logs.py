"""Reads what pods have printed."""

from ..metaflow.create_on_server import TIMEOUTS_S
from ..pods.read_pods import Manifest
from .api import explain_errors
from .rights import Right
from .target import Target

LOG = Right("get", "", "pods/log")
LINES = 100  # Metaflow's own frames in a traceback are half of them


def end_of_log(target: Target, pod: Manifest) -> str:
    """Return the last lines of the container that runs Metaflow; empty if there are none.

    Raise CommandError if the cluster does not answer, or refuses.
    """
    from kubernetes.client import ApiException

    metadata = pod["metadata"]
    names = [container["name"] for container in pod["spec"]["containers"]]
    query = {"container": "main" if "main" in names else names[0], "tailLines": str(LINES)}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/log"
    with explain_errors(str(LOG)):
        try:
            answer = target.client.call_api(
                path,
                "GET",
                query_params=[*query.items()],
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=TIMEOUTS_S,
            )
        except ApiException as error:
            if error.status in (400, 404):  # its container has not started, or its node is gone
                return ""
            raise
    return bytes(answer.data).decode(errors="replace")
