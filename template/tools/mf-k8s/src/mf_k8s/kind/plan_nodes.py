"""How many nodes a cluster needs for the flows' pods, and how large they must say they are."""

import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import CommandError
from ..pods.quantities import parse_quantity
from ..pods.read_pods import Pod
from ..programs.run import run_program
from ..project.pod_table import POD
from .cluster import Cluster

PODS_AT_ONCE = 4  # pods of the largest size that a node takes, so that a foreach does not queue
SYSTEM_NEEDS = {"cpu": 2, "memory": 2 * 1024**3}  # cores and bytes: Argo, S3, Kubernetes
NUMA = "/sys/devices/system/node"  # some kernels have none: WSL's, and those of some Macs' VMs
PODMAN = {"NCPU": "Host.CPUs", "MemTotal": "Host.MemTotal"}  # what Podman's `docker info` has
MOUNTS = {"meminfo": "/proc/meminfo", "claims": "/claims", "images": "/images"}


def labels_and_taints(pods: Iterable[Pod]) -> list[dict[str, Any]]:
    """Return `labels` and `taints` of each node, first the control plane's, which has none.

    Each combination of a node selector and tolerations gets its own node: on a shared one, the
    taints that some pods tolerate would repel the others.
    """
    nodes: list[dict[str, Any]] = [{"labels": {}, "taints": []}]
    for pod in pods:
        node = {
            "labels": {**pod.get("node_selector", {}), **required_labels(pod)},
            "taints": tolerated_taints(pod.get("tolerations", ())),
        }
        nodes += [] if node in nodes else [node]
    return nodes


def required_labels(pod: Pod) -> dict[str, str]:
    """Return the labels that a pod's affinity requires of a node, by the first of its terms."""
    affinity = pod.get(POD, {}).get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.get("nodeSelectorTerms") or [{}]
    return {
        each["key"]: next(iter(each.get("values") or ["true"]))
        for each in terms[0].get("matchExpressions") or ()
        if each["operator"] in ("In", "Exists")
    }


def tolerated_taints(tolerations: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Return the taints that these tolerations are for, one for each key and effect."""
    taints = [
        {
            "key": toleration["key"],
            "value": toleration.get("value", ""),
            "effect": toleration.get("effect") or "NoSchedule",
        }
        for toleration in tolerations
        if toleration.get("key")  # without a key it tolerates every taint
    ]
    # tolerations may name several values, and a node has one taint of a key and effect
    return list({(taint["key"], taint["effect"]): taint for taint in taints}.values())


def node_capacity(pods: Sequence[Pod]) -> dict[str, int]:
    """Return what each node must have: `cpu` in cores, `memory` in bytes, and devices by name."""
    largest: dict[str, int] = {}
    for pod in pods:
        sizes = {key: pod.get(key, "0") for key in ("cpu", "memory")}
        sizes |= {**pod.get("gpu", {}), **pod.get("extended_resources", {})}
        for name, text in sizes.items():
            size = math.ceil(parse_quantity(text) or 0)
            largest[name] = max(largest.get(name, 0), size)
    return {name: PODS_AT_ONCE * size + SYSTEM_NEEDS.get(name, 0) for name, size in largest.items()}


def node_mounts() -> dict[str, str]:
    """Return the paths in a node at which files and folders of `.kind` are mounted, by name."""
    return MOUNTS | ({"numa": NUMA} if Path(NUMA).exists() else {})


def real_cores() -> int:
    """Return how many cores Docker has."""
    return engine_number("NCPU")


def engine_number(name: str) -> int:
    """Return what `docker info` has under a name: NCPU, or MemTotal in bytes."""
    try:
        return int(run_program("docker", "info", "--format", f"{{{{.{name}}}}}"))
    except CommandError:
        return int(run_program("docker", "info", "--format", f"{{{{.{PODMAN[name]}}}}}"))


def advertise(cluster: Cluster, capacity: dict[str, int], cores: int) -> None:
    """Write the files by which a node's kubelet learns how many cores and how much memory it has.

    Mounted over the node's own, they make it take the pods that k8s.toml asks for on any machine.
    Kubelet counts the cores of all NUMA nodes (GetNodesInfo in cadvisor's
    utils/sysinfo/sysinfo.go), so enough NUMA nodes of the same, real `cores` make any number.
    """
    numa = cluster.folder / "numa"
    for node in numa.glob("*"):  # the folder itself stays, because it is mounted
        shutil.rmtree(node)
    for number in range(-(-capacity["cpu"] // cores)):
        write_numa_node(numa / f"node{number}", number, cores)
    kibibytes = capacity["memory"] // 1024
    sizes = {"MemTotal": kibibytes, "MemFree": kibibytes, "MemAvailable": kibibytes, "SwapTotal": 0}
    lines = [f"{name}: {size} kB\n" for name, size in sizes.items()]
    (cluster.folder / "meminfo").write_text("".join(lines), encoding="utf-8")


def write_numa_node(folder: Path, number: int, cores: int) -> None:
    for core in range(cores):
        topology = folder / f"cpu{core}/topology"
        topology.mkdir(parents=True)
        (topology / "core_id").write_text(f"{core}\n", encoding="utf-8")
        (topology / "physical_package_id").write_text("0\n", encoding="utf-8")
    (folder / "meminfo").write_text(f"Node {number} MemTotal: 0 kB\n", encoding="utf-8")
