"""`k8s doctor` on a real cluster: faults are planted, found, and mended by what it prints.

What is on the cluster is tests/planted_faults.py's. A healthy cluster has no problem, and each
remedy is pasted into a shell as it is printed, with values for what it has in capitals.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import EXAMPLE
from kind_clusters import FLOWS, NEEDS_KIND, in_background
from mf_k8s.deploy.create import files_to_deploy
from mf_k8s.deploy.project_branch import with_options
from mf_k8s.doctor import prepare as preparing
from mf_k8s.doctor.answers import PROBLEM, Answer
from mf_k8s.doctor.examine import examine_all
from mf_k8s.doctor.prepare import prepare
from mf_k8s.doctor.rules import all_rules
from mf_k8s.kind.find_target import find_target
from mf_k8s.kind.installs import kind_yaml
from mf_k8s.project.project import find_project
from planted_faults import FAULTS, Fault, Lab

pytestmark = NEEDS_KIND
CLUSTER = "mf-template-doctor"
ANSWERS = EXAMPLE | {
    "advanced": True,
    "image_pull_secrets": "regcred",
    "node_selector": "pool=train",
    "secrets": "db",
}
Doctor = Callable[..., list[Answer]]


def make_project(copy: Callable[..., Path], folder: Path) -> Path:
    """Make the project with three flows: of one pod at a time, of a gang, and of a foreach."""
    copy(folder, **ANSWERS)
    (folder / "flows/train.py").unlink()
    for name in ("flows/gang.py", "cluster/flows/wide.py"):
        shutil.copy(FLOWS / name, folder / "flows")
    with open(folder / "tests/kind.toml", "a") as settings:
        settings.write('\n[secrets.db]\npassword = "sesame"\n')
    return folder


@pytest.fixture(scope="module")
def lab(copy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = make_project(copy, tmp_path_factory.mktemp("doctor") / "churn-model")
    lab = Lab(folder, "default")
    lab.name = CLUSTER
    with lab.cluster(CLUSTER):
        yield lab


@pytest.fixture(scope="module")
def doctor(lab: Lab) -> Iterator[Doctor]:
    """Return a function that gives the doctor's answers; flows are compiled once for a k8s.toml."""
    compiled = {}
    compile_new = preparing.requests_of

    def requests_of(project, target, files):
        key = (
            project.config_file.read_text(),
            json.dumps([*target.configuration.settings.items()]),
        )
        if key not in compiled:
            compiled[key] = compile_new(project, target, files)
        requests, errors = compiled[key]
        return requests, [*errors]

    def doctor(probe_pod: bool = False) -> list[Answer]:
        project = find_project()
        target = with_options(find_target(project, "kind"), ())
        case, errors = prepare(project, target, files_to_deploy(project, ()), probe_pod)
        examined = examine_all(case)
        assert not errors + examined.errors
        return examined.answers

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab.folder)
        patch.setattr(preparing, "requests_of", requests_of)
        patch.setenv("PYTHONPATH", str(lab.folder / "src"))  # this process is not the project's
        for name, value in lab.env.items():
            patch.setenv(name, value)
        yield doctor


def problems(answers: Iterable[Answer]) -> dict[str, list[Answer]]:
    """Return the problems by their codes."""
    found: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.state == PROBLEM:
            found.setdefault(answer.code, []).append(answer)
    return found


def paste(lab: Lab, remedy: str, values: Mapping[str, str]) -> None:
    """Do what a remedy says, as it is printed: a command for a shell, or lines of k8s.toml."""
    for name, value in {"NODE": lab.worker, **values}.items():
        remedy = re.sub(rf"\b{name}\b", value, remedy)
    if lines := re.match(r"write (.+?) into k8s\.toml", remedy):
        for line in re.split(r" and (?=[\w.\"-]+ = )", lines[1]):
            write_line(lab, line)
        return
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", remedy],
        cwd=lab.folder, env=os.environ | lab.env, text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"{remedy}\n{done.stdout}"


def write_line(lab: Lab, line: str) -> None:
    """Write a line of k8s.toml in the place of the one with its key, or at the top."""
    file = lab.folder / "k8s.toml"
    key = line.partition("=")[0].strip()
    others = [
        text for text in file.read_text().splitlines() if text.partition("=")[0].strip() != key
    ]
    file.write_text("\n".join([line, *others]) + "\n")


def test_a_healthy_cluster_has_no_problem(lab: Lab, doctor: Doctor) -> None:
    assert problems(doctor(probe_pod=True)) == {}


def test_the_command(lab: Lab) -> None:
    """What is printed, with the remedy on a line of its own that a terminal does not wrap."""
    assert "problem" not in lab.k8s("doctor", "--env", "kind")
    FAULTS["missing account"].plant(lab)
    output = lab.k8s("doctor", "--env", "kind", code=1, COLUMNS="60")
    (remedy,) = [line.strip() for line in output.splitlines() if "kubectl" in line]
    assert "there is no service account metaflow in namespace default" in output
    assert "stops every pod" in output
    where = f"--kubeconfig {shlex.quote(str(lab.folder / '.kind/kubeconfig'))}"
    assert remedy == f"kubectl {where} -n default create serviceaccount metaflow"
    paste(lab, remedy, {})
    lab.k8s("doctor", "--env", "kind")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_planted(fault: Fault, lab: Lab, doctor: Doctor) -> None:
    """It is found with its steps, nothing else is, and what is printed mends it."""
    if fault.code not in all_rules():
        pytest.skip("there is no such rule yet")
    config = (lab.folder / "k8s.toml").read_text()
    fault.plant(lab)
    try:
        found = problems(doctor(fault.probe_pod))
        assert [*found] == [fault.code]
        answers = found[fault.code]
        stopped = {str(pod) for answer in answers for pod in answer.pods or ()}
        assert {*fault.stops} <= stopped or any(not answer.pods for answer in answers)
        assert {answer.passes for answer in answers} == {fault.passes}
        for remedy in dict.fromkeys(answer.remedy for answer in answers):
            print(remedy)
            paste(lab, remedy, fault.values)
        assert problems(doctor(fault.probe_pod)) == {}
    finally:
        (lab.folder / "k8s.toml").write_text(config)
        fault.clean(lab)


def test_an_interrupted_probe_leaves_nothing(lab: Lab) -> None:
    """Ctrl-C deletes the pod that asks the datastore; here it waits for an address of nobody."""

    def probes() -> dict[str, str]:
        output = lab.kubectl("get", "jobs,pods", "--selector=mf-k8s/probe", "--output=json")
        items = json.loads(output)["items"]
        return {item["kind"]: item["status"].get("phase", "") for item in items}

    def set_address(address: str) -> None:
        patch = json.dumps({"stringData": {"AWS_ENDPOINT_URL_S3": address}})
        lab.kubectl("patch", "secret", "kind-s3", "--patch", patch)

    set_address("http://10.255.255.1:7070")
    process = in_background(lab, "doctor", "--env", "kind", "--probe-pod", "hello", **lab.env)
    try:
        while probes().get("Pod") != "Running":
            assert process.poll() is None, process.stdout and process.stdout.read()
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130 and "Traceback" not in output, output
        until = time.monotonic() + 30  # Kubernetes keeps as long what has ended, else
        while probes():
            assert time.monotonic() < until, probes()
            time.sleep(1)
    finally:
        process.kill()
        set_address(kind_yaml()[-1]["stringData"]["AWS_ENDPOINT_URL_S3"])
