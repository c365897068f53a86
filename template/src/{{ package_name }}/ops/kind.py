"""The development cluster: kind, with what the flows need of a cluster (see cluster.py)."""

import json
import os
import shlex
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from . import PACKAGE, ROOT, Problem, environment
from .check import find_flows
from .cluster import capacity, manifest, nodes, objects
from .compile import EVENTS, compile_flows
from .expect import expected_pods, read_config
from .image import build
from .pods import Pod
from .progress import part
from .tools import require, succeeds, tool
from .waiting import lacking

NODE_IMAGE = (  # https://github.com/kubernetes-sigs/kind/releases/tag/v0.33.0
    "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
)
MANIFESTS = {
    "ARGO": "argoproj/argo-workflows/releases/download/v3.7.12/install.yaml",
    "JOBSET": "kubernetes-sigs/jobset/releases/download/v0.10.1/manifests.yaml",
    "EVENTS": "argoproj/argo-events/releases/download/v1.9.7/install.yaml",
}
NAMESPACES = {"ARGO": "argo", "JOBSET": "jobset-system", "EVENTS": "argo-events"}
S3_IMAGE = "ghcr.io/versity/versitygw:v1.8.0"
S3_PORT = "30070"  # of the node, as in kind.yaml
MOUNTS = {"meminfo": "/proc/meminfo", "numa": "/sys/devices/system/node", "claims": "/claims"}

NAME = os.environ.get("K8S_KIND_CLUSTER") or PACKAGE.name.replace("_", "-")
STATE = ROOT / ".kind"
KUBECONFIG = STATE / "kubeconfig"
CONFIG = STATE / "config.yaml"
ARCHIVE, LOADED = STATE / "images.tar", STATE / "images.txt"


def kubectl(*command: str, given: str | None = None) -> str:
    return tool("kubectl", "--kubeconfig", str(KUBECONFIG), *command, given=given)


def node_names() -> list[str]:
    return sorted(tool("kind", "get", "nodes", "--name", NAME).split())


def up() -> None:
    """Make the cluster, or bring it in line with k8s.toml and the flows; again in seconds.

    With no internet, name what it downloads: K8S_KIND_NODE_IMAGE, K8S_S3_IMAGE and, as a file or
    URL, K8S_ARGO_MANIFEST, K8S_JOBSET_MANIFEST, K8S_EVENTS_MANIFEST.
    """
    require(("docker", "kind", "kubectl"))
    started = time.monotonic()
    STATE.mkdir(exist_ok=True)
    with part("flows") as say:
        pods, needs = compiled()
        say(f"{len(pods)} pods")
    images = sorted({pod["image"] for pod in pods if "image" in pod})
    most, placements = capacity(pods), nodes(pods)
    config, changed = described(len(placements)), offer(most)
    standing = stands(config)
    with ThreadPoolExecutor() as beside:
        loading = beside.submit(load, images, len(placements))
        if not standing:
            with part("cluster") as say:
                create(config)
                say(f"{NAME}, nodes: {len(placements)}")
        with part("nodes") as say:
            say(configure(most, placements, changed))
        with part("objects") as say:
            say(apply(pods, needs))
        loading.result()
    with part("ready") as say:
        await_deployments()
        say(", ".join(["S3", *needs]))
    print(f"kind cluster {NAME} is up after {time.monotonic() - started:.1f} s")


def await_deployments() -> None:
    try:
        kubectl("wait", "deployment", "-A", "--all", "--for=condition=Available", "--timeout=3m")
    except Problem as problem:
        pods = json.loads(kubectl("get", "pods", "-A", "--output=json"))["items"]
        said = {f"{one['metadata']['name']}: {why}" for one in pods if (why := lacking(one, {}))}
        raise Problem("; ".join(sorted(said)) or str(problem)) from problem


def compiled() -> tuple[list[Pod], list[str]]:
    """Give every pod of every flow, and what must be installed for them; kept until a file changes.

    Raises Problem for a flow that does not compile.
    """
    places = [ROOT.glob("*.*"), (ROOT / "flows").rglob("*"), PACKAGE.rglob("*")]
    files = sorted(file for place in places for file in place if file.suffix not in ("", ".pyc"))
    stamp = [[str(file), file.stat().st_mtime_ns] for file in files]
    kept = STATE / "pods.json"
    if kept.exists() and (there := json.loads(kept.read_text()))["of"] == stamp:
        return there["pods"], there["needs"]
    config, needs = read_config(ROOT / "k8s.toml"), {"ARGO"}
    pods: list[Pod] = []
    for result in compile_flows(find_flows(()), ROOT):
        if result["error"]:
            raise Problem(f"{os.path.relpath(result['file'])}: {result['error']}")
        if flow := result["flow"]:
            pods += expected_pods(config, flow).values()
            if any(step["parallel"] for step in flow["steps"].values()):
                needs.add("JOBSET")
            if "metaflow/triggers" in result["template"]["metadata"]["annotations"]:
                needs.add("EVENTS")
    kept.write_text(json.dumps({"of": stamp, "pods": pods, "needs": sorted(needs)}))
    return pods, sorted(needs)


