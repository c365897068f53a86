"""The rules about images: can they be pulled, are they for the nodes, do pods install packages."""

import base64
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import account, healthy, manifest, node
from conftest import copy_project
from examinations import answers, examination, flow_pod, shown
from mf_k8s.cluster.view import SECRETS
from mf_k8s.doctor import images
from mf_k8s.doctor.answers import FlowPod
from mf_k8s.doctor.print_answers import as_json
from mf_k8s.project.project import Project
from registry import BASIC, PASSWORD, TOKEN, Registry, pull_secret, serve_images
from simulated_cluster import Simulate

Served = tuple[type[Registry], str]
SKIP = "METAFLOW_SKIP_INSTALL_DEPENDENCIES"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Return a registry that is of this machine, and counts as one that nodes reach, too."""
    monkeypatch.setattr(images, "LOCAL", re.compile("^localhost$"))
    with serve_images() as served:
        served[0].push("acme/churn:1.0", "amd64")
        yield served


def pod_of(image: str, name: str = "TrainFlow/start", *secrets: str, **container: Any) -> FlowPod:
    pod = flow_pod(name, imagePullSecrets=[{"name": secret} for secret in secrets])
    pod.spec["containers"] = [pod.spec["containers"][0] | {"image": image, **container}]
    return pod


def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    return manifest("Secret", name, type="kubernetes.io/dockerconfigjson", data=data)


def holding(name: str, *names: str, **labels: str) -> dict[str, Any]:
    """Return a node that has images."""
    found = node(name, labels=labels)
    found["status"]["images"] = [{"names": [each], "sizeBytes": 1} for each in names]
    return found


def test_pull_secrets(simulate: Simulate, registry: Served) -> None:
    """Of the pod or, where it names none, of its account; the first that is accepted."""
    served, address = registry
    image, digest = f"{address}/acme/churn:1.0", served.push("acme/churn:1.0", "amd64")
    trainer = account("trainer")
    trainer[0]["imagePullSecrets"] = [{"name": "good"}]
    cluster = simulate(
        *healthy(), *trainer,
        secret("good", pull_secret(address)),
        secret("wrong", pull_secret(address, login="ann:other")),
        secret("elsewhere", pull_secret("ghcr.io")),
    )  # fmt: skip
    by_account = pod_of(image, "TrainFlow/of-account")
    by_account.spec["serviceAccountName"] = "trainer"
    case = examination(
        cluster,
        pod_of(image, "TrainFlow/good", "wrong", "good"),
        by_account,
        pod_of(image, "TrainFlow/wrong", "wrong"),
        pod_of(image, "TrainFlow/elsewhere", "elsewhere", "missing"),
        pod_of(image, "TrainFlow/none"),
    )
    create = "kubectl -n default create secret docker-registry"
    user = f"--docker-server={address} --docker-username=USER --docker-password=PASSWORD"
    login = f"USER and PASSWORD are a login to {address}"
    again = f"{user} --dry-run=client -o yaml | kubectl -n default apply -f -  # {login}"
    assert sorted(shown(case, "image-pull")) == [
        f"ok: {image}: in its registry with good, {digest} | TrainFlow/of-account",
        f"ok: {image}: in its registry with wrong or good, {digest} | TrainFlow/good",
        f"problem: {image} cannot be pulled: {address} asks for a login, and the pods have no pull"
        f" secret | TrainFlow/none | {create} registry {user}  # {login}; then write"
        ' image_pull_secrets = ["registry"] into k8s.toml',
        f"problem: {image} cannot be pulled: {address} refuses the login of wrong, or has no such"
        f" image | TrainFlow/wrong | {create} wrong {again}",
        f"problem: {image} cannot be pulled: elsewhere, missing has no login for {address}, which"
        f" asks for one | TrainFlow/elsewhere | {create} elsewhere {again}",
    ]


def test_no_image(simulate: Simulate, registry: Served, tmp_path: Path) -> None:
    """One that the project builds is to be pushed; the name of another is to be corrected."""
    served, address = registry
    served.scheme = ""
    mine, other = f"{address}/acme/churn:2.0", f"{address}/acme/none:1"
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "k8s.toml").write_text(f'image = "{mine}"\n')
    project = Project(tmp_path, "churn_model")
    pods = pod_of(mine), pod_of(other, "TrainFlow/end")
    assert shown(examination(simulate(*healthy()), *pods, project=project), "image-pull") == [
        f"problem: there is no image {mine} in its registry | TrainFlow/start"
        " | uv run k8s image --push",
        f"problem: there is no image {other} in its registry | TrainFlow/end"
        " | correct its name in k8s.toml",
    ]


def test_who_may_not_see_secrets(simulate: Simulate, registry: Served, tmp_path: Path) -> None:
    """The user's own login says whether the image is there, and not whether pods may pull it."""
    _, address = registry
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {address: {"auth": BASIC.split()[1]}}})
    )
    cluster = simulate(*healthy(), lacking={"get secrets"})
    cluster.variables["DOCKER_CONFIG"] = str(tmp_path)
    image = f"{address}/acme/churn:1.0"
    case = examination(cluster, pod_of(image, "TrainFlow/start", "good"))
    right = "whether pods may pull it, for want of the right to get secrets | TrainFlow/start"
    assert shown(case, "image-pull") == [f"cannot tell: {image} is in its registry; {right}"]
    (tmp_path / "config.json").unlink()
    case = examination(cluster, pod_of(image, "TrainFlow/start", "good"))
    assert shown(case, "image-pull") == [
        f"cannot tell: {image} is not shown to you ({address} does not show acme/churn to anybody"
        f" without a login); {right}"
    ]


