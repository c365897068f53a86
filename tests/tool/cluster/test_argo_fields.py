"""Whether a cluster's Argo Workflows has pendingTimeout: by what its server refuses."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import own_target
from kubernetes_api import Api
from mf_k8s.cluster.argo_fields import as_kind_can, knows_pending_timeout
from mf_k8s.deploy.workflow_findings import pending_timeout_findings

UNKNOWN = 'unknown field "spec.templates[0].{}"'
# What a server of Kubernetes 1.34 answered with the definitions of Argo 4.0.5 and of 4.1.4.
STRICT = (
    'WorkflowTemplate in version "v1alpha1" cannot be handled as a WorkflowTemplate: strict'
    " decoding error: "
)
OLD = STRICT + ", ".join(map(UNKNOWN.format, ("noSuchField", "pendingTimeout")))
NEW = STRICT + UNKNOWN.format("noSuchField")
PROBE = "workflowtemplates/mf-k8s-probe"
WORKFLOW = {"pending_timeout": "30m"}
WHERE = "pending_timeout of [workflow] in k8s.toml"


@pytest.mark.parametrize(("refusal", "known"), [(OLD, False), (NEW, True)])
def test_definitions_with_fields(api: type[Api], refusal: str, known: bool) -> None:
    api.refused, api.refusal = {PROBE}, (400, refusal)
    assert knows_pending_timeout(own_target()) is known
    assert not api.objects and not api.tried
    findings = [*map(str, pending_timeout_findings("k8s.toml", WORKFLOW, own_target()))]
    older = "and that of the cluster is older: remove it, or upgrade Argo there"
    assert findings == ([] if known else [f"{WHERE} needs Argo Workflows 4.1, {older}"])


def test_definitions_without_fields(api: type[Api], capsys: pytest.CaptureFixture[str]) -> None:
    """Those of Argo 3 take everything; a dry run keeps nothing."""
    assert knows_pending_timeout(own_target()) is None
    assert not api.objects and [body["metadata"]["name"] for body in api.tried] == ["mf-k8s-probe"]
    assert [*pending_timeout_findings("k8s.toml", WORKFLOW, own_target())] == []
    assert capsys.readouterr().out == (
        f"{WHERE}: this cluster does not say whether its Argo Workflows has it; one before 4.1"
        " ignores it\n"
    )
    api.refused, api.refusal = {PROBE}, (403, 'User "ann" cannot create resource')
    assert knows_pending_timeout(own_target()) is None


def test_nothing_is_asked_without_it(api: type[Api]) -> None:
    assert [*pending_timeout_findings("k8s.toml", {"parallelism": 1}, own_target())] == []
    assert not api.tried


@pytest.mark.parametrize(("refusal", "kept"), [(OLD, False), (NEW, True)])
def test_on_kind_it_is_left_out(api: type[Api], refusal: str, kept: bool) -> None:
    """So that one k8s.toml is for kind and for a cluster with a newer Argo."""
    api.refused, api.refusal = {PROBE}, (400, refusal)
    config: Any = {"memory": 1, "workflow": {**WORKFLOW, "parallelism": 3}}
    own = own_target()
    kind: Any = SimpleNamespace(
        environment=SimpleNamespace(name="kind"), namespace="default", ask=own.ask
    )
    on_kind = as_kind_can(json.loads(json.dumps(config)), kind)
    left = {**WORKFLOW, "parallelism": 3} if kept else {"parallelism": 3}
    assert on_kind == {"memory": 1, "workflow": left}
    assert as_kind_can(config, own) == config
