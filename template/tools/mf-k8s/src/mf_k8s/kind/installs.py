"""What is installed on the development cluster: Argo Workflows, JobSet, Argo Events and S3."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import CommandError, Finding
from ..pods.pending_reasons import why_pending
from ..pods.rbac import manifest
from ..pods.read_yaml import read_documents
from ..project.project import Project
from ..project.tool_table import TABLE, place_of, read_table
from .cluster import Cluster
from .namespace_objects import what_is_missing

ARGO_RELEASES = {"3.7": "v3.7.12", "4": "v4.0.5"}  # by what [tool.mf-k8s] argo may be
INSTALLS = {  # on github.com, and the namespace in which each runs
    "ARGO": ("argoproj/argo-workflows/releases/download/ARGO_RELEASE/install.yaml", "argo"),
    "JOBSET": (
        "kubernetes-sigs/jobset/releases/download/v0.10.1/manifests.yaml",
        "jobset-system",
    ),
    "EVENTS": ("argoproj/argo-events/releases/download/v1.9.7/install.yaml", "argo-events"),
}
IN_EACH = {"CustomResourceDefinition", "Deployment"}  # at least one of them is in each
DIGEST = "mf-k8s/manifest"  # an annotation of the namespace
# How long Argo waits after a pod's end before it starts the next step. The default is 10 s; for
# short steps its authors advise down to 2 s (workflow/controller/rate_limiters.go).
REQUEUE_TIME = {"name": "DEFAULT_REQUEUE_TIME", "value": "2s"}
S3_IMAGE = (
    "ghcr.io/versity/versitygw:v1.8.0"
    "@sha256:30292fc2eeacc67a36993b01f7a7a5e3361a19cced0e80c1d71cfa2a4b0a2499"
)


def argo_release(project: Project) -> str:
    """Return the release of Argo Workflows that the project has chosen, like v3.7.12.

    Raise CommandError if there is no such choice.
    """
    file = project.root / "pyproject.toml"
    choice = (read_table(file) or {}).get("argo", "4")
    if not isinstance(choice, str) or choice not in ARGO_RELEASES:
        known = ", ".join(map(json.dumps, ARGO_RELEASES))
        what = f"argo must be one of {known}, not {json.dumps(choice)}"
        where = place_of(file)
        raise CommandError(Finding("argo-release-unknown", f"{where} {what}", where))
    return ARGO_RELEASES[choice]


def install(project: Project, cluster: Cluster, name: str) -> None:
    """Apply the manifest of ARGO, JOBSET or EVENTS, unless this version has done so."""
    place, namespace = manifest_place(project, name), INSTALLS[name][1]
    kept = cluster.folder / quote(place, safe="")
    text = download(place, kept, name)
    digest = hashlib.sha256(f"{version(TABLE)}\n{text}".encode()).hexdigest()
    if installed(cluster, namespace) == digest:
        return
    try:
        manifests = read_install(text, place, name)
    except CommandError:
        kept.unlink(missing_ok=True)  # or each `kind up` would read it again
        raise
    if name == "ARGO":
        shorten_requeue_time(manifests)
    apply(cluster, [manifest("v1", "Namespace", namespace), *manifests], namespace)
    cluster.kubectl("annotate", "namespace", namespace, "--overwrite", f"{DIGEST}={digest}")


def manifest_place(project: Project, name: str) -> str:
    """Return the file or URL of the manifest of ARGO, JOBSET or EVENTS."""
    path = INSTALLS[name][0].replace("ARGO_RELEASE", argo_release(project))
    return os.environ.get(f"K8S_{name}_MANIFEST", f"https://github.com/{path}")


def installed(cluster: Cluster, namespace: str) -> str:
    """Return the digest of what `install` has applied to a namespace, or an empty text."""
    field = f"jsonpath={{.items[*].metadata.annotations.{DIGEST}}}"
    selector = f"--field-selector=metadata.name={namespace}"
    return cluster.kubectl("get", "namespaces", selector, f"--output={field}")


def shorten_requeue_time(manifests: Iterable[Any]) -> None:
    """Set DEFAULT_REQUEUE_TIME of Argo's controller, unless the manifest sets it."""
    for item in manifests:
        if item["kind"] == "Deployment" and item["metadata"]["name"] == "workflow-controller":
            for container in item["spec"]["template"]["spec"]["containers"]:
                variables = container.setdefault("env", [])
                if all(variable["name"] != REQUEUE_TIME["name"] for variable in variables):
                    variables.append(REQUEUE_TIME)


