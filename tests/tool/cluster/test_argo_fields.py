"""Whether a cluster's Argo Workflows has the fields of [workflow]: by what its server refuses."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import own_target
from kubernetes_api import Api
from mf_k8s.cluster.argo_fields import as_kind_can, unknown_fields
from mf_k8s.deploy.workflow_findings import release_findings
from mf_k8s.project.project import Project

UNKNOWN = 'unknown field "spec.{}"'
# What a server of Kubernetes 1.34 answered with the definitions of Argo 4.0.5 and of 4.1.4.
STRICT = (
    'WorkflowTemplate in version "v1alpha1" cannot be handled as a WorkflowTemplate: strict'
    " decoding error: "
)
OF_4 = ("synchronization.mutex", "templates[0].noSuchField")
OLD = STRICT + ", ".join(map(UNKNOWN.format, (*OF_4, "templates[0].pendingTimeout")))
NEW = STRICT + ", ".join(map(UNKNOWN.format, OF_4))
PROBE = "workflowtemplates/mf-k8s-probe"
WORKFLOW = {"pending_timeout": "30m", "synchronization": {"mutex": {"name": "a"}}}
WHERE = "pending_timeout of [workflow] in k8s.toml"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, "churn_model")


@pytest.mark.parametrize(
    ("refusal", "unknown"), [(OLD, {"pendingTimeout", "mutex"}), (NEW, {"mutex"})]
)
def test_definitions_with_fields(
    api: type[Api], project: Project, refusal: str, unknown: set[str]
) -> None:
    api.refused, api.refusal = {PROBE}, (400, refusal)
    assert unknown_fields(own_target(), WORKFLOW) == unknown
    assert not api.objects and not api.tried
    findings = [*map(str, release_findings(project, WORKFLOW, own_target()))]
    older = "the Argo Workflows of this cluster has no pendingTimeout; leave it out, or upgrade"
    assert findings[-1] == (
        "mutex of [workflow] in k8s.toml: the Argo Workflows of this cluster has no mutex; write"
        " mutexes, a list of tables"
    )
    assert findings[:-1] == ([f"{WHERE}: {older} Argo there to 4.1"] if refusal == OLD else [])


def test_definitions_without_fields(
    api: type[Api], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of Argo 3 take everything; a dry run keeps nothing."""
    assert unknown_fields(own_target(), WORKFLOW) is None
    assert not api.objects and [body["metadata"]["name"] for body in api.tried] == ["mf-k8s-probe"]
    assert [*release_findings(project, WORKFLOW, own_target())] == []
    assert capsys.readouterr().out == (
        f"{WHERE}: this cluster does not say whether its Argo Workflows has it; one before 4.1"
        " ignores it\n"
    )
    api.refused, api.refusal = {PROBE}, (403, 'User "ann" cannot create resource')
    assert unknown_fields(own_target(), WORKFLOW) is None


def test_nothing_is_asked_without_it(api: type[Api], project: Project) -> None:
    workflow = {"parallelism": 1, "affinity": {"pod_affinity": {}}}
    assert [*release_findings(project, workflow, own_target())] == []
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
    left = {"pending_timeout": "30m", "parallelism": 3} if kept else {"parallelism": 3}
    assert on_kind == {"memory": 1, "workflow": left}
    assert as_kind_can(config, own) == config
    api.refused = set()  # as Argo 3, which has what 4 dropped
    assert as_kind_can(config, kind)["workflow"] == {
        "synchronization": {"mutex": {"name": "a"}},
        "parallelism": 3,
    }
