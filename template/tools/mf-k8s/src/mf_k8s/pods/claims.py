"""What claims and volumes of Kubernetes say: who may mount them, and on which nodes.

Source: kubernetes.io/docs/concepts/storage/persistent-volumes and /storage-classes.
"""

from collections.abc import Iterable
from typing import Any

from .node_labels import Terms
from .quantities import parse_quantity
from .read_pods import Manifest

ONCE, MANY = "ReadWriteOnce", "ReadWriteMany"
ONCE_POD, READ_MANY = "ReadWriteOncePod", "ReadOnlyMany"
DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
# Provisioners of disks, whose file systems one node mounts at a time.
OF_ONE_NODE = (
    "ebs.csi.aws.com",
    "ebs.csi.eks.amazonaws.com",
    "kubernetes.io/aws-ebs",
    "pd.csi.storage.gke.io",
    "kubernetes.io/gce-pd",
    "disk.csi.azure.com",
    "kubernetes.io/azure-disk",
    "rancher.io/local-path",
    "cinder.csi.openstack.org",
)
NO_PROVISIONER = "kubernetes.io/no-provisioner"  # of volumes that an administrator makes
FIRST_POD = "WaitForFirstConsumer"


def claims_of(spec: Manifest) -> list[str]:
    """Return the claims that a pod mounts, each once."""
    sources = [volume.get("persistentVolumeClaim") or {} for volume in spec.get("volumes") or ()]
    return [*dict.fromkeys(source["claimName"] for source in sources if source)]


def writing_claims(spec: Manifest) -> set[str]:
    """Return the claims that a container of a pod may write to."""
    volumes = {
        volume["name"]: volume["persistentVolumeClaim"]
        for volume in spec.get("volumes") or ()
        if volume.get("persistentVolumeClaim")
    }
    return {
        volumes[mount["name"]]["claimName"]
        for container in (*(spec.get("initContainers") or ()), *spec["containers"])
        for mount in container.get("volumeMounts") or ()
        if mount["name"] in volumes
        and not mount.get("readOnly")
        and not volumes[mount["name"]].get("readOnly")
    }


def access_modes(claim: Manifest) -> list[str]:
    """Return the access modes of a claim: those of its volume once it is bound."""
    status = claim.get("status") or {}
    return list(status.get("accessModes") or claim["spec"].get("accessModes") or ())


def default_class(classes: Iterable[Manifest]) -> Manifest | None:
    """Return the StorageClass that a claim gets which names none."""
    for each in classes:
        annotations = each["metadata"].get("annotations") or {}
        if any(annotations.get(key) == "true" for key in DEFAULT_CLASS):
            return each
    return None


def volume_terms(volume: Manifest) -> Terms:
    """Return the node selector of a bound volume; empty if every node can mount it."""
    affinity = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
    return list(affinity.get("nodeSelectorTerms") or ())


def class_terms(storage_class: Manifest) -> Terms:
    """Return the node selector of the volumes that a StorageClass makes; empty for every node."""
    return [
        {
            "matchExpressions": [
                {**entry, "operator": "In"} for entry in term.get("matchLabelExpressions") or ()
            ]
        }
        for term in storage_class.get("allowedTopologies") or ()
    ]


def may_bind(volume: Manifest, claim: Manifest) -> bool:
    """Return whether an administrator's volume is free and large enough for a claim."""
    spec, asked = volume["spec"], claim["spec"]
    size = (asked.get("resources") or {}).get("requests", {}).get("storage", "0")
    return (
        (volume.get("status") or {}).get("phase") == "Available"
        and (spec.get("storageClassName") or "") == (asked.get("storageClassName") or "")
        and {*(asked.get("accessModes") or ())} <= {*(spec.get("accessModes") or ())}
        and (parse_quantity(str((spec.get("capacity") or {}).get("storage", "0"))) or 0)
        >= (parse_quantity(str(size)) or 0)
    )


def new_claim(name: str, mode: str, size: str = "SIZE", storage_class: str = "") -> dict[str, Any]:
    """Return a claim to be made."""
    spec: dict[str, Any] = {"accessModes": [mode], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": spec,
    }
