"""The nodes of the development cluster: made, restarted and configured."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import run_program, succeeds
from .cluster import Cluster
from .plan_nodes import SYSTEM_NEEDS, engine_number, node_mounts

NODE_IMAGE = (  # https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
SETTLED_AFTER_S = 5  # without a node, after which Docker makes none that was asked for before
S3_PORT = 30070  # of the node, as in kind.yaml
INOTIFY_KEY = "fs.inotify.max_user_instances"
INOTIFY = f"/proc/sys/{INOTIFY_KEY.replace('.', '/')}"
# Of inotify, counted in /proc/*/fd: 26 of a control plane with Argo, 13 of another node, with room
# for what the machine itself uses.
INOTIFY_OF_CONTROL_PLANE, INOTIFY_OF_WORKER = 30, 20


def cluster_config(cluster: Cluster, count: int) -> str:
    """Return kind's configuration of a cluster of `count` nodes, as JSON."""
    mounts = [
        {"hostPath": str(cluster.folder / name), "containerPath": path}
        for name, path in node_mounts().items()
    ]
    image = os.environ.get("K8S_KIND_NODE_IMAGE", NODE_IMAGE)
    node = {"image": image, "extraMounts": mounts}
    port = {"containerPort": S3_PORT, "listenAddress": "127.0.0.1"}  # on any free port
    control_plane = node | {"role": "control-plane", "extraPortMappings": [port]}
    workers = [node | {"role": "worker"} for _ in range(count - 1)]
    kind = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": cluster.name}
    return json.dumps(kind | {"nodes": [control_plane, *workers]})


def reuse_or_delete(cluster: Cluster, config: str) -> bool:
    """Return whether the cluster is there and made with `config`.

    Such a cluster is started if it has stopped; one that was made otherwise is deleted. Raise
    CommandError if this project has no record of it.
    """
    exists = cluster.name in run_program("kind", "get", "clusters").split()
    if exists and not cluster.config_file.exists():
        what = f"there is a kind cluster {cluster.name}, of which {cluster.folder} knows nothing"
        delete = f"kind delete cluster --name {cluster.name}"
        remedy = f"{delete}, or choose another name with K8S_KIND_CLUSTER"
        raise CommandError(Finding("kind-cluster-foreign", what, cluster.name, remedy))
    names = cluster.node_names() if exists and cluster.is_made else []
    is_whole = len(names) == len(json.loads(config)["nodes"])  # or one was removed by hand
    if is_whole and cluster.config_file.read_text(encoding="utf-8") == config:
        state = ("docker", "inspect", "--format", "{{.State.Running}}")
        if "false" in run_program(*state, *names):
            restart(cluster, names)
        return True
    if exists:
        print(
            f"{cluster.name} is deleted first: it was not made to the end, a node is gone,"
            " or the flows now need other nodes"
        )
    delete_cluster(cluster)
    return False


def restart(cluster: Cluster, names: list[str]) -> None:
    """Start nodes that a restart of the machine has stopped, and restart what runs on them.

    At first every Deployment still reports that it is ready, as before the stop. Once it is
    restarted, it reports that only when it is true.
    """
    run_program("docker", "start", *names)
    for _ in range(60):
        if succeeds("kubectl", "--kubeconfig", str(cluster.kubeconfig), "get", "--raw=/readyz"):
            break
        time.sleep(2)
    else:
        what = f"{cluster.control_plane} was started and does not answer"
        remedy = "`uv run k8s kind down` deletes the cluster"
        raise CommandError(Finding("kind-does-not-answer", what, cluster.control_plane, remedy))
    for namespace in {
        deployment["metadata"]["namespace"] for deployment in cluster.get("deployments", "-A")
    }:
        cluster.kubectl("rollout", "restart", "deployment", "-n", namespace)
        cluster.kubectl("rollout", "status", "deployment", "-n", namespace, "--timeout=3m")


