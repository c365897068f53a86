"""Objects of a cluster without what nobody asks for: a large one has very many of them."""

from typing import Any

Object = dict[str, Any]


def whole(item: Object) -> Object:
    return item


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
