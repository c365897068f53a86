"""The simulated cluster answers as a real one does, to the official client."""

import re
from typing import Any

import pytest
from cluster_manifests import EXECUTOR, VIEW, account, healthy, in_namespace, manifest, node, pod
from conftest import own_target
from kubernetes.client import (
    ApiException,
    AppsV1Api,
    AuthorizationV1Api,
    CoreV1Api,
    CustomObjectsApi,
    VersionApi,
)
from mf_k8s.errors import CommandError
from simulated_api import refusal
from simulated_cluster import Cluster, Simulate
from urllib3.exceptions import HTTPError


def client_of(cluster: Cluster) -> Any:
    client = own_target(**cluster.variables).client
    client.configuration.client_side_validation = False  # of all that a real node says of itself
    return client


def names(listed: Any) -> list[str]:
    return [item.metadata.name for item in listed.items]


def test_lists_are_paged(simulate: Simulate) -> None:
    cluster = simulate(*(node(f"n{number}") for number in range(5)))
    core = CoreV1Api(client_of(cluster))
    first = core.list_node(limit=2)
    assert names(first) == ["n0", "n1"] and first.metadata.remaining_item_count == 3
    second = core.list_node(limit=2, _continue=first.metadata._continue)
    last = core.list_node(limit=2, _continue=second.metadata._continue)
    assert names(second) + names(last) == ["n2", "n3", "n4"] and not last.metadata._continue
    cluster.expiring_tokens = 1
    with pytest.raises(ApiException, match="too old to display") as stopped:
        core.list_node(limit=2, _continue=first.metadata._continue)
    assert stopped.value.status == 410
    assert names(core.list_node(limit=2, _continue=first.metadata._continue)) == ["n2", "n3"]


def test_selectors(simulate: Simulate) -> None:
    running = pod("a", on="n1")
    running["metadata"]["labels"] = {"app": "x"}
    cluster = simulate(running, pod("b"), pod("c", "other", on="n2"))
    core = CoreV1Api(client_of(cluster))
    everywhere = core.list_pod_for_all_namespaces
    assert names(everywhere(field_selector="spec.nodeName!=")) == ["a", "c"]
    assert names(everywhere(field_selector="status.phase=Pending")) == ["b"]
    assert names(core.list_namespaced_pod("default")) == ["a", "b"]
    assert names(everywhere(label_selector="app in (x, y)")) == ["a"]
    assert names(everywhere(label_selector="!app,app!=x")) == ["b", "c"]
    with pytest.raises(ApiException, match="field label not supported: spec.volumes"):
        everywhere(field_selector="spec.volumes=x")


def test_what_is_not_there(simulate: Simulate) -> None:
    client = client_of(simulate(node("n1")))
    with pytest.raises(ApiException, match='pods \\\\"x\\\\" not found') as stopped:
        CoreV1Api(client).read_namespaced_pod("x", "default")
    assert stopped.value.status == 404
    jobsets = ("jobset.x-k8s.io", "v1alpha2", "default", "jobsets")
    with pytest.raises(ApiException, match="404 page not found"):
        CustomObjectsApi(client).list_namespaced_custom_object(*jobsets)
    group = ("argoproj.io", "v1alpha1", "default", "workflows")
    assert CustomObjectsApi(client).list_namespaced_custom_object(*group)["items"] == []
    assert VersionApi(client).get_code().git_version == "v1.34.4"


def test_a_viewer_of_one_namespace(simulate: Simulate) -> None:
    cluster = simulate(*healthy("team-a"), rights=[in_namespace(VIEW, "team-a")])
    client = client_of(cluster)
    assert names(CoreV1Api(client).list_namespaced_service_account("team-a")) == ["metaflow"]
    refused = (
        'nodes is forbidden: User \\"ann@example.com\\" cannot list resource \\"nodes\\" in API'
        ' group \\"\\" at the cluster scope'
    )
    with pytest.raises(ApiException) as stopped:
        CoreV1Api(client).list_node()
    assert stopped.value.status == 403 and refused in stopped.value.body
    refused = (
        'deployments.apps \\"workflow-controller\\" is forbidden: User \\"ann@example.com\\" cannot'
        ' get resource \\"deployments\\" in API group \\"apps\\" in the namespace \\"argo\\"'
    )
    with pytest.raises(ApiException) as stopped:
        AppsV1Api(client).read_namespaced_deployment("workflow-controller", "argo")
    assert refused in stopped.value.body
    assert cluster.read == {"list serviceaccounts", "list nodes", "get deployments.apps"}
    assert not cluster.written


