"""Which rights a deploy needs, and what is said of those that are missing."""

from pathlib import Path

import pytest
from conftest import own_target
from deployed import Deploy, deploy, project
from kubernetes_api import Api
from mf_k8s.cluster.user_rights import missing_rights, missing_rights_to_start
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.metaflow.compile_flows import CompiledFile

__all__ = ["deploy", "project"]  # fixtures


def test_missing_rights_are_named(api: type[Api], deploy: Deploy) -> None:
    """All at once and before anything is compiled; where the cluster does not say, it goes on."""
    api.lacking = {"create workflowtemplates", "update workflowtemplates", "get cronworkflows"}
    code, output = deploy("--env", "prod")
    assert code == 2
    assert output.splitlines()[-1] == (
        "k8s: your account ann@example.com lacks rights in namespace team-a that this deploy needs:"
        " create, update workflowtemplates.argoproj.io and get cronworkflows.argoproj.io; ask for a"
        " Role there that has them"
    )
    assert not [line for line in output.splitlines() if line.startswith("compile ")]
    target = own_target(METAFLOW_KUBERNETES_NAMESPACE="team-a")
    assert not [*missing_rights(target, {"sensors": ["create"]})]
    api.has_reviews = False
    assert not [*missing_rights(target, {"cronworkflows": ["get"]})]


def test_rights_to_start_flows_are_asked_where_they_do(api: type[Api]) -> None:
    """By time and by events, which the compiled flow says."""
    metadata = {"metaflow/cron": "0 * * * ? *"}, {"metaflow/triggers": "[]"}, {}
    by_time, by_events, by_hand = (
        CompiledFile(Path("a.py"), [], None, "", None, {"metadata": {"annotations": annotations}})
        for annotations in metadata
    )
    api.lacking = {"update cronworkflows", "create sensors"}
    target = own_target(METAFLOW_KUBERNETES_NAMESPACE="team-a")
    raise_if(missing_rights_to_start(target, [by_hand]))
    with pytest.raises(CommandError, match="needs: update cronworkflows.argoproj.io; ask"):
        raise_if(missing_rights_to_start(target, [by_hand, by_time]))
    with pytest.raises(CommandError, match="needs: create sensors.argoproj.io; ask"):
        raise_if(missing_rights_to_start(target, [by_events]))
