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
from typing import Any

import pytest
import yaml
from conftest import EXAMPLE, run
from kind_clusters import (
    FLOWS,
    NEEDS_KIND,
    exports,
    in_background,
    last_phase,
    start_workflow,
)
from mf_k8s.deploy.create import files_to_deploy
from mf_k8s.deploy.project_branch import with_options
from mf_k8s.doctor import prepare as preparing
from mf_k8s.doctor.answers import PROBLEM, Answer
from mf_k8s.doctor.examine import examine_all
from mf_k8s.doctor.prepare import prepare
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
    gang = folder / "flows/gang.py"  # two of its pods need one node's GPUs at once
    gang.write_text(gang.read_text().replace("memory=9000", "memory=9000, gpu=1"))
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


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> str:
    """Deploy the flow of two steps, and return the name of its WorkflowTemplate."""
    lab.k8s("deploy", "hello", "--env", "kind")
    names = [item["metadata"]["name"] for item in lab.get("workflowtemplates")]
    return next(name for name in names if "hello" in name)


def examined_as(lab: Lab, account: str) -> list[dict[str, Any]]:
    """Return what the doctor answers to a service account, but for what is ok."""
    token = lab.kubectl("create", "token", account).strip()
    config = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    weak = lab.folder / f".kind/{account}.json"
    weak.write_text(json.dumps(config))
    output = lab.k8s("doctor", "--format=json", code=1, **{**exports(lab), "KUBECONFIG": str(weak)})
    found = json.loads(output[output.index("{") :])
    assert not found["errors"]
    return [answer for answer in found["answers"] if answer["state"] != "ok"]


def test_a_viewer(lab: Lab) -> None:
    """It ends without a fault of its own, and what it cannot tell is what the role lacks."""
    lab.kubectl("create", "serviceaccount", "viewer")
    binding = ("rolebinding", "viewer", "--clusterrole=view", "--serviceaccount=default:viewer")
    lab.kubectl("create", *binding)
    answers = examined_as(lab, "viewer")
    assert [each["code"] for each in answers if each["state"] == "problem"] == ["your-rights"]
    unknown = {each["what"] for each in answers if each["state"] == "cannot tell"}
    rights = {text.rpartition("for want of the right to ")[2] for text in unknown}
    assert len(rights) > 3
    for right in rights:  # which the viewer really lacks
        verb, what = right.split()[:2]
        everywhere = ("--all-namespaces",) if right.endswith("in the whole cluster") else ()
        account = "--as=system:serviceaccount:default:viewer"
        assert kubectl_answer(lab, "auth", "can-i", verb, what, account, *everywhere) == "no"
    lab.forget("rolebinding/viewer", "serviceaccount/viewer")


def kubectl_answer(lab: Lab, *command: str) -> str:
    where = ("kubectl", "--kubeconfig", str(lab.folder / ".kind/kubeconfig"), "-n", "default")
    return subprocess.run([*where, *command], capture_output=True, text=True).stdout.strip()


def test_the_printed_roles_are_enough(lab: Lab) -> None:
    """They let it tell all, but for what a right to create pods is needed for."""
    lab.kubectl("create", "serviceaccount", "reader")
    roles = lab.k8s("doctor", "--env", "kind", "--print-role")
    (lab.folder / ".kind/roles.yaml").write_text(roles)
    file = ("--filename", str(lab.folder / ".kind/roles.yaml"))
    kubectl = ("kubectl", "--kubeconfig", str(lab.folder / ".kind/kubeconfig"))
    run(*kubectl, "apply", *file, cwd=lab.folder)  # in several namespaces
    subject = "--serviceaccount=default:reader"
    bindings = []
    for role in yaml.safe_load_all(roles):
        namespace = role["metadata"].get("namespace")
        kind = "rolebinding" if namespace else "clusterrolebinding"
        place = ("--namespace", namespace) if namespace else ()
        bindings.append((kind, "k8s-doctor", *place))
        of_role = f"--{role['kind'].lower()}=k8s-doctor"
        lab.kubectl("create", kind, "k8s-doctor", of_role, subject, *place)
    try:
        answers = examined_as(lab, "reader")
        assert [each["code"] for each in answers if each["state"] == "problem"] == ["your-rights"]
        rights = {each["what"].partition("for want of the right to ")[2] for each in answers}
        assert rights - {""} == {"create pods"}
    finally:
        for binding in bindings:
            lab.kubectl("delete", *binding)
        run(*kubectl, "delete", *file, cwd=lab.folder)
        lab.forget("serviceaccount/reader")


LIVE = {  # what a run shows of a fault: in its pods' conditions, or in its own message
    "missing claim": 'persistentvolumeclaim "metaflow-training" not found',
    "missing account": 'serviceaccount "metaflow" not found',
    "missing secret": 'secret "db" not found',
    "unknown selector": "didn't match Pod's node affinity/selector",
    "cordoned node": "were unschedulable",
}


ENDED = ("missing account",)  # Argo does not try such a pod again


@pytest.mark.parametrize("name", LIVE)
def test_a_run_waits_until_it_is_mended(name: str, lab: Lab, doctor: Doctor, deployed: str) -> None:
    """The same run goes on, and succeeds, once what the doctor prints is pasted, or the next."""
    fault, workflow = FAULTS[name], f"run-{[*LIVE].index(name)}"
    fault.plant(lab)
    try:
        start_workflow(lab, workflow, deployed)
        wait_for(lambda: re.search(LIVE[name], state_of(lab, workflow)), LIVE[name])
        (answer,) = problems(doctor())[fault.code]
        paste(lab, answer.remedy, fault.values)
        runs = [workflow]
        if name in ENDED:
            runs += [f"{workflow}-again"]
            start_workflow(lab, runs[-1], deployed)
        assert last_phase(lab, runs[-1]) == "Succeeded"
    finally:
        lab.forget(f"workflow/{workflow}", f"workflow/{workflow}-again")
        fault.clean(lab)


def wait_for(holds: Callable[[], object], what: str) -> None:
    for _ in range(120):
        if holds():
            return
        time.sleep(1)
    raise AssertionError(f"not seen: {what}")


def state_of(lab: Lab, workflow: str) -> str:
    """Return what is known of a run and its pods, which must not succeed."""
    (found,) = [item for item in lab.get("workflows") if item["metadata"]["name"] == workflow]
    assert found.get("status", {}).get("phase") != "Succeeded"
    label = ("--selector", f"workflows.argoproj.io/workflow={workflow}")
    pods = json.loads(lab.kubectl("get", "pods", *label, "--output=json"))["items"]
    states = [pod["status"] for pod in pods]
    return json.dumps([found.get("status"), states], ensure_ascii=False).replace('\\"', '"')
