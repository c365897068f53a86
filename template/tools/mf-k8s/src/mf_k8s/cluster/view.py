"""What a cluster shows to whoever may look: read once, in pages, by rights that have names."""

import functools
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ..errors import CommandError, Finding
from .api import BY_RBAC, explain_errors, reason_given
from .target import Target

PAGE = 500  # objects of one answer: kubectl's own number
EVERYWHERE = "*"  # all namespaces
EXPIRED = 410  # of a page's token: https://kubernetes.io/docs/reference/using-api/api-concepts/

# where a right is needed: in the namespace of the runs, everywhere, where Argo or Kubernetes runs
Scope = Literal["namespace", "cluster", "argo", "system"]
SYSTEM = "kube-system"
Object = dict[str, Any]
Listed = list[Any]  # which `list` cannot name below


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


def whole(item: Object) -> Object:
    return item


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


def key_names(secret: Object) -> Object:
    """Return a Secret without its values, which nobody needs but a registry (see `login`)."""
    return secret | {"data": dict.fromkeys(secret.get("data") or {}, "")}


def demands(pod: Object) -> Object:
    """Return of a pod what a node must have for it, and whose it is."""
    spec, metadata = pod["spec"], pod["metadata"]
    containers = ("containers", "initContainers")
    kept = {
        key: [
            {field: item[field] for field in ("resources", "restartPolicy") if field in item}
            for item in spec.get(key) or ()
        ]
        for key in containers
    }
    kept |= {
        key: spec[key] for key in ("nodeName", "overhead", "priority", "resources") if key in spec
    }
    named = {key: metadata.get(key) for key in ("name", "namespace", "labels", "ownerReferences")}
    phase = (pod.get("status") or {}).get("phase")
    return {"metadata": named, "spec": kept, "status": {"phase": phase}}


def offers(node: Object) -> Object:
    """Return a node without its images and what only Kubernetes itself needs."""
    metadata, status = node["metadata"], node.get("status") or {}
    named = {key: metadata.get(key) for key in ("name", "labels")}
    kept = ("allocatable", "capacity", "conditions", "nodeInfo")
    stated = {key: status[key] for key in kept if key in status}
    return {"metadata": named, "spec": node.get("spec") or {}, "status": stated}


def image_names(node: Object) -> Object:
    """Return of a node the names of the images that it has."""
    images = (node.get("status") or {}).get("images") or ()
    names = [name for image in images for name in image.get("names") or ()]
    return {"name": node["metadata"]["name"], "images": names}