def test_reviews(simulate: Simulate) -> None:
    cluster = simulate(*account("metaflow", "default", EXECUTOR), lacking={"list nodes"})
    reviews = AuthorizationV1Api(client_of(cluster))

    def review(verb: str, resource: str, group: str = "", user: str = "") -> bool:
        right = {"verb": verb, "resource": resource, "group": group, "namespace": "default"}
        spec = {"resourceAttributes": right} | ({"user": user} if user else {})
        body = {"metadata": {"namespace": "default"}, "spec": spec}
        if user:
            answer = reviews.create_namespaced_local_subject_access_review("default", body)
        else:
            answer = reviews.create_self_subject_access_review(body)
        return bool(answer.status.allowed)

    executor = "system:serviceaccount:default:metaflow"
    assert review("create", "workflowtaskresults", "argoproj.io", executor)
    assert not review("delete", "workflowtaskresults", "argoproj.io", executor)
    assert not review("create", "workflowtaskresults", "argoproj.io", executor + "2")
    assert review("list", "pods") and not review("list", "nodes")
    cluster.lacking = {"create localsubjectaccessreviews.authorization.k8s.io"}
    with pytest.raises(ApiException, match="cannot create resource"):
        review("create", "workflowtaskresults", "argoproj.io", executor)
    assert review("list", "pods")


def test_dry_runs(simulate: Simulate) -> None:
    cluster = simulate()
    core = CoreV1Api(client_of(cluster))
    body = pod("a")
    cluster.admit = lambda given: given | {"spec": given["spec"] | {"nodeName": "n"}}
    created = core.create_namespaced_pod("default", body, dry_run="All")
    assert created.spec.node_name == "n" and not cluster.written
    assert names(core.list_namespaced_pod("default")) == []
    cluster.admit = lambda given: refusal(403, "Forbidden", "exceeded quota: compute")
    with pytest.raises(ApiException, match="exceeded quota: compute"):
        core.create_namespaced_pod("default", body, dry_run="All")
    with pytest.raises(ApiException, match='namespaces \\\\"gone\\\\" not found'):
        core.create_namespaced_pod("gone", pod("a", "gone"), dry_run="All")
    cluster.admit = lambda given: given
    core.create_namespaced_pod("default", body)
    core.delete_namespaced_pod("a", "default")
    assert [str(right) for right in cluster.written] == ["create pods", "delete pods"]


@pytest.mark.parametrize("stop", ["refused", "reset", 504])
def test_it_goes_away(simulate: Simulate, stop: str | int) -> None:
    cluster = simulate(node("n1"))
    cluster.stops_after, cluster.stop = 1, stop
    core = CoreV1Api(client_of(cluster))
    assert names(core.list_node()) == ["n1"]
    for _ in range(2):
        with pytest.raises((HTTPError, ApiException)) as stopped:
            core.list_node()
    # a connection that was waiting when the port closed is reset
    expected = {"refused": "refused|reset by peer", "reset": "reset by peer", 504: "504"}
    assert re.search(expected[stop], str(stopped.value))


def test_expired_credentials(simulate: Simulate) -> None:
    cluster = simulate()
    cluster.logged_in = False
    with pytest.raises(CommandError, match="does not accept your credentials"):
        _ = own_target(**cluster.variables).account
    cluster.logged_in = True
    assert own_target(**cluster.variables).account == "ann@example.com"


def test_other_kinds_and_objects_that_come_and_go(simulate: Simulate) -> None:
    queue = manifest("LocalQueue", "gpus") | {"apiVersion": "kueue.x-k8s.io/v1beta1"}
    cluster = simulate(queue, manifest("Secret", "db"), pod("a"))
    client = client_of(cluster)
    queues = ("kueue.x-k8s.io", "v1beta1", "default", "localqueues")
    (found,) = CustomObjectsApi(client).list_namespaced_custom_object(*queues)["items"]
    assert found["kind"] == "LocalQueue"
    cluster.remove("Secret", "db")
    assert names(CoreV1Api(client).list_namespaced_secret("default")) == []
    cluster.logs["a"] = "on purpose"
    log = CoreV1Api(client).read_namespaced_pod_log("a", "default", _preload_content=False)
    assert log.data == b"on purpose"
