"""Asks the cluster what the pods of a failed run printed last."""

import contextlib
from collections.abc import Iterable

from ..errors import CommandError
from ..pods.failure_rules import explain_failures, failed_pods
from ..pods.read_pods import Manifest
from .cluster import Cluster

LOG_LINES = 100  # lines of a log: Metaflow's own frames in a traceback are half of them


def explain_failed_pods(cluster: Cluster, namespace: str, pods: Iterable[Manifest]) -> str:
    """Return what the pods that failed printed last, and what to do; empty if none failed."""
    failed, logs = failed_pods(pods), {}
    for pod in failed:
        name = pod["metadata"]["name"]
        with contextlib.suppress(CommandError):  # it may have no log
            logs[name] = cluster.kubectl("logs", "-n", namespace, f"--tail={LOG_LINES}", name)
    return "\n".join(explain_failures(failed, logs))
