"""Whether Roles allow something; Kubernetes 1.34 answered each case by a SubjectAccessReview."""

from typing import Any

import pytest
from mf_k8s.pods.rbac_rules import Request, allows, is_bound

ARGO = "argoproj.io"
CREATE = Request("create", ARGO, "workflowtaskresults")
STATUS = Request("patch", ARGO, "workflowtasksets/status")


def rule(group: str, resource: str, verb: str, *names: str) -> dict[str, Any]:
    named = {"resourceNames": [*names]} if names else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": [verb], **named}


@pytest.mark.parametrize(
    ("rule", "request_", "allowed"),
    [
        (rule(ARGO, "workflowtaskresults", "create"), CREATE, True),
        (rule(ARGO, "workflowtaskresults", "patch"), CREATE, False),
        (rule(ARGO, "workflowtaskresults", "*"), CREATE, True),
        (rule(ARGO, "*", "create"), CREATE, True),
        (rule("*", "workflowtaskresults", "create"), CREATE, True),
        (rule("apps", "workflowtaskresults", "create"), CREATE, False),
        (rule(ARGO, "workflowtaskresults", "create", "x"), CREATE, False),
        (rule(ARGO, "workflowtaskresults", "patch", "x"), CREATE._replace(verb="patch"), False),
        (rule(ARGO, "pods", "patch", "x"), Request("patch", ARGO, "pods", "x"), True),
        (rule(ARGO, "pods", "patch", "x"), Request("patch", ARGO, "pods", "y"), False),
        (rule(ARGO, "workflowtasksets", "patch"), STATUS, False),
        (rule(ARGO, "workflowtasksets/status", "patch"), STATUS, True),
        (rule(ARGO, "*/status", "patch"), STATUS, True),
        (rule(ARGO, "*", "patch"), STATUS, True),
        (rule(ARGO, "workflowtasksets/*", "patch"), STATUS, False),
    ],
)
def test_rules(rule: dict[str, Any], request_: Request, allowed: bool) -> None:
    assert allows([rule], request_) is allowed


@pytest.mark.parametrize(
    ("subject", "bound"),
    [
        ({"kind": "ServiceAccount", "name": "metaflow", "namespace": "team"}, True),
        ({"kind": "ServiceAccount", "name": "metaflow"}, True),
        ({"kind": "ServiceAccount", "name": "other", "namespace": "team"}, False),
        ({"kind": "ServiceAccount", "name": "metaflow", "namespace": "default"}, False),
        ({"kind": "User", "name": "system:serviceaccount:team:metaflow"}, True),
        ({"kind": "User", "name": "metaflow"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts:team"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:default"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, True),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "Group", "name": "system:unauthenticated"}, False),
    ],
)
def test_subjects(subject: dict[str, str], bound: bool) -> None:
    binding = {"metadata": {"name": "b", "namespace": "team"}, "subjects": [subject]}
    assert is_bound(binding, "team", "metaflow") is bound
