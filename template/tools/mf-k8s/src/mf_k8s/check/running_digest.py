"""Compares the image that a node runs, by its digest, with the one that was pushed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..pods.image_names import DIGEST, ImageName, image_name
from ..pods.read_pods import Manifest
from .report import Report


def with_running_digests(
    report: Report, pods: Sequence[Manifest], config: Mapping[str, Any]
) -> Report:
    """Return the report on a run with what its nodes say of the image of k8s.toml.

    Its digest is the one that `k8s image` has written there, beside the image. Pods of another
    image do not count, nor do nodes that name theirs otherwise, as for one that was loaded.
    """
    recorded = str((config.get("annotations") or {}).get(DIGEST, ""))
    pushed = image_name(recorded) if recorded else None
    if not pushed or not pushed.digest:
        return report
    found, failures = set(), []
    for pod in pods:
        running = running_image(pod, str(config.get("image")))
        if not running or dataclasses.replace(running, digest=pushed.digest) != pushed:
            continue
        found.add(running.digest)
        if running != pushed:
            name = pod["metadata"]["name"]
            failures.append(f"{name} runs {running}, but k8s.toml has {pushed.digest}")
    notes = [f"the nodes run {pushed}"] if found == {pushed.digest} else []
    if not found:
        notes = [f"no node says whether it runs {pushed}"]
    return dataclasses.replace(
        report, failures=[*report.failures, *failures], notes=[*report.notes, *notes]
    )


def running_image(pod: Manifest, image: str) -> ImageName | None:
    """Return what a node says that it runs for an image; None for another image, or too early."""
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    container = containers.get("main") or pod["spec"]["containers"][0]
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    for status in statuses:
        running = str(status.get("imageID") or "").removeprefix("docker-pullable://")
        if status.get("name") == container["name"] and "@" in running:
            return image_name(running) if container.get("image") == image else None
    return None
