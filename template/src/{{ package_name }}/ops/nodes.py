"""The nodes of the development cluster: made by kind, sized for the pods, with their images."""

import json
import os
import re
import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from . import PACKAGE, ROOT, Problem
from .expect import read_config
from .image import archive, build, by_digest, in_archive
from .progress import part
from .tools import succeeds, tool

NODE_IMAGE = (  # https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
S3_PORT = "30070"  # of the node, as in kind.yaml
NUMA = "/sys/devices/system/node"  # is not there in every kernel: WSL's may lack it

STATE = ROOT / ".kind"
KUBECONFIG = STATE / "kubeconfig"
CONFIG = STATE / "config.yaml"
MADE = json.loads(CONFIG.read_text())["name"] if CONFIG.exists() else ""
NAME = os.environ.get("K8S_KIND_CLUSTER") or MADE or PACKAGE.name.replace("_", "-")
CAPACITY, LOADED = STATE / "capacity", STATE / "images.json"
MOUNTS = {"meminfo": "/proc/meminfo", "claims": "/claims", "images": "/images"}
MOUNTS |= {"numa": NUMA} if Path(NUMA).exists() else {}


def kubectl(*command: str, given: str | None = None) -> str:
    return tool("kubectl", "--kubeconfig", str(KUBECONFIG), *command, given=given)


def node_names() -> list[str]:
    return sorted(tool("kind", "get", "nodes", "--name", NAME).split())


def must_be_ours(up: bool = False) -> None:
    """Raise Problem if the project's cluster has another name, or if it must be up and is not."""
    if MADE not in ("", NAME):
        raise Problem(f"this project's cluster is {MADE}, not {NAME}: unset K8S_KIND_CLUSTER")
    if up and not KUBECONFIG.exists():
        raise Problem("no cluster is up: k8s kind up")


def offer(most: dict[str, int]) -> str:
    """Write the files that tell a node's kubelet how much it has; give what, if it is new.

    Mounted over the node's own, they make it take the pods that k8s.toml asks for on any machine.
    The kubelet counts the cores of all NUMA nodes (GetNodesInfo in cadvisor's
    utils/sysinfo/sysinfo.go), so enough NUMA nodes of the same, real cores make any number.
    """
    cores = int(tool("docker", "info", "--format", "{{.NCPU}}"))
    told = json.dumps([cores, most])
    if CAPACITY.exists() and CAPACITY.read_text() == told:
        return ""
    numa = STATE / "numa"  # its nodes are replaced and it stays, being what is mounted
    for node in numa.glob("*"):
        shutil.rmtree(node)
    for number in range(-(-most["cpu"] // cores)):
        for core in range(cores):
            topology = numa / f"node{number}/cpu{core}/topology"
            topology.mkdir(parents=True)
            (topology / "core_id").write_text(f"{core}\n")
            (topology / "physical_package_id").write_text("0\n")
        (numa / f"node{number}/meminfo").write_text(f"Node {number} MemTotal: 0 kB\n")
    sizes = dict.fromkeys(("MemTotal", "MemFree", "MemAvailable"), most["memory"] // 1024)
    lines = [f"{name}: {size} kB\n" for name, size in {**sizes, "SwapTotal": 0}.items()]
    (STATE / "meminfo").write_text("".join(lines))
    return told


def described(count: int) -> str:
    """Give the configuration of a cluster of so many nodes, for kind."""
    node = {
        "image": os.environ.get("K8S_KIND_NODE_IMAGE", NODE_IMAGE),
        "extraMounts": [
            {"hostPath": str(STATE / name), "containerPath": path} for name, path in MOUNTS.items()
        ],
    }
    port = {"containerPort": int(S3_PORT), "listenAddress": "127.0.0.1"}  # on any free port
    first = node | {"role": "control-plane", "extraPortMappings": [port]}
    workers = [node | {"role": "worker"} for _ in range(count - 1)]
    kind = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "name": NAME}
    return json.dumps(kind | {"nodes": [first, *workers]})


def stands(config: str) -> bool:
    """Give whether the cluster is there and as described; what is there otherwise is deleted.

    Raises Problem if it is not this project's, or does not start.
    """
    there = NAME in tool("kind", "get", "clusters").split()
    if there and not CONFIG.exists():
        raise Problem(
            f"a kind cluster {NAME} is there that this project did not make: "
            f"kind delete cluster --name {NAME}, or choose another name by K8S_KIND_CLUSTER"
        )
    if there and KUBECONFIG.exists() and CONFIG.read_text() == config:
        names = node_names()
        if "false" in tool("docker", "inspect", "--format", "{{.State.Running}}", *names):
            restart(names)
        return True
    if there:
        print(f"{NAME} is deleted first: k8s.toml now needs other nodes, or it was left half made")
    delete()
    return False


def restart(names: list[str]) -> None:
    """Start nodes that a restart of the machine has stopped, and renew what runs on them.

    For a while they say that all is ready, as it was before; what is new is ready when they say so.
    """
    tool("docker", "start", *names)
    ask = ("kubectl", "--kubeconfig", str(KUBECONFIG), "get", "--raw=/readyz")
    for _ in range(60):
        if succeeds(*ask):
            break
        time.sleep(2)
    where = "jsonpath={.items[*].metadata.namespace}"
    for namespace in {*kubectl("get", "deployments", "-A", "--output", where).split()}:
        kubectl("rollout", "restart", "deployment", "-n", namespace)
        kubectl("rollout", "status", "deployment", "-n", namespace, "--timeout=3m")


def create(config: str) -> None:
    CONFIG.write_text(config)
    try:
        options = ("--name", NAME, "--kubeconfig", str(KUBECONFIG), "--config", "-")
        tool("kind", "create", "cluster", *options, given=config)
    except Problem:
        delete()
        raise
    except BaseException:
        time.sleep(3)  # Docker may still be making the node that it was asked for
        delete()
        raise


def delete() -> None:
    tool("kind", "delete", "cluster", "--name", NAME, "--kubeconfig", str(KUBECONFIG))
    for file in (CONFIG, KUBECONFIG, LOADED):
        file.unlink(missing_ok=True)


def configure(most: dict[str, int], places: list[dict[str, Any]], told: str, started: bool) -> str:
    """Give each node its labels, taints and devices; if it had started before, what `offer` told.

    https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
    """
    devices = {name: str(count) for name, count in most.items() if "/" in name}
    status = {"status": {"capacity": devices, "allocatable": devices}}
    for name, place in zip(node_names(), places, strict=True):
        if told and started:
            tool("docker", "exec", name, "systemctl", "restart", "kubelet")
        labels, taints = {"labels": place["labels"]}, {"taints": place["taints"]}
        patch("node", name, {"metadata": labels, "spec": taints})
        if devices:
            patch("node", name, status, "--subresource=status")
    if told:
        CAPACITY.write_text(told)
    sizes = {**most, "memory": f"{most['memory'] / 2**30:.0f}Gi"}
    if "numa" not in MOUNTS:
        sizes["cpu"] = "as this machine has"
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def patch(kind: str, name: str, change: dict[str, Any], *options: str) -> None:
    kubectl("patch", kind, name, "--type=merge", "--patch", json.dumps(change), *options)


def load(wanted: Future[tuple[list[str], int]]) -> None:
    """Have the wanted images on that many nodes.

    The one of k8s.toml is got ready while the flows that may want others compile, and is loaded
    while the nodes start: either takes as long.
    """
    own = read_config(ROOT / "k8s.toml").get("image")
    with part("images") as say:
        found = {own: obtain(own, True)} if own else {}
        packed = pack(found, {})
        images, count = wanted.result()
        found |= {image: obtain(image, False) for image in images if image not in found}
        packed = pack(found, packed)
        names: list[str] = []
        while packed and not (len(names) == count and all(map(takes_images, names))):
            time.sleep(0.5)
            names = node_names()
        for image, file in packed.items():
            with ThreadPoolExecutor() as pool:
                list(pool.map(partial(bring, image, found[image].split()[0], file), names))
            file.unlink()
        LOADED.write_text(json.dumps(found))
        say(", ".join(images))


def obtain(image: str, own: bool) -> str:
    """Build an image, or pull it by your login; give its platform and ID."""
    if own and (ROOT / "Dockerfile").exists():
        build(image)
    elif not succeeds("docker", "image", "inspect", image):
        tool("docker", "pull", image)
    how = "{{.Os}}/{{.Architecture}} {{.Id}}"
    return tool("docker", "image", "inspect", "--format", how, image)


def pack(found: dict[str, str], packed: dict[str, Path]) -> dict[str, Path]:
    """Write the images that the nodes lack to files, beside those that are packed already."""
    loaded = json.loads(LOADED.read_text()) if LOADED.exists() else {}
    for image in found.keys() - packed:
        if loaded.get(image) != found[image]:
            file = STATE / "images" / f"{len(packed)}.tar"
            archive(image, file)
            packed |= {image: file}
    return packed


def bring(image: str, platform: str, file: Path, node: str) -> None:
    """Import an archive as `kind load` does, from a mount, which takes a third less work.

    And of the one platform: Docker's containerd image store lists others, which are not there
    (https://github.com/kubernetes-sigs/kind/issues/3795).
    """
    of = ("docker", "exec", node)
    config = tool(*of, "containerd", "config", "dump")
    snapshotter, *_ = [*re.findall(r"""snapshotter = ["'](\w[\w-]*)""", config), "overlayfs"]
    ctr = (*of, "ctr", "--namespace=k8s.io", "images")
    how = ("--platform", platform, "--digests", "--snapshotter", snapshotter)
    tool(*ctr, "import", *how, f"{MOUNTS['images']}/{file.name}")
    if (name := in_archive(image)) != image:
        tool(*ctr, "tag", "--force", name, by_digest(image))


def takes_images(node: str) -> bool:
    return succeeds("docker", "exec", node, "ctr", "version")
