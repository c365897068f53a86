"""A second cluster, beside that of test_kind.py: Argo 3.7, and the project with every answer.

test_interrupted makes one of its own. It is here because this file has less to do.
"""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ADVANCED, delete_cluster, run, serve_registry
from kind_clusters import (
    FLOWS,
    NEEDS_KIND,
    Project,
    from_a_branch_to_pruned,
    in_background,
    lines,
    make_team,
    seen,
)

pytestmark = NEEDS_KIND
CLUSTER = "mf-template-argo-3"
VISION = {
    "image": "registry.example.com:5000/team/vision:2024.1",
    "service_account": "trainer.team-a",
    "gpu": {"amd.com/gpu": "2"},
    "shared_memory": "1Gi",
    "claims": {"data": "/data", "models-v2": "/srv/models"},
}
PLACEMENT = {
    "node_selector": {"pool": "gpu", "example.com/zone": "eu-1"},
    "tolerations": {("amd.com/gpu", None, "NoSchedule"), ("team", "vision", "NoExecute")},
    "pull_secrets": {"regcred", "other-cred"},
}


def placed(pod: Any) -> dict[str, Any]:
    """Return where a live pod may run and by which secrets its image is pulled."""
    found = pod["spec"].get("tolerations", [])
    own = [item for item in found if not item.get("key", "").startswith("node.kubernetes.io/")]
    return {
        "node_selector": pod["spec"].get("nodeSelector"),
        "tolerations": {(item["key"], item.get("value"), item.get("effect")) for item in own},
        "pull_secrets": {item["name"] for item in pod["spec"].get("imagePullSecrets", [])},
    }


@pytest.fixture(scope="module")
def vision(
    copy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """Return the project with every answer, on Argo 3.7. Its image exists.

    K8S_ARGO_3_MANIFEST may name Argo 3's manifest, where K8S_ARGO_MANIFEST names another one's.
    """
    folder = copy(tmp_path_factory.mktemp("vision") / "vision", **ADVANCED)
    for name in ("cluster/flows/failing.py", "flows/conditional.py"):
        flow = folder / "flows" / Path(name).name
        flow.write_text((FLOWS / name).read_text().replace("churn_model", "vision"))
    manifest = os.environ.get("K8S_ARGO_3_MANIFEST")
    project = Project(folder, "team-a", **({"K8S_ARGO_MANIFEST": manifest} if manifest else {}))
    project.edit("tests/kind.toml", "[hello]", '[failing]\nskip = "fails on purpose"\n\n[hello]')
    project.edit("pyproject.toml", "[tool.mf-k8s]", '[tool.mf-k8s]\nargo = "3.7"')
    context = folder / "image"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM python:3.12-slim\n"
        "RUN pip install --quiet boto3 requests\n"  # train.py is not run there
        "ENV METAFLOW_SKIP_INSTALL_DEPENDENCIES=1\n"
    )
    run("docker", "build", "--quiet", "--tag", VISION["image"], str(context), cwd=folder)
    with project.cluster(CLUSTER) as output:
        print(output)
        yield project


def test_everything_advanced(vision: Project) -> None:
    """AMD, taints, selectors, pull secrets and an image that exists, with its namespace."""
    controller = ("deployment", "workflow-controller", "--namespace", "argo", "--output", "yaml")
    assert "workflow-controller:v3.7." in vision.kubectl("get", *controller)
    output = vision.k8s("kind", "test", "conditional")
    assert lines(output) == {
        "conditional argo": "4 pods match k8s.toml",  # of five steps one is skipped
        "conditional run": "4 pods match k8s.toml",
    }
    pods = vision.pods("ConditionalFlow")
    assert [seen(pod) for pod in pods] == [VISION] * 8
    assert [placed(pod) for pod in pods] == [PLACEMENT] * 8
    assert {pod["spec"]["nodeName"] for pod in pods} == {f"{CLUSTER}-worker"}


def test_rendered_files_fit_argo_3(vision: Project) -> None:
    vision.k8s("render", "hello", "--env", "kind", "-o", "rendered")
    applied = vision.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--kustomize", "rendered"
    )
    assert "workflowtemplate.argoproj.io/vision.user.kind.helloflow serverside-applied" in applied
    shutil.rmtree(vision.folder / "rendered")


def test_from_a_branch_to_pruned_on_argo_3(
    vision: Project, copy: Callable[..., Path], tmp_path: Path
) -> None:
    team = make_team(copy, tmp_path / "promoted", vision, **ADVANCED)
    from_a_branch_to_pruned(vision, team, VISION["image"])