def test_no_registry(simulate: Simulate, registry: Served) -> None:
    """A network that is not the nodes', this machine itself, and a cloud's own registry."""
    served, address = registry
    served.status = 503
    case = examination(
        simulate(*healthy()),
        pod_of(f"{address}/a:1"),
        pod_of(f"{address}/b:1", "TrainFlow/b"),
        pod_of("localhost/a:1", "TrainFlow/end"),
    )
    assert shown(case, "image-pull") == [
        f"cannot tell: whether {address}/a:1 can be pulled: {address} answers 503 Service"
        " Unavailable | TrainFlow/start",
        f"cannot tell: whether {address}/b:1 can be pulled: {address} answers 503 Service"
        " Unavailable | TrainFlow/b",
        "cannot tell: localhost/a:1 is of localhost, which is another machine for each node"
        " | TrainFlow/end",
    ]
    assert served.asked == ["/v2/a/manifests/1"]  # a registry that is silent may be so for long
    for host in ("1.dkr.ecr.eu-west-1.amazonaws.com", "eu-docker.pkg.dev", "a.azurecr.io"):
        assert images.OF_CLOUDS.search(host)
    assert not images.OF_CLOUDS.search("ghcr.io") and not images.OF_CLOUDS.search("quay.io")


@pytest.mark.parametrize(
    ("policy", "has", "says"),
    [
        ("IfNotPresent", ["a", "b"], "ok: IMAGE: on each node that pods may get"),
        ("Never", ["a", "b"], "ok: IMAGE: on each node that pods may get"),
        ("Never", ["a"], "problem: IMAGE is not on node b, and image_pull_policy is Never"),
        ("IfNotPresent", ["a"], "problem: there is no image IMAGE in its registry"),
        ("Always", ["a", "b"], "problem: there is no image IMAGE in its registry"),
    ],
)
def test_nodes_that_have_an_image(
    simulate: Simulate, registry: Served, policy: str, has: list[str], says: str
) -> None:
    """As on a kind cluster, whose image no registry has; node c is not for these pods."""
    served, address = registry
    served.scheme = ""
    image = f"{address}/acme/loaded:1"
    nodes = [
        holding(name, *([image] if name in has else []), pool="gpu" if name in "ab" else "")
        for name in "abc"
    ]
    cluster = simulate(*[each for each in healthy() if each["kind"] != "Node"], *nodes)
    pod = pod_of(image, imagePullPolicy=policy)
    pod.spec["nodeSelector"] = {"pool": "gpu"}
    (line,) = shown(examination(cluster, pod), "image-pull")
    assert line.startswith(says.replace("IMAGE", image))


def test_a_node_lists_its_largest_images_only(simulate: Simulate, registry: Served) -> None:
    _, address = registry
    full = holding("full", *(f"docker.io/library/other:{number}" for number in range(50)))
    cluster = simulate(*[each for each in healthy() if each["kind"] != "Node"], full)
    case = examination(cluster, pod_of(f"{address}/a:1", imagePullPolicy="Never"))
    (line,) = shown(case, "image-pull")
    assert line.startswith("cannot tell: image_pull_policy is Never, and which nodes have")


def test_platforms(simulate: Simulate, registry: Served, tmp_path: Path) -> None:
    served, address = registry
    served.scheme = ""
    for name, *architectures in (["arm", "arm64"], ["both", "amd64", "arm64"], ["z", "s390x"]):
        served.push(f"acme/{name}:1", *architectures)
    arm, both, z = (f"{address}/acme/{name}:1" for name in ("arm", "both", "z"))
    nodes = [node("a"), node("b", labels={"kubernetes.io/arch": "arm64"})]
    cluster = simulate(*[each for each in healthy() if each["kind"] != "Node"], *nodes)
    (tmp_path / "Dockerfile").touch()
    (tmp_path / "k8s.toml").write_text(f'image = "{z}"\n')
    placed = pod_of(arm, "TrainFlow/placed")
    placed.spec["nodeSelector"] = {"kubernetes.io/arch": "arm64"}
    pods = pod_of(arm), placed, pod_of(both, "TrainFlow/both"), pod_of(z, "TrainFlow/z")
    case = examination(cluster, *pods, project=Project(tmp_path, "churn_model"))
    assert shown(case, "image-platform") == [
        f"problem: {arm} is for linux/arm64, and node a, which pods may get, is linux/amd64"
        ' | TrainFlow/start, TrainFlow/placed | write node_selector."kubernetes.io/arch" = "arm64"'
        " into k8s.toml",
        f"ok: {both}: linux/amd64, linux/arm64 | TrainFlow/both",
        f"problem: {z} is for linux/s390x, and nodes a, b, which pods may get, are linux/amd64,"
        " linux/arm64 | TrainFlow/z"
        ' | write platform = ["linux/amd64", "linux/arm64"] below [tool.mf-k8s] of pyproject.toml,'
        " then `uv run k8s image --bump --push`",
    ]
    (tmp_path / "k8s.toml").write_text(f'image = "{arm}"\n')  # which is built for linux/amd64
    case = examination(cluster, placed, project=case.project)
    assert shown(case, "image-platform") == [
        f"problem: {arm} is for linux/arm64, and pyproject.toml wants linux/amd64"
        " | TrainFlow/placed | uv run k8s image --bump --push",
    ]


