"""Examinations of simulated clusters, for tests of the doctor's rules.

    def test_claim_is_missing(simulate: Simulate) -> None:
        case = examination(simulate(*healthy()), flow_pod("TrainFlow/train", claims=["data"]))
        assert shown(case, "claim-exists") == [
            "problem: there is no claim data … | TrainFlow/train | kubectl -n default …"
        ]

`shown` runs one rule alone, with the rights of its READS and no other.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cluster_manifests import pod
from conftest import own_target
from kinds_of_objects import Manifest
from mf_k8s.cluster.view import View
from mf_k8s.doctor.answers import Answer, FlowPod
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.examine import answers_of
from mf_k8s.doctor.rules import all_rules
from mf_k8s.pods.argo_controller import Controller
from mf_k8s.project.project import Project
from simulated_cluster import Cluster


def flow_pod(
    name: str,
    manifest: Manifest | None = None,
    side_by_side: int | None = 1,
    claims: Iterable[str] = (),
    secrets: Iterable[str] = (),
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> FlowPod:
    """Return a pod of a flow, named like `TrainFlow/train`; `spec` adds to that of the Pod.

    Without a manifest it asks for 1 CPU and 4096M, and its service account is `metaflow`.
    """
    flow, _, step = name.partition("/")
    if manifest is None:
        manifest = pod(
            f"{step.replace('/', '-')}-", **(requests or {"cpu": "1", "memory": "4096M"})
        )
        del manifest["status"]
        container = manifest["spec"]["containers"][0]
        container["envFrom"] = [{"secretRef": {"name": secret}} for secret in secrets]
        container["volumeMounts"] = [{"name": c, "mountPath": f"/{c}"} for c in claims]
        manifest["spec"] |= {
            "serviceAccountName": "metaflow",
            "volumes": [
                {"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims
            ],
        }
        manifest |= {"apiVersion": "v1", "spec": manifest["spec"] | spec}
    return FlowPod(flow, step, manifest, side_by_side)


def examination(cluster: Cluster, *pods: FlowPod, **more: Any) -> Examination:
    """Return an examination of pods on a simulated cluster, with Argo's usual controller."""
    target = own_target(**cluster.variables)
    whole: dict[str, Any] = {"controller": Controller("argo", "v4.0.5"), **more}
    project = whole.pop("project", Project(Path("/nowhere/churn-model"), "churn_model"))
    return Examination(project, target, View(target), pods or (flow_pod("OneFlow/start"),), **whole)


def answers(case: Examination, code: str) -> list[Answer]:
    """Return what one rule answers."""
    return list(answers_of(all_rules()[code], case))


def shown(case: Examination, code: str) -> list[str]:
    """Return what one rule answers, as lines: `state: what | pods | remedy`."""
    return [line(answer) for answer in answers(case, code)]


def line(answer: Answer) -> str:
    state = "not now" if answer.passes else answer.state
    parts = [f"{state}: {answer.what}", names_of(answer.pods), answer.remedy]
    return " | ".join(filter(None, parts))


def names_of(pods: Sequence[FlowPod]) -> str:
    return ", ".join(map(str, pods))
