"""The rule account-rights."""

import json
from typing import Any

import pytest
from cluster_manifests import EXECUTOR, RBAC, account, healthy, manifest
from examinations import answers, examination, flow_pod, shown
from simulated_cluster import Simulate

REVIEWS = {f"create {name}.authorization.k8s.io" for name in (
    "localsubjectaccessreviews", "subjectaccessreviews",
)}  # fmt: skip
JOBSETS = {
    "apiGroups": ["jobset.x-k8s.io"],
    "resources": ["jobsets"],
    "verbs": ["create", "get", "watch", "delete"],
}
BINDINGS = {"list clusterrolebindings.rbac.authorization.k8s.io"}
ROLES = {f"list {name}.{RBAC}" for name in ("roles", "rolebindings", "clusterrolebindings")}


def granted(remedy: str) -> Any:
    """Return the objects that a remedy applies."""
    text = remedy.removeprefix("echo '").partition("' | kubectl")[0]
    return json.loads(text)["items"]


def test_no_rights(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), *account("bare"), namespace="default")
    case = examination(
        cluster, flow_pod("OneFlow/start"), flow_pod("OneFlow/train", serviceAccountName="bare")
    )
    problem, fine = answers(case, "account-rights")
    assert problem.what == (
        "the service account bare may not create and patch workflowtaskresults.argoproj.io"
    )
    assert [*map(str, problem.pods)] == ["OneFlow/train"]
    assert (fine.what, [*map(str, fine.pods)]) == ("metaflow", ["OneFlow/start"])
    assert not cluster.read, "the reviews suffice"
    cluster.add(*granted(problem.remedy))
    case = examination(cluster, *case.pods)
    assert shown(case, "account-rights") == [
        "ok: bare | OneFlow/train",
        "ok: metaflow | OneFlow/start",
    ]


def test_what_each_pod_needs(simulate: Simulate) -> None:
    """The one that makes a JobSet, the agent of notifications, and those of the JobSet: none."""
    cluster = simulate(*healthy())
    names = ("train/creator", "train/control", "train/worker", "(agent)", "join")
    pods = [flow_pod(f"GangFlow/{name}") for name in names]
    problem, fine = answers(examination(cluster, *pods), "account-rights")
    assert problem.what == (
        "the service account metaflow may not create, get, watch and delete"
        " jobsets.jobset.x-k8s.io, list and watch workflowtasksets.argoproj.io, patch"
        " workflowtasksets/status.argoproj.io"
    )
    assert [pod.name for pod in problem.pods] == ["train/creator", "(agent)"]
    assert [pod.name for pod in fine.pods] == ["join"]
    role, _ = granted(problem.remedy)
    assert EXECUTOR in [{**rule, "verbs": sorted(rule["verbs"])} for rule in role["rules"]]
    cluster.add(*granted(problem.remedy))
    assert [answer.state for answer in answers(examination(cluster, *pods), "account-rights")] == [
        "ok"
    ]


def test_a_grant_takes_nothing_away(simulate: Simulate) -> None:
    """It replaces the Role of the last one, which was for other flows."""
    cluster = simulate(*account("metaflow", "default", EXECUTOR, JOBSETS))
    (problem,) = answers(examination(cluster, flow_pod("OneFlow/(agent)")), "account-rights")
    role, _ = granted(problem.remedy)
    resources = sorted(resource for rule in role["rules"] for resource in rule["resources"])
    assert resources == [
        "jobsets",
        "workflowtaskresults",
        "workflowtasksets",
        "workflowtasksets/status",
    ]


@pytest.mark.parametrize("rules", [[EXECUTOR], []])
@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_roles_are_read(simulate: Simulate, kind: str, rules: list[Any]) -> None:
    """Who may not ask for reviews may be allowed to read what gives the rights."""
    group = {"kind": "Group", "name": "system:serviceaccounts:default", "apiGroup": RBAC}
    reference = {"apiGroup": RBAC, "kind": kind, "name": "of-all"}
    cluster = simulate(
        *account("metaflow"),
        manifest(kind, "of-all", "" if kind == "ClusterRole" else "default", rules=rules),
        manifest("RoleBinding", "of-all", "default", roleRef=reference, subjects=[group]),
        lacking=REVIEWS,
    )
    (answer,) = answers(examination(cluster), "account-rights")
    assert answer.state == ("ok" if rules else "problem")


def test_not_all_roles_may_be_read(simulate: Simulate) -> None:
    """What is found allows it; what is not found may be where nobody may look."""
    for rights, expected in (
        ([EXECUTOR], "ok: metaflow | OneFlow/start"),
        (
            [],
            "cannot tell: for want of the right to list"
            " clusterrolebindings.rbac.authorization.k8s.io in the whole cluster | OneFlow/start",
        ),
    ):
        cluster = simulate(*account("metaflow", "default", *rights), lacking=REVIEWS | BINDINGS)
        assert shown(examination(cluster), "account-rights") == [expected]


def test_nothing_may_be_asked(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), lacking=REVIEWS | ROLES)
    assert shown(examination(cluster), "account-rights") == [
        "cannot tell: for want of the right to list rolebindings.rbac.authorization.k8s.io"
        " | OneFlow/start"
    ]
