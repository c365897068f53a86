"""The rule your-rights."""

import json

from cluster_manifests import healthy
from examinations import answers, examination, shown
from simulated_cluster import Simulate

USER = "arn:aws:iam::1:user/ann"


def test_the_command_gives_each_user_a_role(simulate: Simulate) -> None:
    """One Role for all would be bound to the last of them; its name may have no slash."""
    cluster = simulate(*healthy(), account=USER, rights=[])
    (problem,) = answers(examination(cluster), "your-rights")
    assert problem.what == (
        f"your account {USER} may not list events, list pods, list workflowtemplates.argoproj.io"
        " in default"
    )
    items = json.loads(problem.remedy.removeprefix("echo '").partition("' | kubectl")[0])["items"]
    assert {item["metadata"]["name"] for item in items} == {"k8s-deployer:arn:aws:iam::1:user:ann"}
    cluster.add(*items)
    assert shown(examination(cluster), "your-rights") == [
        f"ok: {USER} may deploy to default, and look at runs"
    ]
