"""A simulated cluster: a Kubernetes API on 127.0.0.1 that is made of manifests.

    def test_missing_claim(simulate: Simulate) -> None:
        cluster = simulate(*healthy(), claim("data", phase="Pending"))  # or any other manifests
        target = own_target(**cluster.variables)  # KUBECONFIG, and the namespace
        ...
        assert cluster.read == {"get persistentvolumeclaims"} and not cluster.written

`simulate` is a fixture. A manifest may lack its apiVersion, if its kind is in kinds_of_objects.py,
and its namespace, which is that of `variables`: the option `namespace`, or `default`. More options:
`lacking={"list nodes"}` takes rights away, `rights=[…]` gives those of Roles or ClusterRoles only,
`installed` names the API groups of definitions, beside those of the manifests. The accounts of
SubjectAccessReviews have what the Roles and bindings among the manifests give them. Attributes that
a test may set at any time: `expiring_tokens = 1` (410 for a page), `admit` (a function for the pods
of dry runs: it returns a pod, or a `refusal(…)`), `logs`, `logged_in`, `delay` in seconds, and
`stops_after = 3` requests with `stop = "refused"`, `"reset"`, or a status like 504.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from http.server import ThreadingHTTPServer
from pathlib import Path

from kinds_of_objects import KINDS, Kind, Manifest, kind_of
from kubernetes_api import write_kubeconfig
from rbac_rights import EVERYTHING, Right, Rule, bound_rules, rules_of
from simulated_api import Handler

FOR_EVERYBODY = (  # of who is logged in, by system:basic-user
    "selfsubjectreviews",
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
)
Simulate = Callable[..., "Cluster"]


class Cluster:
    """What is on the cluster, who may see it, and all that was asked of it."""

    def __init__(
        self,
        *manifests: Manifest,
        account: str = "ann@example.com",
        rights: Iterable[Manifest] | None = None,
        lacking: Iterable[str] = (),
        installed: Iterable[str] = ("argoproj.io",),
        version: str = "v1.34.4",
        namespace: str = "default",
    ) -> None:
        self.namespace = namespace
        self.account, self.lacking, self.version = account, set(lacking), version
        self.groups = {"", *installed}
        self.own_rules = EVERYTHING
        if rights is not None:
            self.own_rules = [rule for role in rights for rule in rules_of(role)]
        self.kinds = list(KINDS)
        self.objects: dict[Kind, dict[tuple[str, str], Manifest]] = {}
        self.add(*manifests)
        self.requests: list[Right] = []  # all of them, in order
        self.dry_runs: list[Manifest] = []
        self.written: list[Right] = []  # what was no dry run, nor a review
        self.admit: Callable[[Manifest], Manifest] = lambda pod: pod
        self.logs: dict[str, str] = {}  # by pod, or pod/container
        self.logged_in = True
        self.expiring_tokens = 0
        self.delay = 0.0
        self.stops_after: int | None = None
        self.stop: str | int = "refused"
        self.variables: dict[str, str] = {}

    def add(self, *manifests: Manifest) -> None:
        for given in manifests:
            manifest = deepcopy(given)
            kind = kind_of(manifest, self.kinds)
            if kind not in self.kinds:
                self.kinds.append(kind)
            self.groups.add(kind.group)
            if kind.name == "CustomResourceDefinition":
                self.groups.add(manifest["metadata"]["name"].partition(".")[2])
            metadata = manifest["metadata"]
            if kind.namespaced:
                metadata.setdefault("namespace", self.namespace)
            manifest["apiVersion"] = kind.api_version
            found = self.objects.setdefault(kind, {})
            metadata.setdefault("uid", f"{kind.plural}-{len(found)}")
            metadata.setdefault("resourceVersion", "1")
            found[metadata.get("namespace", ""), metadata["name"]] = manifest

    def remove(self, kind: str, name: str) -> None:
        """Take an object away, of whichever namespace."""
        for found in (items for key, items in self.objects.items() if key.name == kind):
            for key in [key for key in found if key[1] == name]:
                del found[key]

    def all_objects(self) -> Iterator[Manifest]:
        for found in self.objects.values():
            yield from found.values()

    @property
    def read(self) -> set[str]:
        """Return what was read and asked, without reviews: rights like `list nodes`."""
        return {
            str(right)
            for right in self.requests
            if right.verb in ("get", "list", "watch") and right.resource
        }

    def allows(self, user: str, groups: Iterable[str], right: Right) -> bool:
        rules: Iterable[Rule] = bound_rules(self.all_objects(), user, list(groups))
        if user == self.account:
            rules = [*rules, *self.own_rules]
            if str(right) in self.lacking or right.resource in FOR_EVERYBODY:
                return right.resource in FOR_EVERYBODY
        return any(rule.allows(right) for rule in rules)

    @contextlib.contextmanager
    def serve(self, folder: Path) -> Iterator["Cluster"]:
        """Serve the API, and write a kubeconfig into a folder, to which `variables` lead."""
        handler = type("Handler", (Handler,), {"cluster": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as self.server:
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
            config = write_kubeconfig(folder / "simulated.json", self.server.server_port)
            self.variables = {
                "KUBECONFIG": str(config),
                "METAFLOW_KUBERNETES_NAMESPACE": self.namespace,
            }
            yield self
            self.server.shutdown()
