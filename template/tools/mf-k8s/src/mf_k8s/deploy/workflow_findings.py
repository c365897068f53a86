"""What of [workflow] in k8s.toml cannot be deployed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..cluster.argo_fields import knows_pending_timeout
from ..cluster.target import Target
from ..errors import Finding
from ..pods.read_pods import PENDING_TIMEOUT
from ..show.progress import print_line

FIRST_RELEASE = "4.1"  # with pendingTimeout: docs/new-features.md of argo-workflows


def limit_findings(
    file: str, workflow: Mapping[str, Any], options: Sequence[str]
) -> Iterator[Finding]:
    """Yield whether both [workflow] and options of create limit how many tasks run side by side."""
    if "parallelism" in workflow and any(option.startswith("--max-workers") for option in options):
        what = (
            "max_workers of the environment (or --max-workers) and parallelism of [workflow] in"
            f" {file} set the same limit"
        )
        yield Finding("limit-given-twice", what, file, "keep one of them")


def pending_timeout_findings(
    file: str, workflow: Mapping[str, Any], target: Target
) -> Iterator[Finding]:
    """Yield that the cluster's Argo does not have pending_timeout of [workflow] in `file`.

    Print a line where it cannot be told.
    """
    if PENDING_TIMEOUT not in workflow:
        return
    where = f"pending_timeout of [workflow] in {file}"
    known = knows_pending_timeout(target)
    if known is None:
        print_line(
            f"{where}: this cluster does not say whether its Argo Workflows has it; one before"
            f" {FIRST_RELEASE} ignores it"
        )
    elif not known:
        what = f"{where} needs Argo Workflows {FIRST_RELEASE}, and that of the cluster is older"
        yield Finding("pending-timeout-unsupported", what, file, "remove it, or upgrade Argo there")
