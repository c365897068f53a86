"""Says in which state pods are, and lists what explains it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..pods.pending_reasons import Events, warnings_by_object
from ..pods.read_pods import Manifest
from .target import Target

METAFLOW_LABEL = "app.kubernetes.io/part-of=metaflow"  # of pods and Jobs


def list_pods(target: Target, label: str = METAFLOW_LABEL) -> list[Any]:
    return target.list(f"/api/v1/namespaces/{target.namespace}/pods", labelSelector=label)


def count_phases(pods: Iterable[Manifest]) -> dict[str, int]:
    """Return how many pods are pending, running, succeeded and failed."""
    phases = (pod["status"].get("phase", "").lower() for pod in pods)
    return dict(sorted(Counter(filter(None, phases)).items()))


def list_warnings(target: Target) -> Events:
    """Return the warnings about each object of the namespace that why_pending asks for."""
    selector = "type=Warning,reason!=FailedScheduling"
    events = target.list(f"/api/v1/namespaces/{target.namespace}/events", fieldSelector=selector)
    return warnings_by_object(events)
