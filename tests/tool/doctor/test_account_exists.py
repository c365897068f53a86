"""The rule account-exists."""

from cluster_manifests import account, healthy
from examinations import examination, flow_pod, shown
from simulated_cluster import Simulate


def test_accounts(simulate: Simulate) -> None:
    cluster = simulate(*healthy("team-a"), *account("default", "team-a"), namespace="team-a")
    case = examination(
        cluster,
        flow_pod("TrainFlow/start"),
        flow_pod("TrainFlow/train", serviceAccountName="trainer"),
        flow_pod("TrainFlow/hook", serviceAccountName=""),
    )
    assert shown(case, "account-exists") == [
        "ok: default | TrainFlow/hook",
        "ok: metaflow | TrainFlow/start",
        "problem: there is no service account trainer in namespace team-a | TrainFlow/train"
        " | kubectl -n team-a create serviceaccount trainer",
    ]
    assert cluster.read == {"get serviceaccounts"} and not cluster.written


def test_without_the_right(simulate: Simulate) -> None:
    case = examination(simulate(*healthy(), lacking={"get serviceaccounts"}))
    assert shown(case, "account-exists") == [
        "cannot tell: for want of the right to get serviceaccounts | OneFlow/start"
    ]