def offer(most: dict[str, int]) -> bool:
    """Write the files that tell a node's kubelet how much it has; give whether they changed.

    Mounted over the node's own, they make it take the pods that k8s.toml asks for on any machine.
    The kubelet counts the cores of all NUMA nodes (GetNodesInfo in cadvisor's
    utils/sysinfo/sysinfo.go), so enough NUMA nodes of the same, real cores make any number.
    """
    cores = int(tool("docker", "info", "--format", "{{.NCPU}}"))
    kept, told = STATE / "capacity.json", json.dumps([cores, most])
    if kept.exists() and kept.read_text() == told:
        return False
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
    kept.write_text(told)
    return True


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
    kind = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"}
    return json.dumps(kind | {"nodes": [first, *workers]})


def stands(config: str) -> bool:
    """Give whether the cluster is there and as described; what is there otherwise is deleted.

    Raises Problem if it is not this project's.
    """
    there = NAME in tool("kind", "get", "clusters").split()
    if there and not CONFIG.exists():
        raise Problem(
            f"a kind cluster {NAME} is there that this project did not make: "
            f"kind delete cluster --name {NAME}, or choose another name by K8S_KIND_CLUSTER"
        )
    if there and KUBECONFIG.exists() and CONFIG.read_text() == config:
        tool("docker", "start", *node_names())  # a restart of the machine may have stopped them
        return True
    delete()  # it has other nodes, or was left half made
    return False


def create(config: str) -> None:
    (STATE / "claims").mkdir(exist_ok=True)
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


def configure(most: dict[str, int], placements: list[dict[str, Any]], changed: bool) -> str:
    """Give each node its labels, taints and devices, and let it see what it offers now.

    https://kubernetes.io/docs/tasks/administer-cluster/extended-resource-node/
    """
    devices = {name: str(count) for name, count in most.items() if "/" in name}
    status = {"status": {"capacity": devices, "allocatable": devices}}
    for name, placement in zip(node_names(), placements, strict=True):
        if changed:
            tool("docker", "exec", name, "systemctl", "restart", "kubelet")
        labels, taints = {"labels": placement["labels"]}, {"taints": placement["taints"]}
        patch("node", name, {"metadata": labels, "spec": taints})
        if devices:
            patch("node", name, status, "--subresource=status")
    gibibytes = {"memory": f"{most['memory'] / 2**30:.0f}Gi"}
    return ", ".join(f"{name} {count}" for name, count in {**most, **gibibytes}.items())


def patch(kind: str, name: str, change: dict[str, Any], *options: str) -> None:
    kubectl("patch", kind, name, "--type=merge", "--patch", json.dumps(change), *options)


def apply(pods: list[Pod], needs: Iterable[str]) -> str:
    """Apply the manifests of all that the pods and their runs need."""
    namespace = environment.read("kind")["METAFLOW_KUBERNETES_NAMESPACE"]
    ours = [*objects(pods, namespace, "JOBSET" in needs), *s3_server()]
    put(ours, namespace)
    for claim in {claim for pod in pods for claim in pod.get("persistent_volume_claims", ())}:
        (STATE / "claims" / claim).mkdir(exist_ok=True)
        (STATE / "claims" / claim).chmod(0o777)  # for whichever user the image has
    for name in needs:
        home = NAMESPACES[name]
        put([manifest("v1", "Namespace", home), *yaml.safe_load_all(download(name))], home)
    return f"{len(ours)} applied"


def s3_server() -> list[dict[str, Any]]:
    text = (Path(__file__).parent / "kind.yaml").read_text(encoding="utf-8")
    text = text.replace("S3_IMAGE", os.environ.get("K8S_S3_IMAGE", S3_IMAGE))
    return list(yaml.safe_load_all(text))


def put(manifests: Iterable[Any], namespace: str) -> None:
    """Apply manifests, without Argo's server and user interface, which nothing here uses."""
    wanted = [one for one in manifests if one and "argo-server" not in one["metadata"]["name"]]
    how = ("--server-side", "--force-conflicts", "--namespace", namespace, "--filename", "-")
    kubectl("apply", *how, given=json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted}))


