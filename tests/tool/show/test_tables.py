"""Values as people read them, in a line for each item."""

import pytest
from mf_k8s.show.tables import as_text

ALONE = {"capabilities": {"drop": ["ALL"]}, "privileged": False}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        ({"pool": "gpu", "zone": "a"}, "pool: gpu\nzone: a"),
        (["a", "b"], "a\nb"),
        ([{"key": "gpu", "operator": "Exists"}], "key: gpu, operator: Exists"),
        (
            {"containers": [{"name": "main", "securityContext": ALONE}, {"name": "wait"}]},
            "containers: {name: main, securityContext: {capabilities: {drop: ALL}, privileged:"
            " False}}, {name: wait}",
        ),
    ],
)
def test_as_text(value: object, text: str) -> None:
    assert as_text(value) == text
