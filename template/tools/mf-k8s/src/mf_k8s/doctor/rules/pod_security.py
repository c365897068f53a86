"""Each pod keeps to the Pod Security Standard that the namespace enforces.

A namespace with the label pod-security.kubernetes.io/enforce refuses pods that break its standard,
`baseline` or `restricted`, and the step ends with an error. Of a step's own container, k8s.toml
sets privileged, allow_privilege_escalation, run_as_user, run_as_group and run_as_non_root, in
security_context. `restricted` also demands capabilities.drop and seccompProfile, and all of it for
Argo's own containers, init and wait: [pod] of k8s.toml can say that, and `restricted: true` of an
organisation's file says all of it. So do `mainContainer: securityContext` and `executor:
securityContext` in the ConfigMap of Argo's controller. The image must run as another user than
root, by number.
(https://kubernetes.io/docs/concepts/security/pod-security-standards/,
https://argo-workflows.readthedocs.io/en/latest/workflow-controller-configmap/)

Where you may create pods, the cluster is asked by a dry run, which makes none; else the label of
the namespace is read, and the pods are held against the standard here. The remedy lets the
namespace enforce the strictest standard that all pods keep to.
"""

import re
from collections.abc import Iterator

from ...cluster.dry_run import Refusal
from ...cluster.view import NAMESPACES
from ...pods.pod_security import ENFORCE, LEVELS, Violation, strictest_level, violations
from ..answers import Answer, FlowPod, cannot_tell, ok, problem
from ..examination import Examination

NEEDS = ("account-exists", "limit-range", "priority-class")  # which the cluster asks first
READS = (NAMESPACES.get,)
REFUSED = re.compile(r'violates PodSecurity "(\w+):([\w.-]+)": (.+)')
ASKED = re.compile("(exceeded|failed) quota: ")  # comes after the standards
MAIN = "main"
OF_K8S_TOML = {  # what a step's own container can be given there
    "privileged=false": "privileged",
    "allowPrivilegeEscalation=false": "allow_privilege_escalation",
    "runAsNonRoot=true": "run_as_non_root",
}


def examine(case: Examination) -> Iterator[Answer]:
    found: dict[tuple[str, str], list[FlowPod]] = {}  # by standard and what breaks it
    unknown: list[FlowPod] = []
    for pod in case.pods:
        answer = case.tried(pod)
        if isinstance(answer, Refusal) and (refused := REFUSED.search(answer.message)):
            found.setdefault((refused[1], broken(pod, refused[1]) or refused[3]), []).append(pod)
        elif answer is None or (isinstance(answer, Refusal) and not ASKED.search(answer.message)):
            unknown.append(pod)
    yield from of_labels(case, unknown, found)
    for (level, fields), pods in found.items():
        what = f"namespace {case.namespace} enforces {level}, which demands {fields}"
        yield problem(what, pods, remedy(case, level, found))
    stopped = {pod for pods in found.values() for pod in pods}
    if fine := [pod for pod in case.pods if pod not in stopped and pod not in unknown]:
        yield ok("the cluster accepts them", fine)


def of_labels(
    case: Examination, pods: list[FlowPod], found: dict[tuple[str, str], list[FlowPod]]
) -> Iterator[Answer]:
    """Judge pods by the label of the namespace: yield what is fine, add to `found` what is not."""
    if not pods:
        return
    namespace = case.view.get(NAMESPACES, case.namespace) or {"metadata": {}}
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE, "")
    fine = []
    for pod in pods:
        if level in LEVELS and (fields := broken(pod, level)):
            found.setdefault((level, fields), []).append(pod)
        else:
            fine.append(pod)
    if fine and level in LEVELS:
        yield ok(f"namespace {case.namespace} enforces {level}", fine)
    elif fine:
        what = f"namespace {case.namespace} has no label of its own for what it enforces"
        yield cannot_tell(what, fine)


def broken(pod: FlowPod, level: str) -> str:
    """Return what a standard demands of a pod, like `runAsNonRoot=true of init, main`."""
    by_field: dict[str, list[str]] = {}
    for violation in violations(pod.manifest, level):
        by_field.setdefault(violation.field, []).append(violation.container or "the pod")
    by_containers: dict[str, list[str]] = {}
    for field, containers in by_field.items():
        by_containers.setdefault(", ".join(containers), []).append(field)
    return "; ".join(f"{', '.join(fields)} of {names}" for names, fields in by_containers.items())


def remedy(case: Examination, level: str, found: dict[tuple[str, str], list[FlowPod]]) -> str:
    """Return lines of k8s.toml, if they are enough, or the command that relaxes the standard."""
    pods = [pod.manifest for pods in found.values() for pod in pods]
    missing = {each for pod in pods for each in violations(pod, level)}
    if missing and all(can_be_set(violation) for violation in missing):
        fields = sorted({violation.field for violation in missing})
        lines = [
            f"security_context.{OF_K8S_TOML[field]} = {field.partition('=')[2]}" for field in fields
        ]
        return f"write {' and '.join(lines)} into k8s.toml, or on the step that sets it"
    relaxed = strictest_level(pods)
    label = f"{ENFORCE}={relaxed if relaxed != level else 'privileged'}"
    return case.kubectl(f"label namespace {case.namespace} --overwrite {label}", namespaced=False)


def can_be_set(violation: Violation) -> bool:
    return violation.container == MAIN and violation.field in OF_K8S_TOML
