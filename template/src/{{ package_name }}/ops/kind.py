"""The development cluster: kind, with what the flows need of a cluster (see cluster.py)."""

import json
import os
import shlex
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from . import PACKAGE, ROOT, Problem, environment, nodes
from .check import find_flows
from .cluster import capacity, manifest, objects, placements
from .compile import EVENTS, compile_flows
from .expect import expected_pods, read_config
from .nodes import KUBECONFIG, NAME, STATE, kubectl
from .pods import Pod
from .progress import part
from .tools import require, stop, succeeds, tool
from .waiting import lacking

MANIFESTS = {
    "ARGO": "argoproj/argo-workflows/releases/download/v3.7.12/install.yaml",
    "JOBSET": "kubernetes-sigs/jobset/releases/download/v0.10.1/manifests.yaml",
    "EVENTS": "argoproj/argo-events/releases/download/v1.9.7/install.yaml",
}
NAMESPACES = {"ARGO": "argo", "JOBSET": "jobset-system", "EVENTS": "argo-events"}
S3_IMAGE = "ghcr.io/versity/versitygw:v1.8.0"


def up() -> None:
    """Make the cluster, or bring it in line with k8s.toml and the flows; again in seconds.

    Without internet, these say where to find what it downloads: K8S_KIND_NODE_IMAGE, K8S_S3_IMAGE
    and, as a file or URL, K8S_ARGO_MANIFEST, K8S_JOBSET_MANIFEST, K8S_EVENTS_MANIFEST.
    K8S_KIND_CLUSTER gives the cluster another name than the project's.
    """
    require(("docker", "kind", "kubectl"))
    nodes.must_be_ours()
    started = time.monotonic()
    for folder in ("claims", "images"):
        (STATE / folder).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as beside:
        wanted: Future[tuple[list[str], int]] = Future()
        loading = beside.submit(nodes.load, wanted)
        try:
            with part("flows") as say:
                pods, needs = compiled()
                say(f"{len(pods)} pods")
            most, places = capacity(pods), placements(pods)
            config, told = nodes.described(len(places)), nodes.offer(most)
            standing = nodes.stands(config)
            images = {pod["image"] for pod in pods if "image" in pod}
            wanted.set_result((sorted(images), len(places)))
            if not standing:
                with part("cluster") as say:
                    nodes.create(config)
                    say(f"{NAME}: new, nodes: {len(places)}")
            with part("nodes") as say:
                say(nodes.configure(most, places, told, standing))
            with part("objects") as say:
                say(apply(pods, needs))
        except BaseException:
            wanted.cancel()
            stop()
            raise
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
    # what was claimed before the cluster could bind it waits for kube-controller-manager's
    # pvclaimbinder-sync-period, 15 s, or for a change
    kubectl("annotate", "pvc", "--all", "-A", "--overwrite", f"asked={time.time()}")


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


def apply(pods: list[Pod], needs: Iterable[str]) -> str:
    """Apply the manifests of all that the pods and their runs need."""
    namespace = environment.read("kind")["METAFLOW_KUBERNETES_NAMESPACE"]
    dns, *s3_server = of_kind_yaml()
    put([dns], "kube-system")
    ours = [*objects(pods, namespace, "JOBSET" in needs), *s3_server]
    put(ours, namespace)
    for claim in {claim for pod in pods for claim in pod.get("persistent_volume_claims", ())}:
        (STATE / "claims" / claim).mkdir(exist_ok=True)
        (STATE / "claims" / claim).chmod(0o777)  # for whichever user the image has
    for name in needs:
        home = NAMESPACES[name]
        put([manifest("v1", "Namespace", home), *yaml.safe_load_all(download(name))], home)
    return f"{len(ours)} applied"


def of_kind_yaml() -> list[dict[str, Any]]:
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
    nodes.must_be_ours(up=True)
    settings = environment.read("kind")
    try:
        s3 = tool("docker", "port", f"{NAME}-control-plane", nodes.S3_PORT).split()
    except Problem as problem:
        raise Problem("the cluster is stopped: k8s kind up starts it") from problem
    variables = {
        **{f"METAFLOW_ARGO_EVENTS_{name}": "default" for name in EVENTS},
        **settings,
        **of_kind_yaml()[-1]["stringData"],
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
    nodes.must_be_ours(up=True)
    folder.mkdir(parents=True, exist_ok=True)
    kubectl("cluster-info", "dump", "--all-namespaces", "--output-directory", str(folder))
    argo = kubectl("get", "workflows,workflowtemplates", "--all-namespaces", "--output=yaml")
    (folder / "workflows.yaml").write_text(argo, encoding="utf-8")
    if (STATE / "logs").exists():
        shutil.copytree(STATE / "logs", folder / "flows", dirs_exist_ok=True)


def down() -> None:
    """Delete the cluster and all that it keeps: claims, S3, runs."""
    require(("docker", "kind"))
    nodes.must_be_ours()
    if nodes.CONFIG.exists():
        if KUBECONFIG.exists():  # what pods wrote may belong to root
            node = f"{NAME}-control-plane"
            succeeds("docker", "start", node)
            succeeds("docker", "exec", node, "find", "/claims", "-mindepth", "1", "-delete")
        nodes.delete()
    shutil.rmtree(STATE, ignore_errors=True)
    print(f"kind cluster {NAME} is gone")
