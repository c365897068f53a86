"""Faults of a real cluster, each with what it is planted by, and what the remedy must be given.

They are planted on the cluster of tests/cluster/test_kind_doctor.py: two nodes, of which the worker
has the label of the pods' node selector.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conftest import run
from kind_clusters import Project
from mf_k8s.kind.namespace_objects import claim, pull_secret
from mf_k8s.pods.rbac import accounts, manifest

ZONE = "topology.kubernetes.io/zone"
CLAIM, VOLUME = "metaflow-training", "default-metaflow-training"
STEPS = (
    "GangFlow/end", "GangFlow/join", "GangFlow/start", "GangFlow/train/control",
    "GangFlow/train/worker", "HelloFlow/end", "HelloFlow/start", "WideFlow/end", "WideFlow/join",
    "WideFlow/start", "WideFlow/work",
)  # fmt: skip
OF_ARGO = tuple(step for step in STEPS if not step.startswith("GangFlow/train/"))  # not JobSet's
MANY = ("GangFlow/train/worker", "WideFlow/work")  # of which a run may have several at once
RULE = {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"]}
EXECUTOR = RULE | {"verbs": ["create", "patch"]}
Plant = Callable[["Lab"], None]


class Lab(Project):
    """The project with its cluster, and what is planted there."""

    name = ""  # of the cluster

    @property
    def worker(self) -> str:
        return f"{self.name}-worker"

    @property
    def control_plane(self) -> str:
        return f"{self.name}-control-plane"

    def apply(self, *manifests: Any) -> None:
        self.pipe(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*manifests]}))

    def pipe(self, text: str) -> None:
        file = self.folder / ".kind/planted.json"
        file.write_text(text)
        self.kubectl("apply", "--filename", str(file))

    def forget(self, *names: str) -> None:
        """Delete objects like `pvc/data`, if they are there."""
        self.kubectl("delete", "--ignore-not-found", "--wait=true", "--timeout=60s", *names)

    def label(self, node: str, *labels: str) -> None:
        self.kubectl("label", "--overwrite", "node", node, *labels)

    def make_claim(self, mode: str = "ReadWriteMany", **of_volume: Any) -> None:
        """Make the claim of k8s.toml anew, and its volume, as `kind up` does."""
        self.forget(f"pvc/{CLAIM}")
        self.forget(f"pv/{VOLUME}")
        volume, bound = claim(CLAIM, self.namespace)
        for item in (volume, bound):
            item["spec"]["accessModes"] = [mode]
        volume["spec"] |= of_volume
        self.apply(volume, bound)
        until = "--for=jsonpath={.status.phase}=Bound"
        self.kubectl("wait", f"pvc/{CLAIM}", until, "--timeout=60s")


@dataclass(frozen=True)
class Fault:
    """A fault: the rule that finds it, the pods that it stops, and how it comes and goes."""

    code: str
    plant: Plant
    stops: tuple[str, ...] = STEPS  # at the least
    values: Mapping[str, str] = field(default_factory=dict)  # for what the remedy has in capitals
    clean: Plant = lambda lab: None  # what the remedy leaves behind
    passes: bool = False
    probe_pod: bool = False


def zone(name: str) -> dict[str, Any]:
    """Return the node affinity of a volume in a zone."""
    key = {"key": ZONE, "operator": "In", "values": [name]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [key]}]}}


def volume_in_another_zone(lab: Lab) -> None:
    """Plant a volume in the zone of the node that the pods do not select."""
    lab.label(lab.worker, f"{ZONE}=a")
    lab.label(lab.control_plane, f"{ZONE}=b")
    lab.make_claim(nodeAffinity=zone("b"))


def forget_zone(lab: Lab) -> None:
    lab.label(lab.worker, f"{ZONE}-")
    lab.label(lab.control_plane, f"{ZONE}-", "pool-")
    lab.make_claim()


def claim_for_one_node(lab: Lab) -> None:
    """Plant a claim of one node, where a second one suits the pods."""
    lab.label(lab.control_plane, "pool=train")
    lab.make_claim("ReadWriteOnce")


def one_node_again(lab: Lab) -> None:
    lab.label(lab.control_plane, "pool-")
    lab.make_claim()


def no_rights(lab: Lab) -> None:
    lab.forget("rolebinding/argo-executor")


def quota(name: str, **hard: str) -> dict[str, Any]:
    hard = {key.replace("__", "."): value for key, value in hard.items()}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": hard},
    }


def used_quota(lab: Lab, name: str, hard: dict[str, str]) -> None:
    """Plant a quota, and wait until its controller has counted what is used."""
    lab.apply(quota(name, **hard))
    for _ in range(60):
        (found,) = [item for item in lab.get("resourcequota") if item["metadata"]["name"] == name]
        if "used" in found.get("status", {}):
            return
        time.sleep(0.5)
    raise AssertionError("the quota is not counted")


def no_gpu_quota(lab: Lab) -> None:
    used_quota(lab, "gpus", {"requests.nvidia.com/gpu": "0"})


def full_quota(lab: Lab) -> None:
    """Plant a quota of two GPUs, of which a pod that nothing can place has both."""
    container = {"name": "main", "image": "busybox:stable", "command": ["sleep", "1000"]}
    container |= {"resources": {"limits": {"nvidia.com/gpu": "2"}}}  # type: ignore[dict-item]
    spec = {"containers": [container], "nodeSelector": {"pool": "of-others"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": spec}
    lab.apply(pod)
    used_quota(lab, "gpus", {"requests.nvidia.com/gpu": "2"})


def quota_of_requests(lab: Lab) -> None:
    used_quota(lab, "compute", {"requests.cpu": "100", "requests.memory": "900Gi"})


def limit_range(lab: Lab) -> None:
    limits = [{"type": "Container", "max": {"memory": "1Gi"}}]
    item = {"kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
    lab.apply({"apiVersion": "v1", **item})


def restricted(lab: Lab) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    lab.kubectl("label", "--overwrite", "namespace", lab.namespace, label)


def not_restricted(lab: Lab) -> None:
    label = "pod-security.kubernetes.io/enforce-"
    lab.kubectl("label", "namespace", lab.namespace, label)


def tainted(lab: Lab) -> None:
    lab.kubectl("taint", "--overwrite", "node", lab.worker, "team=vision:NoSchedule")


def untainted(lab: Lab) -> None:
    subprocess.run(
        ["kubectl", "--kubeconfig", str(lab.folder / ".kind/kubeconfig"), "taint", "node"]
        + [lab.worker, "team-"],
        capture_output=True,
    )


def other_secret(lab: Lab) -> None:
    """Plant a pull secret that is none."""
    lab.forget("secret/regcred")
    lab.kubectl("create", "secret", "generic", "regcred", "--from-literal=password=sesame")


def pull_secret_again(lab: Lab) -> None:
    lab.forget("secret/regcred")
    lab.apply(pull_secret("regcred"))


def secret_of_kind(lab: Lab, name: str, **values: str) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    lab.apply({**item, "stringData": values})


def wrong_key(lab: Lab) -> None:
    patch = {"stringData": {"AWS_SECRET_ACCESS_KEY": "wrong"}}
    lab.kubectl("patch", "secret", "kind-s3", "--patch", json.dumps(patch))


def right_key(lab: Lab) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "metaflow", "AWS_SECRET_ACCESS_KEY": "metaflow-on-kind"}
    lab.kubectl("patch", "secret", "kind-s3", "--patch", json.dumps({"stringData": keys}))


def no_bucket(lab: Lab) -> None:
    lab.edit("environments/kind.json", "s3://metaflow/", "s3://absent/")


def bucket_again(lab: Lab) -> None:
    run("docker", "exec", lab.control_plane, "rm", "-rf", "/var/local/s3/absent", cwd=lab.folder)
    text = (lab.folder / "environments/kind.json").read_text()
    text = re.sub("s3://[a-z]+/", "s3://metaflow/", text)
    (lab.folder / "environments/kind.json").write_text(text)


def in_toml(old: str, new: str) -> Plant:
    return lambda lab: lab.edit("k8s.toml", old, new)


def controller(lab: Lab, *words: str) -> None:
    """Start Argo's controller with other arguments."""
    path = "/spec/template/spec/containers/0/args"
    patch = json.dumps([{"op": "add", "path": path, "value": [*words]}])
    where = ("deployment/workflow-controller", "--namespace", "argo")
    lab.kubectl("patch", *where, "--type=json", "--patch", patch)