def kind_yaml() -> list[dict[str, Any]]:
    """Return the manifests of kind.yaml: CoreDNS's, then those of S3, its Secret last."""
    text = Path(__file__).with_name("kind.yaml").read_text(encoding="utf-8")
    text = text.replace("S3_IMAGE", os.environ.get("K8S_S3_IMAGE", S3_IMAGE))
    return read_documents(text)


def apply(cluster: Cluster, manifests: Iterable[Any], namespace: str) -> None:
    """Apply manifests, except Argo's server and user interface, which nothing here uses."""
    items = [item for item in manifests if "argo-server" not in item["metadata"]["name"]]
    how = ("--server-side", "--force-conflicts", *from_stdin(namespace))
    cluster.kubectl("apply", *how, stdin=as_list(items))


def apply_missing(
    cluster: Cluster,
    manifests: Sequence[Any],
    namespace: str,
    values: Mapping[str, Mapping[str, str]],
) -> int:
    """Make the objects that are missing, leave the others, and return how many were made.

    `values` are those of Secrets, which are set where they differ. Only a patch leaves the others
    alone: `kubectl apply` takes away what somebody has applied before, under any field manager.
    """
    options = ("--ignore-not-found", "--output=json", *from_stdin(namespace))
    answer = json.loads(cluster.kubectl("get", *options, stdin=as_list(manifests)) or "{}")
    present = answer.get("items", [answer] if answer else [])
    missing, lacking = what_is_missing(manifests, present, values)
    if missing:
        apply(cluster, missing, namespace)
    for item in lacking:
        which = (item["kind"], item["metadata"]["name"], "--namespace", namespace)
        data = json.dumps({"data": item["data"]})
        cluster.kubectl("patch", *which, "--type=merge", "--patch", data)
    return len(missing)


def from_stdin(namespace: str) -> tuple[str, ...]:
    return ("--namespace", namespace, "--filename", "-")


def as_list(manifests: Sequence[Any]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def download(place: str, kept: Path, name: str) -> str:
    """Return what is at a place, a file or a URL; raise CommandError if it cannot be read.

    What comes from the internet is kept in a file, so that the next `kind up` needs none.
    """
    from http.client import HTTPException

    try:
        if "://" not in place:
            return Path(place).read_text(encoding="utf-8", errors="replace")
        if not kept.exists():
            from urllib.request import urlopen

            with urlopen(place, timeout=60) as answer:
                kept.write_bytes(answer.read())
        return kept.read_text(encoding="utf-8", errors="replace")
    except (OSError, HTTPException) as error:
        remedy = f"set K8S_{name}_MANIFEST to a file or URL that can be read"
        finding = Finding("install-unreadable", f"cannot read {place}: {error}", place, remedy)
        raise CommandError(finding) from error


def read_install(text: str, place: str, name: str) -> list[Any]:
    """Return the manifests of an installation.

    Raise CommandError for anything else, like the login page with which a proxy answers.
    """
    import yaml

    try:
        manifests = read_documents(text)
    except yaml.YAMLError:
        manifests = []
    kinds = {item.get("kind") for item in manifests if isinstance(item, dict)}
    if kinds & IN_EACH and all(is_manifest(item) for item in manifests):
        return manifests
    found, remedy = "has no Kubernetes manifests", ""
    if re.match(r"\s*<", text):
        found = "is a web page, like a proxy's login page, and has no Kubernetes manifests"
        remedy = "log in to the proxy, or "
    remedy += f"set K8S_{name}_MANIFEST to a file or URL that has them"
    raise CommandError(Finding("install-not-manifests", f"{place} {found}", place, remedy))


def is_manifest(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and "kind" in document
        and "name" in (document.get("metadata") or {})
    )


def await_deployments(cluster: Cluster) -> None:
    """Wait until all that is installed is ready; raise CommandError with what it lacks."""
    ready = ("--for=condition=Available", "--timeout=3m")
    try:
        cluster.kubectl("wait", "deployment", "-A", "--all", *ready)
    except CommandError as error:
        found = [
            (pod["metadata"]["name"], why_pending(pod, {})) for pod in cluster.get("pods", "-A")
        ]
        findings = [
            Finding("install-not-ready", reason.what, name) for name, reason in found if reason
        ]
        raise CommandError(*findings or error.findings) from error
    # While Argo is replaced by another release, the old controller stays available.
    controller = ("deployment/workflow-controller", "--namespace", INSTALLS["ARGO"][1])
    cluster.kubectl("rollout", "status", *controller, "--timeout=3m")
    # A claim that the cluster could not bind yet waits for the next sync of
    # kube-controller-manager (pvclaimbinder-sync-period, 15 s), or for a change of the claim.
    change = f"asked={time.time()}"
    cluster.kubectl("annotate", "pvc", "--all", "-A", "--overwrite", change)
