"""Rights on the Kubernetes API, and the kinds of objects that they are for."""

import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .slim import Object, whole

EVERYWHERE = "*"  # all namespaces
# where a right is needed: in the namespace of the runs, everywhere, where Argo or Kubernetes runs
Scope = Literal["namespace", "cluster", "argo", "system"]
SYSTEM = "kube-system"


@dataclass(frozen=True)
class Right:
    """A right on the API, as a Role gives it."""

    verb: str
    group: str
    resource: str  # with a subresource, like pods/log
    scope: Scope = "namespace"

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        place = {
            "namespace": "",
            "cluster": " in the whole cluster",
            "argo": " where Argo runs",
            "system": f" in {SYSTEM}",
        }
        return f"{self.verb} {self.resource}{group}{place[self.scope]}"


@dataclass(frozen=True)
class Kind:
    """A kind of object. `slim` keeps what is needed of one, where a cluster has very many."""

    version: str  # of the API, like v1 or apps/v1
    plural: str
    namespaced: bool = True
    slim: Callable[[Object], Object] = field(default=whole, compare=False)

    @property
    def group(self) -> str:
        return self.version.rpartition("/")[0]

    def right(self, verb: str, scope: Scope = "namespace") -> Right:
        return Right(verb, self.group, self.plural, scope if self.namespaced else "cluster")

    @property
    def get(self) -> Right:
        """Return the right to read one object by its name."""
        return self.right("get")

    @property
    def list(self) -> Right:
        """Return the right to read all objects, of the runs' namespace or of the cluster."""
        return self.right("list")

    @property
    def list_everywhere(self) -> Right:
        """Return the right to read the objects of all namespaces."""
        return self.right("list", "cluster")

    @property
    def get_of_argo(self) -> Right:
        """Return the right to read an object in the namespace of Argo's controller."""
        return self.right("get", "argo")

    @property
    def get_of_system(self) -> Right:
        """Return the right to read an object in Kubernetes' own namespace."""
        return self.right("get", "system")

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the API; `namespace` may be EVERYWHERE."""
        root = "/api" if "/" not in self.version else "/apis"
        inside = self.namespaced and namespace != EVERYWHERE
        place = f"/namespaces/{namespace}" if inside else ""
        end = f"/{urllib.parse.quote(name, safe='')}" if name else ""
        return f"{root}/{self.version}{place}/{self.plural}{end}"
