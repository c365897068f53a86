"""What is listed of the pods of a namespace."""

from types import SimpleNamespace
from typing import Any

from mf_k8s.cluster import pod_states


def test_warnings_are_not_those_of_the_scheduler() -> None:
    selectors: list[str] = []

    def list_objects(_: str, fieldSelector: str) -> list[Any]:
        selectors.append(fieldSelector)
        return []

    target: Any = SimpleNamespace(namespace="team-a", list=list_objects)
    assert pod_states.list_warnings(target) == {}
    assert selectors == ["type=Warning,reason!=FailedScheduling"]
