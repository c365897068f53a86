"""Why pods have not started, by what a cluster said of them."""

# ruff: noqa: E501  # what is printed has long lines

from typing import Any

import pytest
from mf_k8s.pods.pending_reasons import warnings_by_object, why_pending
from recorded_runs import events, recorded

OTHERS = "1 with a taint that it does not tolerate, 1 cordoned"
LABEL = "write node_selector of a node that exists into k8s.toml (`kubectl get nodes --show-labels`), or `kubectl label node NODE {}`"
RECORDED = {
    "selectorflow": (
        "node-selector",
        f"no node takes it: 1 not selected by pool=nowhere, {OTHERS}",
        LABEL.format("pool=nowhere"),
    ),
    "cordonedflow": (
        "node-selector",  # the message does not say which of the nodes has the label
        f"no node takes it: 1 not selected by pool=cordoned, {OTHERS}",
        LABEL.format("pool=cordoned"),
    ),
    "zonedflow": (
        "claim-zone",
        f"no node takes it: 1 out of reach of a volume, {OTHERS}",
        "write the volume's zone as node_selector into k8s.toml: `kubectl get pv -o custom-columns=CLAIM:.spec.claimRef.name,NODES:.spec.nodeAffinity`",
    ),
    "cpuflow": (
        "node-size",
        "no node takes it: 1 with too little cpu",
        "ask for less in k8s.toml or by @k8s(cpu=…) on the step, or add a larger node",
    ),
    "gpuflow": (
        "node-gpu",
        "no node takes it: 1 with too little nvidia.com/gpu",
        "ask for what a node has in k8s.toml or by @k8s(gpu=…) on the step, or add a node that has more",
    ),
    "full0flow": (
        "node-now",
        "no node takes it: 1 with too little cpu",
        "wait for other pods, ask for less, or add a node",
    ),
    "noclaimflow": (
        "claim-exists",
        "there is no claim missing in namespace team-a",
        """echo '{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "missing"}, "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}}}' | kubectl -n team-a apply -f -""",
    ),
    "unboundflow": (
        "claim-binds",
        "a claim of the pod has no volume yet: unbound",
        "its events say why: `kubectl -n team-a describe pvc unbound`",
    ),
    "nosecretflow": (
        "secret-exists",
        "there is no Secret missing in namespace team-a",
        "kubectl -n team-a create secret generic missing --from-literal=KEY=VALUE",
    ),
    "nokeyflow": (
        "secret-keys",
        "the Secret known has no key MISSING",
        """kubectl -n team-a patch secret known --type=merge -p '{"stringData": {"MISSING": "VALUE"}}'""",
    ),
    "mountflow": (
        "secret-exists",
        "there is no Secret missing in namespace team-a",
        "kubectl -n team-a create secret generic missing --from-literal=KEY=VALUE",
    ),
    "imageflow": (
        "image-pull",
        "the image registry.invalid/none/image:1 cannot be pulled: its registry's host is not known there",
        "correct `image` in k8s.toml, or the cluster's DNS",
    ),
    "badimageflow": (
        "image-pull",
        "Bad:Image:1 is no name of an image",
        "correct `image` in k8s.toml",
    ),
    "pullsecretflow": (
        "pull-secret-exists",
        "there is no Secret missing in namespace team-a to pull images with",
        "kubectl -n team-a create secret docker-registry missing --docker-server=HOST --docker-username=USER --docker-password=PASSWORD",
    ),
    "t-gated": (
        "queue",
        "it waits until its gate is opened: kueue.x-k8s.io/admission",
        "see `kubectl -n team-a get workloads`",
    ),
}
OF_JOBS = {
    "t-quota": (
        "quota-size",
        "the quota team is too small: the pod asks for requests.memory 20M, and it allows 1Mi",
        """ask for less in k8s.toml, or `kubectl -n quota-a patch resourcequota team --type=merge -p '{"spec": {"hard": {"requests.memory": "AMOUNT"}}}'` with what all of its pods together may have""",
    ),
    "t-noaccount": (
        "account-exists",
        "there is no service account nobody in namespace team-a",
        "kubectl -n team-a create serviceaccount nobody",
    ),
}
PASSING = {"full0flow", "t-gated"}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_pods(name: str) -> None:
    pod = recorded("Pod", name)
    reason = why_pending(pod, warnings_by_object(events()))
    assert reason and (reason.code, reason.what, reason.remedy) == RECORDED[name]
    assert reason.passes == (name in PASSING)


