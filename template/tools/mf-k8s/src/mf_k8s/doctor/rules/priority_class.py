"""The priority classes of the pods are there.

Kubernetes refuses a pod whose priority class is missing: `no PriorityClass with name … was found`.
Argo then fails the run with that message. The class is `priority_class` below [workflow] in
k8s.toml, or one that the workflow controller gives to all workflows. It belongs to the cluster, not
to a namespace.
(https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#priorityclass)

The command makes one of priority 0, which is that of pods without a class. A higher number goes
first, and takes the place of running pods of a lower one.
"""

from collections.abc import Iterator

from ...cluster.view import PRIORITY_CLASSES
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination

NEEDS = ()
READS = (PRIORITY_CLASSES.get,)


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(priority_class):
        found = case.view.get(PRIORITY_CLASSES, name)
        if found:
            yield ok(f"{name}: {found.get('value', 0)}", pods)
        else:
            create = f"create priorityclass {name} --value=0"
            what = f"there is no priority class {name}"
            yield problem(what, pods, case.kubectl(create, namespaced=False))


def priority_class(pod: FlowPod) -> list[str]:
    name = pod.spec.get("priorityClassName")
    return [name] if name else []
