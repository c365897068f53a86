"""With which rights the doctor reads: those of its Roles are enough, and none is too many.

The flows of the example are examined on a simulated cluster on which they can run.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import VIEW, claim, healthy, in_namespace, manifest, node, pod
from conftest import own_target
from examinations import line
from mf_k8s.deploy.create import files_to_deploy
from mf_k8s.doctor import images
from mf_k8s.doctor import prepare as preparing
from mf_k8s.doctor.answers import CANNOT_TELL, OK, PROBLEM
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.examine import answers_of, examine_all, exit_code
from mf_k8s.doctor.prepare import prepare
from mf_k8s.doctor.roles import doctor_roles
from mf_k8s.doctor.rules import all_rules
from mf_k8s.image.ask_registry import RegistryAnswer
from mf_k8s.project.project import Project, find_project
from simulated_cluster import Cluster, Simulate

IMAGE = "ghcr.io/acme/churn:1.2.3"
VOLUME = manifest(
    "PersistentVolume",
    "pv-metaflow-training",
    spec={"accessModes": ["ReadWriteMany"], "capacity": {"storage": "1Gi"}},
    status={"phase": "Bound"},
)
GPUS = {"nvidia.com/gpu": "8", "memory": "512Gi"}
ROLES = [*doctor_roles(all_rules(), "default", "argo")]
WANT = "for want of the right to "
Case = Callable[[Cluster], Examination]


def cluster_of_the_example() -> list[dict[str, Any]]:
    """Return a cluster on which all of the example's pods can run."""
    nodes = [node(f"gpu-{number}", allocatable=GPUS) for number in range(3)]
    running = pod("other", "others", on="gpu-1", cpu="2")
    namespace = manifest("Namespace", "default", status={"phase": "Active"})
    namespace["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": "privileged"}
    return [*healthy(), namespace, claim("metaflow-training"), VOLUME, *nodes, running]


@pytest.fixture(scope="module")
def compiled(example: Path, s3: dict[str, str]) -> Iterator[tuple[Project, Any]]:
    """Return the example and what `deploy` would write of it, compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(example)
        patch.setenv("PYTHONPATH", str(example / "src"))  # this process is not the project's
        patch.setenv("METAFLOW_USER", "ann")
        for name, value in s3.items():
            patch.setenv(name, value)
        project = find_project()
        requests, errors = preparing.requests_of(
            project, own_target(), files_to_deploy(project, ())
        )
        assert not errors and len(requests) == 2
        patch.setattr(preparing, "requests_of", lambda *_: (requests, []))
        found = RegistryAnswer("found", digest="sha256:1", platforms=("linux/amd64",))
        patch.setattr(images, "ask_registry", lambda *_: found)
        yield project, requests


@pytest.fixture
def case(compiled: tuple[Project, Any]) -> Case:
    def case(cluster: Cluster) -> Examination:
        project = compiled[0]
        return prepare(project, own_target(**cluster.variables), [])[0]

    return case


def other_than_ok(case: Examination) -> list[str]:
    examined = examine_all(case)
    assert not examined.errors
    return [f"{each.code}: {line(each)}" for each in examined.answers if each.state != OK]


def test_all_is_well(simulate: Simulate, case: Case) -> None:
    cluster = simulate(*cluster_of_the_example())
    assert other_than_ok(case(cluster)) == []
    assert not cluster.written and len(cluster.requests) < 100


def test_the_printed_roles_are_enough(simulate: Simulate, case: Case) -> None:
    """What they let read tells all; they let nobody create a pod, not even to try, or deploy."""
    cluster = simulate(*cluster_of_the_example(), rights=ROLES)
    create, deploy = sorted(other_than_ok(case(cluster)))
    assert create.startswith("admission: cannot tell: for want of the right to create pods | ")
    assert deploy.startswith("your-rights: problem: your account ann@example.com may not create")


def test_a_viewer(simulate: Simulate, case: Case) -> None:
    """Whoever may look into the namespace alone is told of what is there, and of no fault."""
    cluster = simulate(*cluster_of_the_example(), rights=[in_namespace(VIEW, "default")])
    examined = examine_all(case(cluster))
    assert not examined.errors
    assert [each.code for each in examined.answers if each.state == PROBLEM] == ["your-rights"]
    well = {each.code for each in examined.answers if each.state == OK}
    assert well >= {
        "account-exists", "argo-installed", "claim-exists", "image-pull", "namespace-exists",
    }  # fmt: skip
    unknown = {each.what for each in examined.answers if each.state == CANNOT_TELL}
    assert {text.rpartition(WANT)[2] for text in unknown} == {
        "create pods",
        "list deployments.apps in the whole cluster",
        "list nodes in the whole cluster",
        "list pods in the whole cluster",
        "list rolebindings.rbac.authorization.k8s.io",
    }


def test_no_right_at_all(simulate: Simulate, case: Case) -> None:
    """Nothing that is there is called missing."""
    cluster = simulate(*cluster_of_the_example(), rights=[])
    examined = examine_all(case(cluster))
    assert not examined.errors
    assert [each.code for each in examined.answers if each.state == PROBLEM] == ["your-rights"]
    assert exit_code(examined.answers, strict=True) == 1


@pytest.mark.parametrize("code", sorted(all_rules()))
def test_a_rule_reads_what_it_says(code: str, simulate: Simulate, case: Case) -> None:
    cluster = simulate(*cluster_of_the_example())
    examined = case(cluster)
    cluster.requests.clear()
    rule = all_rules()[code]
    list(answers_of(rule, examined))
    declared = {f"{right.verb} {plural(right)}" for right in rule.reads}
    assert cluster.read - declared <= {"get "}


def plural(right: Any) -> str:
    return f"{right.resource}.{right.group}" if right.group else right.resource