def test_packages(simulate: Simulate, registry: Served) -> None:
    served, address = registry
    served.scheme = ""
    served.push("acme/sets:1", "amd64", variables=(f"{SKIP}=1", "A=b"))
    command = ["bash", "-c", f"if [ -z ${SKIP} ]; then python -m pip install boto3 requests; fi"]
    plain, sets = f"{address}/acme/churn:1.0", f"{address}/acme/sets:1"
    case = examination(
        simulate(*healthy()),
        pod_of(plain, command=command),
        pod_of(plain, "TrainFlow/hook"),
        pod_of(plain, "TrainFlow/set", command=command, env=[{"name": SKIP, "value": "1"}]),
        pod_of(sets, "TrainFlow/end", command=command),
    )
    assert shown(case, "image-packages") == [
        f"cannot tell: pods of {plain} install packages when they start: whether they reach an"
        f" index | TrainFlow/start | install boto3 and requests in the image, and set {SKIP}=1"
        " there",
        f"ok: {sets}: sets {SKIP} | TrainFlow/end",
    ]


def test_no_login_is_shown(
    simulate: Simulate, registry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in an answer, nor in JSON, nor in what an error of the tool itself would show."""
    _, address = registry
    cluster = simulate(*healthy(), secret("good", pull_secret(address)))
    image = f"{address}/acme/churn:1.0"
    case = examination(cluster, pod_of(image, "TrainFlow/start", "good"))
    case.view.get(SECRETS, "good")
    texts = [as_json(answers(case, "image-pull"), [], case.pods), repr(case)]
    texts.append(repr(case.view.known))

    def fail(*_: object) -> None:
        raise RuntimeError("a fault of the tool's own")

    case = examination(cluster, pod_of(image, "TrainFlow/start", "good"))
    monkeypatch.setattr(images, "ask_registry", fail)
    with pytest.raises(RuntimeError) as error:
        answers(case, "image-pull")
    texts += ["".join(traceback.format_exception(error.value)), repr(case), repr(case.view.known)]
    encoded = pull_secret(address)[".dockerconfigjson"]
    for word in (PASSWORD, TOKEN, BASIC.split()[1], encoded):
        assert word not in "".join(texts)


COMMAND = """
import re, sys
from mf_k8s import cli
from mf_k8s.doctor import images
from mf_k8s.doctor.rules import image_pull
images.LOCAL = re.compile("^$")  # a registry of this machine counts as any other
if sys.argv[1] == "fails":
    def of_registry(case, pull, pods):
        images.registry_answer(case, pull)
        raise RuntimeError("a fault of the tool's own")
    image_pull.of_registry = of_registry
sys.argv[1:] = ["doctor", "hello", "--format", "json", "--debug"]
cli.main()
"""


def test_the_whole_command_shows_no_login(
    simulate: Simulate, registry: Served, example: Path, s3: dict[str, str], tmp_path: Path
) -> None:
    """Of a project and its pull secret, whose login the registry refuses, and of a fault then."""
    served, address = registry
    folder = tmp_path / "churn-model"
    copy_project(example, folder, "train.py")
    config = (folder / "k8s.toml").read_text()
    image = f"{address}/acme/churn:1.0"
    config = config.replace('image = "ghcr.io/acme/churn:1.2.3"', f'image = "{image}"')
    (folder / "k8s.toml").write_text(f'image_pull_secrets = ["good"]\n{config}')
    data = pull_secret(address, login="ann:wrong-word")
    cluster = simulate(*healthy(), secret("good", data))
    for how in ("answers", "fails"):
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, how],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(folder / "src"),
                "METAFLOW_HOME": str(tmp_path),
                "METAFLOW_USER": "ann",
                **s3,
                **cluster.variables,
            },
            capture_output=True,
            text=True,
        )
        output = done.stdout + done.stderr
        says = f"{address} refuses the login of good, or has no such image"
        assert (says if how == "answers" else "a fault of the tool's own") in output, output
        encoded = base64.b64encode(b"ann:wrong-word").decode()
        for word in ("wrong-word", encoded, data[".dockerconfigjson"]):
            assert word not in output
    manifest_path = "/v2/acme/churn/manifests/1.0"
    assert [path for path in served.asked if "manifests" in path] == [manifest_path] * 2
