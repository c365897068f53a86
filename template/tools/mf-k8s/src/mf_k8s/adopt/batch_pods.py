"""The pods that a flow with @batch would have if Kubernetes gave what AWS Batch does."""

from collections.abc import Mapping
from typing import Any

from ..pods.expected_pods import step_pod
from ..pods.flow_facts import FlowFacts

# Settings of which AWS Batch has the same; the others are as of a step without a decorator.
OF_BATCH = (
    *("image", "cpu", "memory", "gpu", "extended_resources", "shared_memory", "use_tmpfs"),
    *("tmpfs_tempdir", "security_context"),
)


def with_batch(pods: Mapping[str, Any], flow: FlowFacts) -> dict[str, Any]:
    """Return a flow's pods with what AWS Batch gives its steps."""
    changed = dict(pods)
    for name, pod in pods.items():
        step, _, job = name.partition(", ")[0].partition("/")
        values = flow.get("batch", {}).get(step)
        if values is None or job == "creator":
            continue
        batch = step_pod(values, {**flow["steps"][step], "resources": {}})
        settings = (*OF_BATCH, "disk") if "disk" in values else OF_BATCH
        rest = {key: value for key, value in pod.items() if key not in settings}
        changed[name] = rest | {key: batch[key] for key in settings if key in batch}
    return changed