def create_cluster(cluster: Cluster, config: str) -> None:
    """Make the cluster; one that is not made to the end is deleted again."""
    cluster.config_file.write_text(config, encoding="utf-8")
    where = ("--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))
    try:
        run_program("kind", "create", "cluster", *where, "--config", "-", stdin=config)
    except CommandError:
        delete_cluster(cluster)
        raise
    except BaseException:
        delete_for_good(cluster)
        raise


def delete_cluster(cluster: Cluster) -> None:
    where = ("--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig))
    run_program("kind", "delete", "cluster", *where)
    for file in (cluster.config_file, cluster.kubeconfig, cluster.loaded_images_file):
        file.unlink(missing_ok=True)


def delete_for_good(cluster: Cluster) -> None:
    """Delete a cluster whose making was interrupted: Docker may still make the nodes asked for."""
    delete_cluster(cluster)
    deleted = time.monotonic()
    while time.monotonic() - deleted < SETTLED_AFTER_S:
        time.sleep(1)
        if cluster.name in run_program("kind", "get", "clusters").split():
            delete_cluster(cluster)
            deleted = time.monotonic()


def configure_nodes(
    cluster: Cluster, capacity: dict[str, int], nodes: list[dict[str, Any]], restart: bool
) -> str:
    """Give each node its labels, taints and devices, and return what a node has, to print.

    `restart` is for nodes that have read another capacity when they started. Devices are set as in
    https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
    """
    devices = {name: str(count) for name, count in capacity.items() if "/" in name}
    status = {"status": {"capacity": devices, "allocatable": devices}}
    names = cluster.node_names()
    limit_memory(names)
    for name, node in zip(names, nodes, strict=True):
        if restart:
            run_program("docker", "exec", name, "systemctl", "restart", "kubelet")
        metadata = {"metadata": {"labels": node["labels"]}}
        patch_node(cluster, name, metadata | {"spec": {"taints": node["taints"]}})
        if devices:
            patch_node(cluster, name, status, "--subresource=status")
    sizes = {**capacity, "memory": f"{capacity['memory'] / 2**30:.0f}Gi"}
    if "numa" not in node_mounts():
        sizes["cpu"] = "as this machine has"
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def limit_memory(names: Sequence[str]) -> None:
    """Limit the nodes, of which the control plane is the first, to nine tenths of the memory.

    They report more memory than the machine has, so the scheduler sets no such limit. With it,
    pods that use too much are killed, and not the machine's other programs.
    """
    of_control_plane, of_worker = memory_limits(engine_number("MemTotal"), len(names))
    for limit, nodes in ((of_control_plane, names[:1]), (of_worker, names[1:])):
        if nodes:
            run_program("docker", "update", f"--memory={limit}", f"--memory-swap={limit}", *nodes)


def memory_limits(memory: int, count: int) -> tuple[int, int]:
    """Return the limits of the control plane and of each other of `count` nodes, in bytes.

    The control plane gets what Kubernetes, Argo and S3 need, at most half, and an equal share of
    the rest.
    """
    usable = memory * 9 // 10
    reserved = min(SYSTEM_NEEDS["memory"], usable // 2)
    share = (usable - reserved) // count
    return reserved + share, share


def inotify_advice(count: int) -> str:
    """Return what to type before so many nodes are made; empty if Linux lets them be made.

    Past the limit, kubelet or a pod of the system fails with "too many open files"
    (https://kind.sigs.k8s.io/docs/user/known-issues/). Docker Desktop has its own machine.
    """
    try:
        limit = int(Path(INOTIFY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    needed = INOTIFY_OF_CONTROL_PLANE + INOTIFY_OF_WORKER * (count - 1)
    if needed <= limit:
        return ""
    return (
        f"{count} nodes need about {needed} inotify instances, and Linux allows {limit} here, so"
        f" nodes or pods may fail in odd ways: sudo sysctl {INOTIFY_KEY}={max(512, 2 * needed)}"
    )


def patch_node(cluster: Cluster, name: str, change: dict[str, Any], *options: str) -> None:
    patch = ("patch", "node", name, "--type=merge", "--patch", json.dumps(change))
    cluster.kubectl(*patch, *options)
