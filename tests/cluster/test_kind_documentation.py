"""The pages whose commands need a cluster, one after the other on one: tests/documentation.py.

The cluster has what the example asks for in the namespace that the pages name, `ml-prod`, and is
their production, too. So they end with it as they began, and `kind down` comes after the last.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import EXAMPLE, FIGURES, run, serve_registry
from documentation import PAGES, PROJECTS, home_of_reader, needs_cluster, run_page, started
from kind_clusters import NEEDS_KIND, Project, exports

pytestmark = NEEDS_KIND
CLUSTER = "mf-template-docs"
ANSWERS = EXAMPLE | {
    "namespace": "ml-prod",
    "datastore_root": "s3://metaflow/churn",
    "project_name": "churn",
}
# tests/cluster/test_kind.py runs this flow, which has many pods.
EDITS = "printf '[train]\\nskip = \"it has many pods\"\\n' >>tests/kind.toml"
NAMES = {
    "argo-train-x7k2p": "argo-$(kubectl get workflows -n ml-prod -o name | sed 's/.*\\///')",
    "prod-cluster": f"kind-{CLUSTER}",
    "s3://acme-metaflow": "s3://metaflow",
    "team-a": "ml-prod",
    "uv run k8s kind down": "true",
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    yield from serve_registry(tmp_path_factory.mktemp("registry"))


@pytest.fixture(scope="module")
def fresh(
    copy: Callable[..., Path], registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a project as Copier makes it; of its two flows one is left out on the cluster."""
    folder = tmp_path_factory.mktemp("fresh") / "churn"
    copy(folder, **ANSWERS | {"image": f"{registry}/churn:1.2.3"})
    run("sh", "-ec", EDITS, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def cluster(
    fresh: Path, template: Path, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Return a project with a cluster, in whose folder each page begins anew."""
    folder = tmp_path_factory.mktemp("documentation") / "churn"
    shutil.copytree(fresh, folder)
    answers = ANSWERS | {"image": f"{registry}/churn:1.2.3"}
    env = home_of_reader(folder.parent / "home", template, **answers) | {"EDITS": EDITS}
    project = Project(folder, "ml-prod", **env)
    with project.cluster(CLUSTER):
        of_cluster = exports(project)
        print(of_cluster)
        project.env |= {
            name: value
            for name, value in of_cluster.items()
            if not name.startswith("METAFLOW_") or name == "METAFLOW_KUBERNETES_SECRETS"
        }
        yield project


REPOSITORY = {
    "features.py": "COLUMNS = ['age']\n",
    "requirements.txt": "tabulate\n",
    ".gitignore": ".venv/\n.kind/\n",
    "train.py": """from features import COLUMNS
from metaflow import FlowSpec, kubernetes, step


class TrainFlow(FlowSpec):
    @step
    def start(self):
        self.columns = COLUMNS
        self.next(self.train)

    @kubernetes(disk=20000)
    @step
    def train(self):
        self.next(self.end)

    @step
    def end(self):
        print(self.columns)


if __name__ == "__main__":
    TrainFlow()
""",
}


def begin(name: str, fresh: Path, folder: Path) -> None:
    """Make of a folder what the readers of a page have; its environment and cluster stay."""
    for path in folder.iterdir():
        if path.name not in (".venv", ".kind"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if name == "docs/adopting.md":
        for file, text in REPOSITORY.items():
            (folder / file).write_text(text)
    elif name != "README.md":  # which makes it
        shutil.copytree(fresh, folder, dirs_exist_ok=True)
    if name != "README.md":
        started(folder)


CLUSTER_PAGES = [
    name
    for name, page in PAGES.items()
    if needs_cluster(page.read_text()) and name != "docs/images.md"  # tests/cluster/test_image.py
]


@pytest.mark.parametrize("name", [*CLUSTER_PAGES, PROJECTS])
def test_page(cluster: Project, fresh: Path, name: str) -> None:
    begin(name, fresh, cluster.folder)
    cluster.kubectl("delete", "workflowtemplates,workflows,jobs,pods", "--all")
    page = (PAGES.get(name) or fresh / "README.md").read_text()
    if name == PROJECTS:  # whose readers see its comments
        page = page.replace("\n\n```python", "\n<!-- run: uv run python -->\n```python")
    started_at = time.monotonic()
    output = run_page(name, page, cluster.folder, cluster.env, NAMES)
    FIGURES[f"the commands of {name}"] = f"{time.monotonic() - started_at:.0f} s"
    print(output)