@pytest.mark.parametrize("name", OF_JOBS)
def test_recorded_jobs_without_pods(name: str) -> None:
    reason = why_pending(recorded("Job", name), warnings_by_object(events()))
    assert reason and (reason.code, reason.what, reason.remedy) == OF_JOBS[name]


def test_a_job_that_pod_security_refuses() -> None:
    reason = why_pending(recorded("Job", "t-secure"), warnings_by_object(events()))
    assert reason and reason.code == "pod-security"
    assert reason.what.startswith(
        "the namespace enforces the Pod Security Standard restricted:latest, which the pod"
        ' violates: allowPrivilegeEscalation != false (container "t-secure" must set'
    )
    enforce = "label namespace secure-a --overwrite pod-security.kubernetes.io/enforce=baseline"
    assert f"`kubectl {enforce}`" in reason.remedy


@pytest.mark.parametrize("name", ["runningflow", "healthyflow", "memoryflow"])
def test_pods_that_have_started(name: str) -> None:
    assert why_pending(recorded("Pod", name), warnings_by_object(events())) is None


def test_a_pod_that_has_got_its_node_lacks_none() -> None:
    """The scheduler's old warning is no reason: it would end a run whose pod just starts."""
    pod = recorded("Pod", "selectorflow")
    event = {"reason": "FailedScheduling", "type": "Warning", "message": "0/1 nodes"}
    event |= {"involvedObject": {"name": pod["metadata"]["name"]}}
    scheduled = {"type": "PodScheduled", "status": "True"}
    starting = {"name": "main", "state": {"waiting": {"reason": "ContainerCreating"}}}
    pod["status"] |= {"conditions": [scheduled], "containerStatuses": [starting]}
    assert why_pending(pod, warnings_by_object([event])) is None


SELECTOR_AND_TAINT = "0/3 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, 1 node(s) had untolerated taint {}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
# Of other versions, copied from their sources and from reports: code, and part of what is said.
SCHEDULERS = {
    SELECTOR_AND_TAINT.format("{nvidia.com/gpu: present}"): (
        "node-taint",
        "2 not selected by pool=nowhere, 1 with a taint that it does not tolerate (nvidia.com/gpu: present)",
    ),
    SELECTOR_AND_TAINT.format("{node-role.kubernetes.io/control-plane: }"): (
        "node-selector",
        "(node-role.kubernetes.io/control-plane)",
    ),
    SELECTOR_AND_TAINT.format("{node.kubernetes.io/not-ready: }").replace("2 node", "0 node"): (
        "node-selector",
        "not ready (node.kubernetes.io/not-ready)",
    ),
    "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.": (
        "node-ready",
        "no node takes it: 1 not ready (node.kubernetes.io/not-ready)",
    ),
    "0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod didn't tolerate.": (
        "node-taint",
        "1 with a taint that it does not tolerate (node-role.kubernetes.io/master), 1 cordoned",
    ),
    "0/1 nodes are available: 1 node(s) were unschedulable.": (
        "node-cordoned",
        "no node takes it: 1 cordoned",
    ),
    "0/5 nodes are available: 2 Insufficient memory, 3 Insufficient cpu.": (
        "node-now",
        "no node takes it: 2 with too little memory, 3 with too little cpu",
    ),
    "0/2 nodes are available: 2 node(s) had volume node affinity conflict.": (
        "claim-zone",
        "no node takes it: 2 out of reach of a volume",
    ),
    "0/2 nodes are available: 2 Too many pods.": ("node-now", "no node takes it: 2 full"),
    "no nodes available to schedule pods": ("unschedulable", "no nodes available to schedule pods"),
}


