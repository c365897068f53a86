"""Reads the sizes and volumes of a pod's container, as settings named as in k8s.toml."""

from collections.abc import Mapping, Sequence
from typing import Any

from .quantities import quantity

Manifest = Mapping[str, Any]

GPU_RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
SIZE_RESOURCES = {"cpu": "cpu", "memory": "memory", "disk": "ephemeral-storage"}
# Metaflow's names of volumes that lie in memory, and the settings that ask for them.
MEMORY_VOLUMES = {"dhsm": "shared_memory", "tmpfs-ephemeral-volume": "use_tmpfs"}


def read_resources(resources: Manifest) -> dict[str, Any]:
    """Return cpu, memory, disk, qos, gpu and extended_resources."""
    requests, limits = (
        {name: quantity(value) for name, value in (resources.get(kind) or {}).items()}
        for kind in ("requests", "limits")
    )
    devices = {}
    for name in {*requests, *limits}.difference(SIZE_RESOURCES.values()):
        request, limit = requests.get(name), limits.get(name)
        # a cluster fills in the request of a GPU
        alike = request == limit or (request is None and name in GPU_RESOURCES.values())
        devices[name] = limit if alike else f"limit {limit}, request {request}"
    gpus = {name: count for name, count in devices.items() if name in GPU_RESOURCES.values()}
    return {
        **{key: requests.get(name) for key, name in SIZE_RESOURCES.items()},
        "qos": qos_class(requests, limits),
        "gpu": gpus,
        "extended_resources": {name: devices[name] for name in devices.keys() - gpus.keys()},
    }


def qos_class(requests: Mapping[str, str], limits: Mapping[str, str]) -> Any:
    """Return the value of `qos` that makes these requests and limits, or limits that none makes."""
    limited = {name: limits[name] for name in SIZE_RESOURCES.values() if name in limits}
    if not limited:
        return "Burstable"
    guaranteed = limited == {name: requests.get(name) for name in SIZE_RESOURCES.values()}
    return "Guaranteed" if guaranteed else limited


def read_volumes(volumes: Sequence[Manifest], mounts: Sequence[Manifest]) -> dict[str, Any]:
    """Return shared_memory, use_tmpfs and persistent_volume_claims.

    Each needs a volume of the pod and a mount of it; the text says where one of them is missing.
    """
    by_name = {volume["name"]: volume for volume in volumes}
    paths: dict[str, list[str]] = {}
    for mount in mounts:
        flags = [key for key, value in mount.items() if value is True]
        paths.setdefault(mount["name"], []).append(" ".join([mount["mountPath"], *flags]))
    settings: dict[str, Any] = {"persistent_volume_claims": {}}
    for name in {**by_name, **paths}:
        volume = by_name.get(name, {})
        where = " and ".join(paths.get(name, ["no path"]))
        directory = volume.get("emptyDir") or {}
        claim = volume.get("persistentVolumeClaim") or {}
        if name in MEMORY_VOLUMES:
            if name in paths or "sizeLimit" in directory:
                limit, medium = quantity(directory.get("sizeLimit")), directory.get("medium")
                settings[MEMORY_VOLUMES[name]] = f"{limit} of {medium} at {where}"
        elif claim or not volume:
            note = " readOnly" if claim.get("readOnly") else ""
            note = note if claim else " (no such volume)"
            settings["persistent_volume_claims"][claim.get("claimName", name)] = where + note
    return settings