def test_failing_flow_is_reported_from_the_same_pod(vision: Project) -> None:
    """The pod that captures the error has the image, account, selector, tolerations and secrets.

    Without them it could not run on the tainted node, the only one that has the labels.
    """
    # a line break before the first line, which progress precedes only on a slow machine
    output = "\n" + vision.k8s("kind", "test", "failing", code=1)
    assert output.count("FAILED") == 2 and output.count("on purpose") == 2
    assert output.count("\nstart: OOMKilled, exit code 137\n") == 2
    assert (
        output.count("\nstart: out of memory: it asked for memory 600M, its limit is 600M; give")
        == 2
    )
    hooks = []
    for _ in range(60):  # it starts when the workflow has failed
        hooks = [
            pod
            for pod in vision.pods("FailingFlow")
            if "metaflow/step_name" not in pod["metadata"]["annotations"]
            and pod["status"]["phase"] == "Succeeded"
        ]
        if hooks:
            break
        time.sleep(1)
    assert [seen(pod)["image"] for pod in hooks] == [VISION["image"]]
    assert [seen(pod)["service_account"] for pod in hooks] == ["trainer.team-a"]
    assert [placed(pod) for pod in hooks] == [PLACEMENT]
    (node,) = {pod["spec"]["nodeName"] for pod in vision.pods("FailingFlow")}
    taints = json.loads(vision.kubectl("get", "node", node, "-o", "json"))["spec"]["taints"]
    assert {(taint["key"], taint["effect"]) for taint in taints} == {
        ("amd.com/gpu", "NoSchedule"),
        ("team", "NoExecute"),
    }


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Return the address of a registry that runs here."""
    yield from serve_registry(tmp_path)


def test_changed_image_and_placement(vision: Project, registry: str) -> None:
    """One `kind up` brings another image, taint and label, and more than any test machine has.

    The image is named by its digest. Nodes cannot pull it: it must be loaded under that name,
    though it was under another.

    What somebody has changed on the cluster is left as it is, and a flow gets what tests/kind.toml
    and somebody give to its Secret.
    """
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db-password"}}
    file = vision.folder / ".kind/secret.json"
    file.write_text(json.dumps({**secret, "stringData": {"password": "sesame"}}))
    vision.kubectl("apply", "--filename", str(file))
    vision.kubectl("annotate", "serviceaccount", "trainer.team-a", "role=reader")
    with open(vision.folder / "tests/kind.toml", "a") as settings:
        settings.write('\n[secrets.db-password]\nuser = "test-only"\n')
        settings.write('[variables]\nGREETING = { from = "OF_CI" }\n')
    vision.edit(
        "flows/hello.py",
        "    @step\n    def end(self):\n",
        "    @environment(vars={'GREETING': os.environ.get('GREETING')})\n"
        "    @step\n"
        "    def end(self):\n"
        "        found = [os.environ[name] for name in ('user', 'password', 'GREETING')]\n"
        "        assert found == ['test-only', 'sesame', 'hi'], found\n",
    )
    vision.edit(
        "flows/hello.py", "from metaflow import ", "import os\nfrom metaflow import environment, "
    )
    tag = f"{registry}/vision:1"
    run("docker", "tag", VISION["image"], tag, cwd=vision.folder)
    pushed = run("docker", "push", tag, cwd=vision.folder)
    (digest,) = re.findall(r"digest: (sha256:\w+)", pushed)
    vision.edit("k8s.toml", VISION["image"], f"{tag}@{digest}")
    vision.edit("k8s.toml", "cpu = 1.5", "cpu = 16")
    vision.edit("k8s.toml", "memory = 6000", "memory = 500000")
    vision.edit("k8s.toml", 'effect = "NoExecute"', 'effect = "NoSchedule"')
    vision.edit("k8s.toml", 'pool = "gpu"', 'pool = "big"')
    vision.k8s("kind", "up", OF_CI="hi")
    (account,) = [
        item for item in vision.get("serviceaccounts") if item["metadata"]["name"] != "default"
    ]
    assert account["metadata"]["annotations"] == {"role": "reader"}
    output = vision.k8s("kind", "test", "hello", OF_CI="hi")

    assert set(lines(output).values()) == {"2 pods match k8s.toml"}
    assert [seen(pod)["image"] for pod in vision.pods("HelloFlow")] == [f"{tag}@{digest}"] * 4
    assert "kind.local/image" not in run("docker", "image", "ls", cwd=vision.folder)
    (worker,) = [
        item for item in vision.get("nodes") if item["metadata"]["name"] == f"{CLUSTER}-worker"
    ]
    assert worker["metadata"]["labels"]["pool"] == "big"
    assert {(item["key"], item["effect"]) for item in worker["spec"]["taints"]} == {
        ("amd.com/gpu", "NoSchedule"),
        ("team", "NoSchedule"),
    }


def test_interrupted(copy: Callable[..., Path], tmp_path: Path) -> None:
    """Ctrl-C in the middle leaves no cluster behind, half made or whole."""
    project = Project(copy(tmp_path / "cut-short", project_name="cut-short"), "default")
    delete_cluster("cut-short")  # of a killed run
    up = in_background(project, "kind", "up")
    try:
        while "cut-short" not in run("kind", "get", "clusters", cwd=tmp_path):
            assert up.poll() is None, up.stdout and up.stdout.read()
            time.sleep(0.2)
        os.killpg(up.pid, signal.SIGINT)
        output, _ = up.communicate(timeout=120)
        assert up.returncode == 130, output
        assert "cut-short" not in run("kind", "get", "clusters", cwd=tmp_path)
    finally:
        delete_cluster("cut-short")
