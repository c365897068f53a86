"""The namespace of the runs is there, and is not being deleted.

All objects of a run, its pods, Secrets and claims, are of one namespace, and Kubernetes makes none
in a namespace that is missing or being deleted. Its name is METAFLOW_KUBERNETES_NAMESPACE in the
environment or in Metaflow's configuration, else `default`.
(https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/)

A namespace that stays in deletion has objects whose finalizers wait for a program that is gone:
`kubectl get namespace NAME -o yaml` says in status.conditions which.
"""

from collections.abc import Iterator

from ...cluster.view import NAMESPACES
from ..answers import Answer, ok, problem
from ..examination import Examination

NEEDS = ()
READS = (NAMESPACES.get,)


def examine(case: Examination) -> Iterator[Answer]:
    name = case.namespace
    found = case.view.get(NAMESPACES, name)
    if found is None:
        create = case.kubectl(f"create namespace {name}", namespaced=False)
        yield problem(f"there is no namespace {name}", remedy=create)
    elif found["metadata"].get("deletionTimestamp"):
        conditions = (found.get("status") or {}).get("conditions") or ()
        reasons = [each["message"] for each in conditions if each.get("status") == "True"]
        why = f" ({reasons[-1]})" if reasons else ""
        remedy = f"wait until it is gone, then {case.kubectl(f'create namespace {name}', False)}"
        yield problem(f"the namespace {name} is being deleted{why}", remedy=remedy)
    else:
        yield ok(name)
