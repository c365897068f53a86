"""The rules pod-security and admission. The texts of refusals are those of Kubernetes 1.34."""

from typing import Any

import pytest
from cluster_manifests import healthy, manifest
from examinations import examination, flow_pod, shown
from simulated_api import refusal
from simulated_cluster import Cluster, Simulate

ENFORCE = "pod-security.kubernetes.io/enforce"
RESTRICTED = (
    'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation !='
    ' false (container "main" must set securityContext.allowPrivilegeEscalation=false),'
    ' unrestricted capabilities (container "main" must set'
    ' securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "main"'
    " must set securityContext.runAsNonRoot=true), seccompProfile (pod or container"
    ' "main" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
PRIVILEGED = (
    'pods "a" is forbidden: violates PodSecurity "baseline:latest": privileged (container "main"'
    " must not set securityContext.privileged=true)"
)
HOST = (
    'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces'
    " (hostNetwork=true)"
)


def refusing(simulate: Simulate, message: str, status: int = 403) -> Cluster:
    cluster = simulate(*healthy())
    cluster.admit = lambda pod: refusal(status, "Forbidden", message)
    return cluster


def labelled(level: str) -> dict[str, Any]:
    found = manifest("Namespace", "default", status={"phase": "Active"})
    found["metadata"]["labels"] = {ENFORCE: level}
    return found


def test_the_cluster_accepts_pods(simulate: Simulate) -> None:
    cluster = simulate(*healthy())
    case = examination(cluster)
    assert shown(case, "pod-security") == ["ok: the cluster accepts them | OneFlow/start"]
    assert shown(case, "admission") == ["ok: the cluster accepts them | OneFlow/start"]
    assert len(cluster.dry_runs) == 1 and not cluster.written
    cluster.admit = lambda pod: {**pod, "spec": {"overhead": {}}}
    case = examination(cluster)
    assert case.admitted(case.pods[0])["spec"] == {"overhead": {}}


def test_what_argo_fills_in_is_filled_in(simulate: Simulate) -> None:
    """As in the name of a @parallel step's JobSet, which the server would refuse as it is."""
    cluster = simulate(*healthy())
    name = "{{inputs.parameters.jobset-name}}"
    pods = [flow_pod("GangFlow/train", hostname=f"{name}-0", subdomain=name)]
    assert shown(examination(cluster, *pods), "admission")[0].startswith("ok")
    (tried,) = cluster.dry_runs
    assert (tried["spec"]["hostname"], tried["spec"]["subdomain"]) == ("0-0", "0")


def test_restricted(simulate: Simulate) -> None:
    """k8s.toml cannot set all of it: the namespace enforces what all pods keep to."""
    assert shown(examination(refusing(simulate, RESTRICTED)), "pod-security") == [
        "problem: namespace default enforces restricted, which demands"
        " allowPrivilegeEscalation=false, capabilities.drop=[ALL], runAsNonRoot=true,"
        " seccompProfile.type=RuntimeDefault of main | OneFlow/start"
        f" | kubectl label namespace default --overwrite {ENFORCE}=baseline"
    ]


def test_what_k8s_toml_can_set(simulate: Simulate) -> None:
    pod = flow_pod("OneFlow/start")
    pod.spec["containers"][0]["securityContext"] = {"privileged": True}
    assert shown(examination(refusing(simulate, PRIVILEGED), pod), "pod-security") == [
        "problem: namespace default enforces baseline, which demands privileged=false of main"
        " | OneFlow/start | write security_context.privileged = false into k8s.toml, or on the"
        " step that sets it"
    ]


def test_what_only_a_refusal_shows(simulate: Simulate) -> None:
    """A webhook has changed the pod before."""
    assert shown(examination(refusing(simulate, HOST)), "pod-security") == [
        "problem: namespace default enforces baseline, which demands host namespaces"
        " (hostNetwork=true) | OneFlow/start"
        f" | kubectl label namespace default --overwrite {ENFORCE}=privileged"
    ]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (
            "restricted",
            [
                "problem: namespace default enforces restricted, which demands"
                " allowPrivilegeEscalation=false, capabilities.drop=[ALL], runAsNonRoot=true,"
                " seccompProfile.type=RuntimeDefault of main | OneFlow/start"
                f" | kubectl label namespace default --overwrite {ENFORCE}=baseline"
            ],
        ),
        ("baseline", ["ok: namespace default enforces baseline | OneFlow/start"]),
        (
            "",
            [
                "cannot tell: namespace default has no label of its own for what it enforces"
                " | OneFlow/start"
            ],
        ),
    ],
)
def test_by_the_label_of_the_namespace(simulate: Simulate, level: str, lines: list[str]) -> None:
    """Who may not create pods is told by the label."""
    cluster = simulate(*healthy(), labelled(level), lacking={"create pods"})
    case = examination(cluster)
    assert shown(case, "pod-security") == lines
    assert "create pods" not in map(str, cluster.requests), "a review has said that it is in vain"
    assert shown(case, "admission") == [
        "cannot tell: for want of the right to create pods | OneFlow/start"
    ]
    assert case.admitted(case.pods[0]) == case.pods[0].manifest


@pytest.mark.parametrize(
    ("status", "message", "line"),
    [
        (
            403,
            'admission webhook "policy.example.com" denied the request: no team label',
            "problem: the cluster's webhook policy.example.com refuses the pod: no team label"
            " | OneFlow/start"
            " | change what it names in k8s.toml, or ask those who run the webhook",
        ),
        (
            400,
            'admission webhook "policy.example.com" does not support dry run',
            'cannot tell: admission webhook "policy.example.com" does not support dry run'
            " | OneFlow/start",
        ),
        (
            422,
            """pods "a" is invalid: : ValidatingAdmissionPolicy 'registries.example.com' with"""
            " binding 'registries' denied request: images must come from ghcr.io",
            "problem: the cluster's policy registries.example.com refuses the pod: images must"
            " come from ghcr.io | OneFlow/start"
            " | change what it names in k8s.toml, or ask those who run the cluster",
        ),
        (
            403,
            'pods "a" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
            'problem: the cluster refuses the pod: pod rejected: RuntimeClass "gvisor" not found'
            " | OneFlow/start",
        ),
        (
            422,
            'Pod "a" is invalid: spec.containers[0].resources.requests: Invalid value: "2": must be'
            " less than or equal to cpu limit of 1",
            "problem: the cluster refuses the pod: spec.containers[0].resources.requests: Invalid"
            ' value: "2": must be less than or equal to cpu limit of 1 | OneFlow/start',
        ),
    ],
)
def test_refusals(simulate: Simulate, status: int, message: str, line: str) -> None:
    assert shown(examination(refusing(simulate, message, status)), "admission") == [line]


def test_a_full_quota_is_said_once(simulate: Simulate) -> None:
    message = (
        'pods "a" is forbidden: exceeded quota: team, requested: requests.cpu=1, used:'
        " requests.cpu=8, limited: requests.cpu=8"
    )
    cluster = refusing(simulate, message)
    hard = {"requests.cpu": "8"}
    status = {"hard": hard, "used": hard}
    cluster.add(manifest("ResourceQuota", "team", spec={"hard": hard}, status=status))
    case = examination(cluster)
    assert [line.partition(":")[0] for line in shown(case, "quota-now")] == ["not now"]
    assert shown(case, "admission") == []
    cluster.lacking = {"list resourcequotas"}
    (line,) = shown(examination(cluster), "admission")
    assert line.startswith("not now: the quota team is full now: ")
