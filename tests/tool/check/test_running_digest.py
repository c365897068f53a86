"""The digest of the image that nodes run, against the one that was pushed."""

from pathlib import Path
from typing import Any

import pytest
from mf_k8s.check.report import Report
from mf_k8s.check.running_digest import with_running_digests
from mf_k8s.pods.image_names import DIGEST

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
NAME = "ghcr.io/acme/churn"
PINNED = {"image": f"{NAME}:0123456789ab@{ONE}", "annotations": {DIGEST: f"{NAME}@{ONE}"}}
TAGGED = {"image": f"{NAME}:1.2.3", "annotations": {DIGEST: f"{NAME}@{ONE}"}}


def pod(image: str, identity: str, container: str = "main") -> dict[str, Any]:
    sidecar = {"name": "wait", "image": "quay.io/argoproj/argoexec:v4"}
    statuses = [
        {"name": "wait", "imageID": f"quay.io/argoproj/argoexec@{TWO}"},
        {"name": container, "imageID": identity},
    ]
    return {
        "metadata": {"name": "train-1"},
        "spec": {
            "containers": [
                *([sidecar] if container == "main" else []),
                {"name": container, "image": image},
            ]
        },
        "status": {"containerStatuses": statuses},
    }


DIFFERS = [f"train-1 runs {NAME}@{TWO}, but k8s.toml has {ONE}"]
RUNS, UNKNOWN = [f"the nodes run {NAME}@{ONE}"], [f"no node says whether it runs {NAME}@{ONE}"]


@pytest.mark.parametrize(
    ("config", "identity", "failures", "notes"),
    [
        (PINNED, f"{NAME}@{ONE}", [], RUNS),
        (PINNED, f"docker-pullable://{NAME}@{ONE}", [], RUNS),
        (PINNED, f"{NAME}@{TWO}", DIFFERS, []),
        (TAGGED, f"{NAME}@{TWO}", DIFFERS, []),  # somebody has moved the tag
        (TAGGED, f"{NAME}@{ONE}", [], RUNS),
        (TAGGED, TWO, [], UNKNOWN),  # was loaded, or comes from Docker without a registry
        (TAGGED, f"docker.io/library/import-2026-11-29@{TWO}", [], UNKNOWN),
        (TAGGED, "", [], UNKNOWN),  # has not started
        ({"image": f"{NAME}:1.2.3"}, f"{NAME}@{TWO}", [], []),
    ],
)
@pytest.mark.parametrize("container", ["main", "t-1234"])  # by Argo, by `run --with kubernetes`
def test_what_a_node_runs(
    config: dict[str, Any], identity: str, failures: list[str], notes: list[str], container: str
) -> None:
    pods = [pod(config["image"], identity, container)]
    report = with_running_digests(Report(Path("flow.py")), pods, config)
    assert (report.failures, report.notes) == (failures, notes)
    assert report.matches == (not failures)


def test_a_pod_of_another_image() -> None:
    """A step may have an image of its own, from the same repository too."""
    pods = [pod(f"{NAME}:gpu", f"{NAME}@{TWO}")]
    report = with_running_digests(Report(Path("flow.py")), pods, PINNED)
    assert (report.failures, report.notes) == ([], UNKNOWN)
