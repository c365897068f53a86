"""What a cluster shows to whoever may look: read once, in pages, by rights that have names."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import CommandError, Finding
from .api import BY_RBAC, explain_errors, reason_given
from .rights import EVERYWHERE, Kind, Right, Scope
from .slim import Object, demands, image_names, key_names, offers
from .target import Target

PAGE = 500  # objects of one answer: kubectl's own number
EXPIRED = 410  # of a page's token: https://kubernetes.io/docs/reference/using-api/api-concepts/
Listed = list[Any]  # which `list` cannot name below

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
