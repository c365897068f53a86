"""What the controller of Argo Workflows is configured with, as far as it shapes pods."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .read_pods import Manifest


@dataclass(frozen=True)
class Controller:
    """A workflow controller; by default one as its own manifest installs it."""

    namespace: str = "argo"  # where it runs
    release: str = ""  # like v3.7.12; empty where its image does not say
    config_map: str = "workflow-controller-configmap"
    only_namespace: str = ""  # the one that it watches; empty for all
    config: Mapping[str, Any] = field(default_factory=dict)  # the ConfigMap's, parsed

    def watches(self, namespace: str) -> bool:
        return self.only_namespace in ("", namespace)


def read_controller(deployment: Manifest, config_map: Manifest | None) -> Controller:
    """Return a controller, from its Deployment and, where it may be read, its ConfigMap."""
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    tag = re.search(r":(v[\d.]+)", image)
    return Controller(deployment["metadata"]["namespace"], tag[1] if tag else "")
