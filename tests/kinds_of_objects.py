"""The kinds that a simulated cluster knows, and the selectors with which they are listed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    name: str
    group: str
    version: str
    plural: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_builtin(self) -> bool:
        """Return whether it is Kubernetes' own: in a list, such objects lack their kind."""
        return "." not in self.group or self.group.endswith(".k8s.io")


def read_table(table: str) -> list[Kind]:
    found = []
    for line in table.strip().splitlines():
        api_version, scope, *names = line.split()
        group, _, version = api_version.rpartition("/")
        for name in names:
            name, _, plural = name.partition("=")
            found.append(
                Kind(name, group, version, plural or plural_of(name), scope == "namespace")
            )
    return found


def plural_of(kind: str) -> str:
    word = kind.lower()
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


KINDS = read_table("""
v1 cluster Namespace Node PersistentVolume
v1 namespace ConfigMap Event LimitRange PersistentVolumeClaim Pod ResourceQuota Secret Service
v1 namespace ServiceAccount
apps/v1 namespace DaemonSet Deployment ReplicaSet StatefulSet
batch/v1 namespace CronJob Job
policy/v1 namespace PodDisruptionBudget
events.k8s.io/v1 namespace Event
scheduling.k8s.io/v1 cluster PriorityClass
storage.k8s.io/v1 cluster CSIDriver CSINode StorageClass
node.k8s.io/v1 cluster RuntimeClass
resource.k8s.io/v1 cluster DeviceClass ResourceSlice
rbac.authorization.k8s.io/v1 cluster ClusterRole ClusterRoleBinding
rbac.authorization.k8s.io/v1 namespace Role RoleBinding
apiextensions.k8s.io/v1 cluster CustomResourceDefinition
admissionregistration.k8s.io/v1 cluster MutatingWebhookConfiguration ValidatingAdmissionPolicy
admissionregistration.k8s.io/v1 cluster ValidatingWebhookConfiguration
argoproj.io/v1alpha1 namespace CronWorkflow EventBus=eventbus EventSource Sensor Workflow
argoproj.io/v1alpha1 namespace WorkflowTaskResult WorkflowTaskSet WorkflowTemplate
argoproj.io/v1alpha1 cluster ClusterWorkflowTemplate
jobset.x-k8s.io/v1alpha2 namespace JobSet
kueue.x-k8s.io/v1beta1 namespace LocalQueue Workload
kueue.x-k8s.io/v1beta1 cluster ClusterQueue ResourceFlavor
karpenter.sh/v1 cluster NodeClaim NodePool
""")

OF_EACH = ("metadata.name", "metadata.namespace")
FIELDS = {  # what a server can select by, else it answers 400
    "pods": (
        "spec.hostNetwork", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
        "spec.serviceAccountName", "status.nominatedNodeName", "status.phase", "status.podIP",
    ),
    "events": (
        "involvedObject.apiVersion", "involvedObject.kind", "involvedObject.name",
        "involvedObject.namespace", "involvedObject.uid", "reason", "reportingComponent",
        "source", "type",
    ),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "jobs": ("status.successful",),
}  # fmt: skip


def kind_of(manifest: Manifest, installed: Iterable[Kind]) -> Kind:
    """Return the kind of a manifest, whose apiVersion may be left out; else one made of it."""
    version = manifest.get("apiVersion")
    for kind in installed:
        if kind.name == manifest["kind"] and version in (None, kind.api_version):
            return kind
    assert version, f"the simulated cluster needs the apiVersion of {manifest['kind']}"
    group, _, version = version.rpartition("/")
    name, namespaced = manifest["kind"], "namespace" in manifest["metadata"]
    return Kind(name, group, version, plural_of(name), namespaced)


def unsupported_field(plural: str, selector: str) -> str:
    """Return the field of a selector that a real server would refuse."""
    for part in filter(None, selector.split(",")):
        field = re.split("!?==?", part)[0]
        if field not in OF_EACH + FIELDS.get(plural, ()):
            return field
    return ""


def has_fields(manifest: Manifest, selector: str) -> bool:
    """Return whether the fields of an object are as a selector says."""
    for part in filter(None, selector.split(",")):
        field, operator, value = re.split("(!?==?)", part, maxsplit=1)
        found: Any = manifest
        for key in field.split("."):
            found = found.get(key, "") if isinstance(found, dict) else ""
        text = str(found).lower() if isinstance(found, bool) else str(found)
        if (text == value) == operator.startswith("!"):
            return False
    return True


def has_labels(manifest: Manifest, selector: str) -> bool:
    """Return whether the labels of an object are as a selector says."""
    labels = manifest["metadata"].get("labels") or {}
    for part in filter(None, re.split(r",(?![^(]*\))", selector)):
        if several := re.fullmatch(r"(\S+) (in|notin) \((.*)\)", part.strip()):
            key, operator, values = several.groups()
            is_one = labels.get(key) in [value.strip() for value in values.split(",")]
            holds = is_one == (operator == "in")
        elif "=" in part:
            key, operator, value = re.split("(!?==?)", part, maxsplit=1)
            holds = (labels.get(key) == value) != operator.startswith("!")
        else:
            holds = (part.lstrip("!") in labels) != part.startswith("!")
        if not holds:
            return False
    return True