@pytest.mark.parametrize("message", SCHEDULERS)
def test_what_schedulers_say(message: str) -> None:
    pod = recorded("Pod", "selectorflow")
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod["status"]["conditions"] = [{**condition, "message": message}]
    reason = why_pending(pod, {})
    code, what = SCHEDULERS[message]
    assert reason and reason.code == code and what in reason.what, reason


UNAUTHORIZED = 'failed to resolve reference "ghcr.io/acme/x:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized'
WAITING: dict[tuple[str, str], tuple[str, str]] = {
    ("ErrImagePull", UNAUTHORIZED): ("image-pull", "its registry refuses the pod's login"),
    ("ImagePullBackOff", 'Back-off pulling image "x"'): (
        "image-pull",
        'cannot be pulled: ImagePullBackOff: Back-off pulling image "x"',
    ),
    ("ErrImagePull", "rpc error: no match for platform in manifest: not found"): (
        "image-platform",
        "is not built for the platform of the node",
    ),
    ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit"): (
        "image-pull",
        "its registry limits the rate of pulls",
    ),
    ("ErrImagePull", "tls: failed to verify certificate: x509: unknown authority"): (
        "image-pull",
        "the nodes do not trust its registry's certificate",
    ),
    ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"): (
        "run-as-root",
        "run_as_non_root is set",
    ),
    ("CreateContainerError", "context deadline exceeded"): (
        "container-create",
        "CreateContainerError: context deadline exceeded",
    ),
    ("CrashLoopBackOff", "back-off 5m0s restarting failed container"): (
        "crash-loop",
        "its container main ends again and again: Error, exit code 2",
    ),
}


@pytest.mark.parametrize("state", WAITING)
@pytest.mark.parametrize("stage", ["initContainerStatuses", "containerStatuses"])
def test_what_containers_wait_for(state: tuple[str, str], stage: str) -> None:
    """Those that init containers wait for, too."""
    pod = recorded("Pod", "imageflow")
    reason, message = state
    last = {"terminated": {"reason": "Error", "exitCode": 2}}
    status = {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}
    pod["status"] = {"phase": "Pending", stage: [{**status, "lastState": last}]}
    found = why_pending(pod, {})
    code, what = WAITING[state]
    assert found and found.code == code and what in found.what, found


def test_events_of_pods_on_their_node() -> None:
    """What a rule knows counts before what is newer, and else the newest."""

    def reason_of(*messages: tuple[str, str]) -> Any:
        pod = recorded("Pod", "mountflow")
        name = pod["metadata"]["name"]
        listed = [
            {
                "involvedObject": {"name": name},
                "reason": reason,
                "message": text,
                "lastTimestamp": f"2026-11-29T20:30:0{number}Z",
            }
            for number, (reason, text) in enumerate(messages)
        ]
        found = why_pending(pod, warnings_by_object(listed))
        return found and (found.code, found.what, found.passes)

    attach = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) b'
    unknown = "Unable to attach or mount volumes: timed out waiting for the condition"
    assert reason_of(("FailedAttachVolume", attach), ("FailedMount", unknown)) == (
        "claim-access",
        "the volume pvc-1 is attached to another node, and its claim is ReadWriteOnce",
        True,
    )
    sandbox = "failed to set up sandbox network: no CNI"
    assert reason_of(("FailedCreatePodSandBox", sandbox)) == ("pod-network", sandbox, False)
    assert reason_of(("FailedMount", "a"), ("FailedMount", unknown)) == (
        "volume-mount",
        unknown,
        False,
    )
    assert reason_of() is None
