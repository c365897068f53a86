"""The service accounts of the pods are there.

Kubernetes creates no pod whose service account is missing: Argo ends the run with an error, and the
Job of `run --with kubernetes` stays without a pod. The account is `service_account` in
k8s.toml, or of the step; each namespace has its own, `default` too.
(https://kubernetes.io/docs/concepts/security/service-accounts/)

The new account has no rights yet: account-rights says which it needs.
"""

from collections.abc import Iterator

from ...cluster.view import ACCOUNTS
from ..answers import Answer, ok, problem
from ..examination import Examination

NEEDS = ("namespace-exists",)
READS = (ACCOUNTS.get,)


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(lambda pod: [pod.account]):
        if case.view.get(ACCOUNTS, name):
            yield ok(name, pods)
        else:
            what = f"there is no service account {name} in namespace {case.namespace}"
            yield problem(what, pods, case.kubectl(f"create serviceaccount {name}"))
