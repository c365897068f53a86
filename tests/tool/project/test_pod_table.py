"""[pod] of k8s.toml: which fields it may have, and what is said of others."""

import tomllib

import pytest
from mf_k8s.project.environment_layer import tables_findings
from mf_k8s.project.pod_table import pod_findings, pod_spec

FULL = """
priority_class_name = "spot"
termination_grace_period_seconds = 5
security_context = { fs_group = 1000, seccomp_profile.type = "RuntimeDefault" }
tolerations = [{ key = "a", operator = "Exists", effect = "NoExecute", toleration_seconds = 30 }]
host_aliases = [{ ip = "10.0.0.1", hostnames = ["db"] }]
set_hostname_as_fqdn = false
dns_config.nameservers = ["1.1.1.1"]
[[topology_spread_constraints]]
max_skew = 1
topology_key = "zone"
when_unsatisfiable = "DoNotSchedule"
label_selector.match_labels.my_app = "churn"
[[containers]]
name = "main"
security_context.capabilities.drop = ["ALL"]
[[containers]]
name = "wait"
resources.requests.cpu = "10m"
[[init_containers]]
name = "init"
resources.requests.cpu = "10m"
"""
MAIN = {"name": "main", "securityContext": {"capabilities": {"drop": ["ALL"]}}}
SMALL = {"resources": {"requests": {"cpu": "10m"}}}


def test_a_pod_is_as_kubernetes_spells_it() -> None:
    """Only what is for a container that the pod has; labels keep their underscores."""
    pod = tomllib.loads(FULL)
    assert [*pod_findings(pod, "k8s.toml")] == []
    spec = pod_spec(pod)
    assert spec == {
        "priorityClassName": "spot",
        "terminationGracePeriodSeconds": 5,
        "securityContext": {"fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "tolerations": [
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
        ],
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
        "setHostnameAsFQDN": False,
        "dnsConfig": {"nameservers": ["1.1.1.1"]},
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"my_app": "churn"}},
            }
        ],
        "containers": [MAIN, {"name": "wait", **SMALL}],
        "initContainers": [{"name": "init", **SMALL}],
    }
    assert pod_spec(pod, wait=False)["containers"] == [MAIN]
    of_gang = pod_spec(pod, argo=False)
    assert of_gang["containers"] == [MAIN] and "initContainers" not in of_gang


OF_KUBERNETES = "is set by Metaflow"
WRONG = {
    "afinity = {}": "pod has no field afinity; did you mean affinity?",
    "security_context.fs_grup = 1": (
        "pod.security_context has no field fs_grup; did you mean fs_group?"
    ),
    'priority = "high"': 'pod.priority = "high"; write a whole number',
    'service_account_name = "a"': (
        f"pod.service_account_name {OF_KUBERNETES}; write service_account above the first [table],"
        " into the pool or @k8s"
    ),
    "active_deadline_seconds = 3": (
        f"pod.active_deadline_seconds {OF_KUBERNETES}; write @timeout above the step"
    ),
    'containers = [{ name = "sidecar" }]': (
        "pod.containers.0.name = 'sidecar' is no container of a step's pod; write main or wait"
    ),
    "init_containers = [{}]": (
        "pod.init_containers.0.name = None is no container of a step's pod; write init"
    ),
    'containers = [{ name = "main", image = "a" }]': (
        f"pod.containers.0.image {OF_KUBERNETES}; write image above the first [table], into the"
        " pool or @k8s"
    ),
    'volumes = [{ name = "a", persistent_volume_claim.claim_name = "b" }]': (
        f"pod.volumes.0.persistent_volume_claim {OF_KUBERNETES}; write persistent_volume_claims"
    ),
}


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_a_wrong_field(line: str, message: str) -> None:
    pod = tomllib.loads(line)
    assert [*map(str, pod_findings(pod, "k8s.toml"))] == [f"k8s.toml: {message}"]
    in_pool = {"pools": {"spot": {"pod": pod}}}
    assert [*map(str, tables_findings(in_pool, "k8s.toml"))] == [f"k8s.toml: pool spot: {message}"]


def test_half_a_pod_is_no_traceback() -> None:
    for wrong in ({"containers": 3}, {"containers": ["main"]}, {"volumes": [3]}, {"volumes": "a"}):
        assert [*pod_findings(wrong, "k8s.toml")]
    assert [*pod_findings({"containers": None, "affinity": None}, "k8s.toml")] == []
