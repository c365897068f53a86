"""The view of a cluster: pages, rights, and each thing read once."""

from typing import Any

import pytest
from cluster_manifests import healthy, manifest, node, pod
from conftest import own_target
from mf_k8s.cluster import view
from mf_k8s.cluster.rights import EVERYWHERE, Right
from mf_k8s.cluster.view import (
    ACCOUNTS,
    CLAIMS,
    DEMANDS,
    DEPLOYMENTS,
    JOB_SETS,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    NotAllowed,
    View,
)
from mf_k8s.errors import CommandError
from simulated_cluster import Cluster, Simulate


def view_of(cluster: Cluster) -> View:
    return View(own_target(**cluster.variables))


def names(found: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in found]


def test_lists_are_read_in_pages_and_once(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "PAGE", 2)
    cluster = simulate(*(node(f"n{number}") for number in range(5)))
    look = view_of(cluster)
    assert names(look.list(NODES)) == names(look.list(NODES)) == ["n0", "n1", "n2", "n3", "n4"]
    assert len(cluster.requests) == 3


def test_a_page_that_has_expired(simulate: Simulate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read anew, whole: nothing is there twice."""
    monkeypatch.setattr(view, "PAGE", 2)
    cluster = simulate(*(node(f"n{number}") for number in range(5)))
    cluster.expiring_tokens = 1
    assert names(view_of(cluster).list(NODES)) == ["n0", "n1", "n2", "n3", "n4"]


def test_what_is_not_there(simulate: Simulate) -> None:
    cluster = simulate(*healthy())
    look = view_of(cluster)
    for _ in range(2):  # that, too, is asked once
        assert look.get(CLAIMS, "data") is None
        assert look.get(DEPLOYMENTS, "workflow-controller") is None
        assert look.list(JOB_SETS) == [] and not look.serves(JOB_SETS)
    assert len(cluster.requests) == 4
    assert look.get(DEPLOYMENTS, "workflow-controller", "argo")
    assert look.get(NAMESPACES, "argo") and look.serves(NODES)


def test_namespaces(simulate: Simulate) -> None:
    look = view_of(simulate(pod("a", "team-a"), pod("b", "team-b"), namespace="team-a"))
    assert names(look.list(PODS)) == ["a"]
    assert names(look.list(PODS, "team-b")) == ["b"]
    assert names(look.list(PODS, EVERYWHERE)) == ["a", "b"]


def test_only_what_is_needed_is_kept(simulate: Simulate) -> None:
    """Neither the values of Secrets, nor what 20,000 pods are made of."""
    secret = manifest("Secret", "db", data={"password": "c2VzYW1l"})
    look = view_of(simulate(secret, pod("a", on="n1", cpu="2")))
    assert look.get(SECRETS, "db")["data"] == look.list(SECRETS)[0]["data"] == {"password": ""}
    (kept,) = look.list(DEMANDS, EVERYWHERE)
    assert kept["spec"] == {
        "containers": [{"resources": {"requests": {"cpu": "2"}}}],
        "initContainers": [],
        "nodeName": "n1",
    }
    assert look.list(PODS, EVERYWHERE)[0]["spec"]["containers"][0]["image"] == "a:1"


def test_rights(simulate: Simulate) -> None:
    cluster = simulate(*healthy(), lacking={"list nodes", "get serviceaccounts"})
    look = view_of(cluster)
    for _ in range(2):  # the refusal is kept
        with pytest.raises(NotAllowed) as refused:
            look.list(NODES)
        assert refused.value.right == NODES.list
        assert str(NODES.list) == "list nodes in the whole cluster"
    assert len(cluster.requests) == 1
    with pytest.raises(NotAllowed, match="not allowed to get serviceaccounts: ask for a Role"):
        look.get(ACCOUNTS, "metaflow")
    assert look.may(PODS.list) is True and look.may(NODES.list) is False
    with pytest.raises(AssertionError, match="READS lacks: list pods in the whole cluster"):
        look.only([PODS.list]).list(PODS, EVERYWHERE)
    assert look.only([PODS.list]).list(PODS) == []


def test_subresources_and_reviews(simulate: Simulate) -> None:
    cluster = simulate(lacking={"get pods/log"})
    look = view_of(cluster)
    assert look.may(Right("get", "", "pods/log")) is False
    assert look.may(Right("get", "", "pods")) is True
    spec = {"user": "bob", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    assert look.review("subjectaccessreviews", spec) == {"allowed": False}
    cluster.lacking.add("create subjectaccessreviews.authorization.k8s.io")
    assert look.review("subjectaccessreviews", spec | {"groups": ["a"]}) is None


def test_expired_credentials(simulate: Simulate) -> None:
    cluster = simulate()
    cluster.logged_in = False
    with pytest.raises(CommandError, match="does not accept your credentials"):
        view_of(cluster).list(NODES)
