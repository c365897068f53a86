"""The version of Kubernetes that a cluster runs, which everybody may ask."""

import re

from .rights import Right
from .view import View

RIGHT = Right("get", "", "the version", "cluster")
NEWEST = 99  # where the cluster does not say


def minor_version(view: View) -> int:
    """Return 34 for Kubernetes 1.34."""
    answer = view.once("/version", lambda: view.request("GET", "/version", RIGHT)) or {}
    digits = re.match(r"\d+", str(answer.get("minor", "")))  # some clouds write 34+
    return int(digits[0]) if digits else NEWEST
