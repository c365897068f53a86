"""Pods, Jobs, events and Workflows of runs that hang or failed, recorded from a cluster.

Kubernetes 1.34 and Argo Workflows 4.0.5 made them, each of a flow with one fault. They have what
the code reads of them, and nothing of the cluster's own. By name, like `selectorflow` of the
Workflow selectorflow-aaaaa, or `t-image` of a Job.
"""

import functools
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "recorded/runs.jsonl"


@functools.cache
def everything() -> list[Any]:
    return [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]


def recorded(kind: str, name: str, namespace: str = "") -> Any:
    """Return a copy of the object of a kind whose name begins so."""
    (found,) = [
        item
        for item in everything()
        if item["kind"] == kind
        and item["metadata"]["name"].startswith(name)
        and namespace in ("", item["metadata"]["namespace"])
    ]
    return json.loads(json.dumps(found))


def events() -> list[Any]:
    return [item for item in everything() if item["kind"] == "Event"]
