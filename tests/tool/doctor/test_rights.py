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
from mf_k8s.cluster.view import Right
from mf_k8s.deploy.create import files_to_deploy
from mf_k8s.doctor import images
from mf_k8s.doctor import prepare as preparing
from mf_k8s.doctor.answers import CANNOT_TELL, OK, PROBLEM
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.examine import answers_of, examine_all, exit_code
from mf_k8s.doctor.prepare import prepare
from mf_k8s.doctor.roles import doctor_roles
from mf_k8s.doctor.rules import all_rules
from mf_k8s.errors import CommandError
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
UNUSED = {  # what is read only where there are such things, or where a review may not be asked
    "get eventbus.argoproj.io",
    "get eventsources.argoproj.io",
    "get localqueues.kueue.x-k8s.io",
    "get priorityclasses.scheduling.k8s.io",
    "get secrets",
    "get storageclasses.storage.k8s.io",
    "list clusterrolebindings.rbac.authorization.k8s.io",
    "list clusterroles.rbac.authorization.k8s.io",
    "list events",
    "list jobs.batch",
    "list nodepools.karpenter.sh",
    "list persistentvolumes",
    "list rolebindings.rbac.authorization.k8s.io",
    "list roles.rbac.authorization.k8s.io",
    "list storageclasses.storage.k8s.io",
}
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
    declared = {name_of(right) for rule in all_rules().values() for right in rule.reads}
    assert cluster.read - declared == set()
    assert declared - cluster.read == UNUSED


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


def test_expired_credentials(simulate: Simulate, case: Case) -> None:
    cluster = simulate(*cluster_of_the_example())
    cluster.logged_in = False
    with pytest.raises(CommandError, match="does not accept your credentials") as stopped:
        case(cluster)
    assert "\n" not in str(stopped.value)


@pytest.mark.parametrize("after", [0, 5])
def test_a_cluster_that_goes_away(simulate: Simulate, case: Case, after: int) -> None:
    """What is known so far is told, and one line says what happened."""
    cluster = simulate(*cluster_of_the_example())
    examined_case = case(cluster)
    cluster.stop, cluster.stops_after = "reset", len(cluster.requests) + after
    examined = examine_all(examined_case)
    assert bool(examined.answers) == bool(after)
    assert {answer.state for answer in examined.answers} <= {OK}
    (error,) = examined.errors
    assert error.code == "cluster-unreachable" and "\n" not in str(error)


@pytest.mark.parametrize("code", sorted(all_rules()))
def test_a_rule_reads_what_it_says(code: str, simulate: Simulate, case: Case) -> None:
    cluster = simulate(*cluster_of_the_example())
    examined = case(cluster)
    cluster.requests.clear()
    rule = all_rules()[code]
    list(answers_of(rule, examined))
    assert cluster.read <= {name_of(right) for right in rule.reads}


def name_of(right: Right) -> str:
    return f"{right.verb} {right.resource}{right.group and f'.{right.group}'}"
