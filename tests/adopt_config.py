"""The k8s.toml of a team that adopts flows, and its answer: that the flows' values count."""

from typing import Any

CONFIG = """# The team's.
image = "ghcr.io/acme/base:1"  # built on Mondays

service_account = "metaflow"

cpu = 1

memory = 4096
"""


def always(key: str, old: Any, new: Any) -> bool:
    """Answer that the flows' value counts."""
    return True
