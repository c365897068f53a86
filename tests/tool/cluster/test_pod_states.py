"""Why a pod has not started."""

from types import SimpleNamespace
from typing import Any

from mf_k8s.cluster import pod_states


def test_a_pod_that_has_got_its_node_lacks_none() -> None:
    """The scheduler's old warning is no reason: it would end a run whose pod just starts."""
    scheduled = {"type": "PodScheduled", "status": "True"}
    starting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
    pod = {
        "metadata": {"name": "a"},
        "status": {
            "phase": "Pending",
            "conditions": [scheduled],
            "containerStatuses": [starting],
        },
    }
    assert pod_states.reason_not_started(pod, {}) == ""
    lacks = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    pod["status"]["conditions"] = [lacks]
    assert pod_states.reason_not_started(pod, {}) == "0/1 nodes are available"


def test_warnings_are_not_those_of_the_scheduler() -> None:
    selectors: list[str] = []

    def list_objects(_: str, fieldSelector: str) -> list[Any]:
        selectors.append(fieldSelector)
        return []

    target: Any = SimpleNamespace(namespace="team-a", list=list_objects)
    assert pod_states.last_warnings(target) == {}
    assert selectors == ["type=Warning,reason!=FailedScheduling"]