def download(name: str) -> str:
    """Give a manifest; one from the internet is kept, so that the next `kind up` needs none."""
    place = os.environ.get(f"K8S_{name}_MANIFEST", f"https://github.com/{MANIFESTS[name]}")
    kept = STATE / urllib.parse.quote(place, safe="")
    try:
        if "://" not in place:
            return Path(place).read_text(encoding="utf-8")
        if not kept.exists():
            with urllib.request.urlopen(place, timeout=60) as answer:
                kept.write_bytes(answer.read())
        return kept.read_text(encoding="utf-8")
    except OSError as error:
        remedy = f"K8S_{name}_MANIFEST may name a file instead"
        raise Problem(f"{place}: {error}; {remedy}") from error


def load(images: list[str], count: int) -> None:
    """Have the images on that many nodes: the project's own built, the others pulled by your login.

    This begins while the nodes start, for it takes as long.
    """
    own = read_config(ROOT / "k8s.toml").get("image")
    with part("images") as say:
        for image in images:
            if image == own and (ROOT / "Dockerfile").exists():
                build(image)
            elif not succeeds("docker", "image", "inspect", image):
                tool("docker", "pull", image)
        ids = tool("docker", "image", "inspect", "--format", "{{.Id}}", *images)
        if not LOADED.exists() or LOADED.read_text() != ids:
            tool("docker", "save", "--output", str(ARCHIVE), *images)
            names: list[str] = []
            while len(names) < count or not all(
                succeeds("docker", "exec", name, "ctr", "version") for name in names
            ):
                time.sleep(0.5)
                names = node_names()
                if not CONFIG.exists():
                    return  # the cluster could not be made
            tool("kind", "load", "image-archive", "--name", NAME, str(ARCHIVE))
            ARCHIVE.unlink()
            LOADED.write_text(ids)
        say(", ".join(images))


def env() -> None:
    """Print what turns a shell to the cluster: eval "$(uv run k8s kind env)"."""
    hers, variables = of_elsewhere(), use()
    for name in hers - variables.keys():
        print(f"unset {name}")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def of_elsewhere() -> set[str]:
    """Give the variables by which a shell is turned to another cluster or datastore."""
    return {name for name in os.environ if name.startswith(("METAFLOW_", "AWS_"))}


def use() -> dict[str, str]:
    """Turn this process and what it starts to the cluster; give the variables that do so.

    Metaflow's configuration and tokens are then the cluster's own, kept in .kind.
    """
    if not KUBECONFIG.exists():
        raise Problem("no cluster is up: k8s kind up")
    settings = environment.read("kind")
    s3 = tool("docker", "port", f"{NAME}-control-plane", S3_PORT).split()
    if not s3:
        raise Problem("the cluster is stopped: k8s kind up starts it")
    variables = {
        **{f"METAFLOW_ARGO_EVENTS_{name}": "default" for name in EVENTS},
        **settings,
        **s3_server()[-1]["stringData"],
        "AWS_ENDPOINT_URL_S3": f"http://{s3[0]}",
        "KUBECONFIG": str(KUBECONFIG),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(STATE),
        "METAFLOW_HOME": str(STATE),
        "METAFLOW_PROFILE": "",
    }
    for name in of_elsewhere():
        del os.environ[name]
    os.environ.update(variables)
    return variables


def logs(folder: Path) -> None:
    """Gather what tells why a flow failed in FOLDER: pods and their logs, events, workflows."""
    if not KUBECONFIG.exists():
        raise Problem("no cluster is up: k8s kind up")
    folder.mkdir(parents=True, exist_ok=True)
    kubectl("cluster-info", "dump", "--all-namespaces", "--output-directory", str(folder))
    argo = kubectl("get", "workflows,workflowtemplates", "--all-namespaces", "--output=yaml")
    (folder / "workflows.yaml").write_text(argo, encoding="utf-8")
    if (STATE / "logs").exists():
        shutil.copytree(STATE / "logs", folder / "flows", dirs_exist_ok=True)


def down() -> None:
    """Delete the cluster and all that it keeps: claims, S3, runs."""
    require(("docker", "kind"))
    if CONFIG.exists():
        if KUBECONFIG.exists():  # what pods wrote may belong to root
            node = f"{NAME}-control-plane"
            succeeds("docker", "exec", node, "find", "/claims", "-mindepth", "1", "-delete")
        delete()
    shutil.rmtree(STATE, ignore_errors=True)
