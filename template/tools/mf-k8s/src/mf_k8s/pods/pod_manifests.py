"""Makes v1 Pods: of the parts that Argo puts together, and those of a JobSet."""

import json
import re
from collections.abc import Iterator
from typing import Any

from .read_pods import Manifest, jobset_manifest, step_name

NAME_SUFFIX = "-xxxxx"  # stands for what a cluster appends to the names of a Job's pods


def jobset_pods(manifest: str, namespace: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and manifest of each pod of a JobSet: the jobs' own templates."""
    jobset = jobset_manifest(manifest)
    name = jobset["metadata"]["name"]
    for job in jobset["spec"]["replicatedJobs"]:
        pod = without_nulls(job["template"]["spec"]["template"])
        labels = {
            "jobset.sigs.k8s.io/jobset-name": name,
            "jobset.sigs.k8s.io/replicatedjob-name": job["name"],
            "batch.kubernetes.io/job-name": f"{name}-{job['name']}-0",
            **(pod["metadata"].get("labels") or {}),
        }
        metadata = {"annotations": pod["metadata"].get("annotations") or {}, "labels": labels}
        own_namespace = jobset["metadata"].get("namespace") or namespace
        yield (
            f"{step_name(pod)}/{job['name']}",
            pod_manifest(
                f"{name}-{job['name']}-0-0{NAME_SUFFIX}", own_namespace, metadata, pod["spec"]
            ),
        )


def pod_manifest(name: str, namespace: str, metadata: Manifest, spec: Manifest) -> dict[str, Any]:
    """Return a v1 Pod. What Argo's expressions stand for in its labels is `x`."""
    labels = {
        label: re.sub(r"\{\{.*?\}\}", "x", str(value))
        for label, value in metadata["labels"].items()
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": re.sub(r"\{\{.*?\}\}", "x", name),
            "namespace": namespace,
            "labels": labels,
            "annotations": dict(metadata["annotations"]),
        },
        "spec": spec,
    }


def without_nulls(value: Any) -> Any:
    """Return JSON without null fields, which a server drops."""
    return json.loads(json.dumps(value), object_pairs_hook=drop_nulls)


def drop_nulls(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in pairs if value is not None}
