"""The project's development cluster: its name, and where its files are."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import run_program
from ..project.project import Project


@dataclass(frozen=True)
class Cluster:
    """A kind cluster and the folder that has all that this machine keeps of it.

    It is `.kind` in the project, unless K8S_KIND_FOLDER names another place.
    """

    name: str
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def config_file(self) -> Path:
        """Return the file with kind's configuration of the cluster, as JSON."""
        return self.folder / "config.yaml"

    @property
    def capacity_file(self) -> Path:
        """Return the file with the capacity that the nodes have been configured with."""
        return self.folder / "capacity.json"

    @property
    def loaded_images_file(self) -> Path:
        return self.folder / "images.json"

    @property
    def control_plane(self) -> str:
        """Return the name of the node, a container, that runs Kubernetes itself."""
        return f"{self.name}-control-plane"

    @property
    def is_made(self) -> bool:
        return self.kubeconfig.exists()

    def make_folders(self) -> None:
        """Make the folder and those in it that nodes mount; raise CommandError if that fails."""
        try:
            for name in ("claims", "images"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            what = f"{self.folder} cannot be written: {error.strerror}"
            folder = "a folder on this machine's own disk, for the cluster's files"
            remedy = f"set K8S_KIND_FOLDER to {folder}"
            finding = Finding("kind-folder-not-writable", what, str(self.folder), remedy)
            raise CommandError(finding) from error

    def kubectl(self, *command: str, stdin: str | None = None) -> str:
        where = ("kubectl", "--kubeconfig", str(self.kubeconfig))
        return run_program(*where, *command, stdin=stdin)

    def get(self, what: str, *options: str) -> list[Any]:
        """Return the objects of a kind, like pods, as `kubectl get` lists them."""
        items: list[Any] = json.loads(self.kubectl("get", what, *options, "--output=json"))["items"]
        return items

    def node_names(self) -> list[str]:
        return sorted(run_program("kind", "get", "nodes", "--name", self.name).split())


def find_cluster(project: Project) -> Cluster:
    """Return the project's cluster, made or not.

    Its name is the one under which it was made, or else K8S_KIND_CLUSTER, or the package's. Raise
    CommandError if K8S_KIND_CLUSTER is another than the one under which it was made.
    """
    folder = folder_of(project)
    config = read_json(folder / "config.yaml")
    recorded = config["name"] if config else ""
    chosen = os.environ.get("K8S_KIND_CLUSTER")
    if recorded and chosen and recorded != chosen:
        what = f"this project's cluster is {recorded}, not {chosen}"
        finding = Finding("kind-cluster-of-another-name", what, remedy="unset K8S_KIND_CLUSTER")
        raise CommandError(finding)
    return Cluster(recorded or chosen or project.name, folder)


def folder_of(project: Project) -> Path:
    """Return the project's folder for its cluster, which `kind down` deletes.

    Elsewhere, its name has a hash of the project's own: another clone must not get the same one.
    """
    if elsewhere := os.environ.get("K8S_KIND_FOLDER"):
        clone = hashlib.sha256(os.fsencode(os.path.realpath(project.root))).hexdigest()[:8]
        name = f"{project.name}-{clone}.kind"
        return Path(os.path.abspath(os.path.expanduser(elsewhere)), name)
    return project.root / ".kind"


def read_json(file: Path) -> Any:
    """Return what is in a file of .kind, or None if there is none that can be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def find_running_cluster(project: Project) -> Cluster:
    """Return the project's cluster; raise CommandError if `kind up` has not made it."""
    cluster = find_cluster(project)
    if not cluster.is_made:
        remedy = "run `uv run k8s kind up`"
        raise CommandError(Finding("kind-not-up", "no cluster is up", remedy=remedy))
    return cluster
