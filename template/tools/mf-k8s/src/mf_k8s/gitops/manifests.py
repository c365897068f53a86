"""The files of a rendering: a manifest each, and the kustomization that lists them."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from ..metaflow.compile_flows import CompiledFile
from ..metaflow.record_requests import Request, without_nulls, workflow_templates
from ..pods.project_labels import mark, marks
from ..pods.rbac import EXECUTOR_ROLE, accounts
from ..pods.read_pods import Manifest, workflow_pods
from ..project.project import Project

KUSTOMIZATION = "kustomization.yaml"
# Projects share service accounts: Argo CD must not delete one with the application of a project.
KEPT_BY_ARGO_CD = {"argocd.argoproj.io/sync-options": "Prune=false"}
HEADER = "# Rendered by `k8s render`: do not edit. sha256:"


class Dumper(yaml.SafeDumper):
    """Writes YAML that Kubernetes reads back unchanged.

    It quotes texts that Kubernetes' parser alone takes for numbers or booleans, like 1e3 and y:
    PyYAML by itself would not.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(0o)?[\d.]+([eE][-+]?\d+)?$"), [*"-+.0123456789"]
)
Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]$"), [*"yYnN"])


def rendered_files(
    requests: Sequence[Request], rights: Sequence[dict[str, Any]], command: str
) -> dict[str, str]:
    """Return the text of each file by its name. `command` is the one that renders them."""
    manifests = [*rights]
    for _, request in requests:
        request["body"]["metadata"]["namespace"] = request["namespace"]
        manifests.append(request["body"])
    files = {file_name(manifest): dump(manifest) for manifest in manifests}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    files[KUSTOMIZATION] = f"# {command}\n{dump(kustomization)}"
    return {name: with_header(text) for name, text in sorted(files.items())}


def rights_of_pods(
    project: Project,
    compiled: Iterable[CompiledFile],
    requests: Sequence[Request],
    environment: str,
) -> list[dict[str, Any]]:
    """Return the pods' service accounts, with a Role that no other rendering has."""
    templates = workflow_templates(requests)
    role = f"{project.name}-{environment}-{EXECUTOR_ROLE}"
    namespace = templates[0]["metadata"]["namespace"]
    pods = [pod for template in templates for pod in workflow_pods(template).values()]
    manifests = accounts(
        sorted({pod["service_account"] for pod in pods if pod.get("service_account")}),
        any(flow.has_parallel_step for flow in compiled),
        role,
    )
    for manifest in manifests:
        manifest["metadata"]["namespace"] = namespace
        for subject in manifest.get("subjects", ()):
            subject["namespace"] = namespace
        if manifest["kind"] == "ServiceAccount":
            manifest["metadata"]["annotations"] = KEPT_BY_ARGO_CD
        else:
            mark(manifest, marks(project))
    return manifests


def file_name(manifest: Manifest) -> str:
    return f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.yaml"


def dump(manifest: Manifest) -> str:
    """Return a manifest as YAML, without null values, which the Kubernetes client writes.

    A server-side apply refuses those of fields that Argo's definitions do not have yet, and to
    Argo CD the others would be differences for ever, as the cluster does not keep them.
    """
    text: str = yaml.dump(
        without_nulls(manifest), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1_000_000
    )
    return text


def with_header(text: str) -> str:
    """Return a file's text below a line that says that it is generated, with its checksum."""
    return f"{HEADER}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def is_rendered(text: str) -> bool:
    """Return whether this command has written a file, whoever has edited it since."""
    return text.startswith(HEADER)


def is_edited(text: str) -> bool:
    """Return whether a file was changed after this command has written it."""
    _, _, body = text.partition("\n")
    return with_header(body) != text