NAMESPACES = Kind("v1", "namespaces", namespaced=False)
ACCOUNTS = Kind("v1", "serviceaccounts")
SECRETS = Kind("v1", "secrets", slim=key_names)
CONFIG_MAPS = Kind("v1", "configmaps")
CLAIMS = Kind("v1", "persistentvolumeclaims")
VOLUMES = Kind("v1", "persistentvolumes", namespaced=False)
STORAGE_CLASSES = Kind("storage.k8s.io/v1", "storageclasses", namespaced=False)
EVENTS = Kind("v1", "events")
PODS = Kind("v1", "pods")
DEMANDS = Kind("v1", "pods", slim=demands)  # of every pod of the cluster
NODES = Kind("v1", "nodes", namespaced=False, slim=offers)
NODE_IMAGES = Kind("v1", "nodes", namespaced=False, slim=image_names)
QUOTAS = Kind("v1", "resourcequotas")
LIMIT_RANGES = Kind("v1", "limitranges")
ROLES = Kind("rbac.authorization.k8s.io/v1", "roles")
ROLE_BINDINGS = Kind("rbac.authorization.k8s.io/v1", "rolebindings")
CLUSTER_ROLES = Kind("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind("rbac.authorization.k8s.io/v1", "clusterrolebindings", False)
DEPLOYMENTS = Kind("apps/v1", "deployments")
JOBS = Kind("batch/v1", "jobs")
PRIORITY_CLASSES = Kind("scheduling.k8s.io/v1", "priorityclasses", namespaced=False)
WORKFLOWS = Kind("argoproj.io/v1alpha1", "workflows")
WORKFLOW_TEMPLATES = Kind("argoproj.io/v1alpha1", "workflowtemplates")
JOB_SETS = Kind("jobset.x-k8s.io/v1alpha2", "jobsets")
EVENT_BUSES = Kind("argoproj.io/v1alpha1", "eventbus")
EVENT_SOURCES = Kind("argoproj.io/v1alpha1", "eventsources")
LOCAL_QUEUES = Kind("kueue.x-k8s.io/v1beta1", "localqueues")
NODE_POOLS = Kind("karpenter.sh/v1", "nodepools", namespaced=False)


class NotAllowed(CommandError):
    """The cluster refuses to show something: which right the user's account lacks."""

    def __init__(self, right: Right) -> None:
        self.right = right
        what = f"your account is not allowed to {right}"
        super().__init__(Finding("look-not-allowed", what, remedy="ask for a Role that allows it"))


@dataclass(frozen=True)
class View:
    """Reads objects of a cluster, each only once."""

    target: Target
    rights: frozenset[Right] | None = None  # the only ones to use; None for any
    known: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def only(self, rights: Iterable[Right]) -> "View":
        """Return the same view for somebody who has said which rights it needs."""
        return replace(self, rights=frozenset(rights))

    def get(self, kind: Kind, name: str, namespace: str = "", scope: Scope = "namespace") -> Any:
        """Return an object, or None if there is none.

        Raise NotAllowed if the user may not read it, and CommandError if there is no answer.
        """
        right = self.declared(kind.right("get", scope))
        path = kind.path(namespace or self.target.namespace, name)

        def read() -> Any:
            found = self.read(path, right)
            return kind.slim(found) if found else None

        return self.once((path, kind.slim), read)

    def login(self, name: str) -> dict[str, str] | None:
        """Return a Secret's values, for an image registry alone; None if there is no such Secret.

        The view does not keep them. Raise NotAllowed if the user may not read Secrets.
        """
        right = self.declared(SECRETS.get)
        found = self.read(SECRETS.path(self.target.namespace, name), right)
        return (found.get("data") or {}) if found else None

    def list(self, kind: Kind, namespace: str = "", scope: Scope = "namespace") -> list[Any]:
        """Return all objects of a namespace, or EVERYWHERE; none where the kind is not installed.

        Raise NotAllowed if the user may not read them, and CommandError if there is no answer.
        """
        right = self.declared(kind.right("list", "cluster" if namespace == EVERYWHERE else scope))
        path = kind.path(namespace or self.target.namespace)
        found: Listed = self.once((path, kind.slim), lambda: self.pages(kind, path, right))
        return found

    def serves(self, kind: Kind) -> bool:
        """Return whether the cluster knows a kind, which everybody may ask."""
        root = "/api" if "/" not in kind.version else "/apis"
        path = f"{root}/{kind.version}"
        right = Right("get", kind.group, "definitions", "cluster")
        found = self.once(path, lambda: self.read(path, right)) or {}
        return any(item["name"] == kind.plural for item in found.get("resources", ()))

    def may(self, right: Right, namespace: str = "") -> bool | None:
        """Return whether the user has a right; None where the cluster does not say."""
        resource, _, subresource = right.resource.partition("/")
        attributes = {
            "verb": right.verb,
            "group": right.group,
            "resource": resource,
            "subresource": subresource,
        }
        if right.scope == "namespace":
            attributes["namespace"] = namespace or self.target.namespace
        status = self.review("selfsubjectaccessreviews", {"resourceAttributes": attributes})
        if status is None or status.get("evaluationError"):
            return None
        return bool(status.get("allowed"))

    def review(self, plural: str, spec: Mapping[str, Any], namespace: str = "") -> Any:
        """Return the status of a review of access; None where the user may not ask for it.

        `plural` is selfsubjectaccessreviews, subjectaccessreviews or, in a namespace,
        localsubjectaccessreviews.
        """
        kind = Kind("authorization.k8s.io/v1", plural, namespaced=bool(namespace))
        names = {
            "selfsubjectaccessreviews": "SelfSubjectAccessReview",
            "subjectaccessreviews": "SubjectAccessReview",
            "localsubjectaccessreviews": "LocalSubjectAccessReview",
        }
        body = {"apiVersion": kind.version, "kind": names[plural], "spec": dict(spec)}
        if namespace:
            body["metadata"] = {"namespace": namespace}
        right = kind.right("create")

        def ask() -> Any:
            try:
                return self.request("POST", kind.path(namespace), right, body) or None
            except NotAllowed:
                return None

        answer = self.once((plural, namespace, str(body)), ask)
        return answer["status"] if answer else None

    def declared(self, right: Right) -> Right:
        """Return a right; fail if who looks has not said that it needs it."""
        if self.rights is not None and right not in self.rights:
            raise AssertionError(f"a rule reads what its READS lacks: {right}")
        return right

    def once(self, key: Any, ask: Callable[[], Any]) -> Any:
        """Return what is known by a key, or ask for it; a refusal is kept, too."""
        if key not in self.known:
            try:
                self.known[key] = ask()
            except NotAllowed as refusal:
                self.known[key] = refusal
        if isinstance(self.known[key], NotAllowed):
            raise self.known[key]
        return self.known[key]

    def read(self, path: str, right: Right) -> Any:
        return self.request("GET", path, right)

    def pages(self, kind: Kind, path: str, right: Right) -> Listed:
        """Return the objects of all pages; of a list that changes too fast, from one answer."""
        found: Listed = []
        query = {"limit": str(PAGE)}
        while True:
            page = self.request("GET", path, right, query=query)
            if page == EXPIRED:  # what was read is of another state of the list
                page, found = self.request("GET", path, right), []
            page = page or {}
            found += map(kind.slim, page.get("items") or ())
            query["continue"] = (page.get("metadata") or {}).get("continue", "")
            if not query["continue"]:
                return found

    def request(
        self,
        method: str,
        path: str,
        right: Right,
        body: Object | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the answer to a request; None for what does not exist, EXPIRED for a page."""
        from kubernetes.client import ApiException

        with explain_errors(str(right)):
            try:
                return self.target.ask(method, path, body, query or {})
            except ApiException as error:
                if error.status in (404, 405):
                    return None
                if error.status == EXPIRED:
                    return EXPIRED
                reason = reason_given(error.body)
                anonymous = "system:anonymous" in str(error.body)
                if error.status == 403 and not anonymous and (not reason or BY_RBAC.search(reason)):
                    raise NotAllowed(right) from error
                raise


@functools.cache
def all_kinds() -> dict[str, Kind]:
    """Return the kinds of this module by their names in it."""
    return {name: kind for name, kind in globals().items() if isinstance(kind, Kind)}