def no_jobset(lab: Lab) -> None:
    lab.kubectl("delete", "crd", "jobsets.jobset.x-k8s.io", "--timeout=60s")


def jobset_again(lab: Lab) -> None:
    lab.kubectl("annotate", "namespace", "jobset-system", "mf-k8s/manifest-")
    lab.k8s("kind", "up")


FAULTS = {
    "missing claim": Fault(
        "claim-exists",
        lambda lab: lab.forget(f"pvc/{CLAIM}"),
        values={"SIZE": "1Gi", "CLASS": "standard"},
        clean=lambda lab: lab.make_claim(),
    ),
    "ReadWriteOnce under a wide foreach": Fault(
        "claim-access", claim_for_one_node, MANY, clean=one_node_again
    ),
    "a bound volume in another zone": Fault(
        "claim-zone", volume_in_another_zone, clean=forget_zone
    ),
    "missing account": Fault(
        "account-exists",
        lambda lab: lab.forget("serviceaccount/metaflow"),
        clean=lambda lab: lab.apply(manifest("v1", "ServiceAccount", "metaflow")),
    ),
    "no rights on workflowtaskresults": Fault(
        "account-rights",
        no_rights,
        OF_ARGO,
        clean=lambda lab: lab.apply(*accounts(["metaflow"], parallel=True)),
    ),
    "quota too small alone": Fault(
        "quota-size", no_gpu_quota, clean=lambda lab: lab.forget("resourcequota/gpus")
    ),
    "quota full now": Fault(
        "quota-now",
        full_quota,
        clean=lambda lab: lab.forget("resourcequota/gpus", "pod/other"),
        passes=True,
    ),
    "quota that demands requests": Fault(
        "quota-requests",
        quota_of_requests,
        OF_ARGO,
        clean=lambda lab: lab.forget("resourcequota/compute"),
    ),
    "LimitRange below the step": Fault(
        "limit-range", limit_range, clean=lambda lab: lab.forget("limitrange/small")
    ),
    "Pod Security restricted": Fault("pod-security", restricted, clean=not_restricted),
    "taint without toleration": Fault("node-taint", tainted, clean=untainted),
    "unknown selector": Fault(
        "node-selector",
        lambda lab: lab.label(lab.worker, "pool-"),
        clean=lambda lab: lab.label(lab.worker, "pool=train"),
    ),
    "cordoned node": Fault(
        "node-cordoned",
        lambda lab: lab.kubectl("cordon", lab.worker) and None,
        clean=lambda lab: lab.kubectl("uncordon", lab.worker) and None,
    ),
    "more GPUs than any node": Fault(
        "node-gpu", in_toml("gpu = 1", "gpu = 16"), OF_ARGO, clean=in_toml("gpu =", "gpu =")
    ),
    "missing secret": Fault(
        "secret-exists",
        lambda lab: lab.forget("secret/db"),
        values={"KEY": "password", "VALUE": "sesame"},
        clean=lambda lab: secret_of_kind(lab, "db", password="sesame"),
    ),
    "pull secret of the wrong type": Fault(
        "pull-secret-type", other_secret, clean=pull_secret_again
    ),
    "no bucket": Fault("datastore", no_bucket, clean=bucket_again),
    "wrong bucket credentials in the pod": Fault(
        "datastore-from-pod",
        wrong_key,
        values={"KEY": "metaflow", "SECRET": "metaflow-on-kind"},
        clean=right_key,
        probe_pod=True,
    ),
    "Argo that does not watch the namespace": Fault(
        "argo-watches", lambda lab: controller(lab, "--namespaced"), clean=controller
    ),
    "no JobSet for a gang": Fault("jobset", no_jobset, MANY[:1], clean=jobset_again),
}
