"""The rights that docs/production.md tells an administrator to give."""

import re
from typing import Any

import pytest
import yaml
from conftest import ROOT
from mf_k8s.cluster.user_rights import OF_EACH_DEPLOY, OF_PRUNE
from mf_k8s.pods.rbac import EXECUTOR_ROLE, accounts


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """Return the rules of each Role in docs/production.md, by its name."""
    text = (ROOT / "docs/production.md").read_text()
    blocks = re.findall(r"^```yaml\n(apiVersion: rbac.*?)^```", text, re.MULTILINE | re.DOTALL)
    roles = [role for block in blocks for role in yaml.safe_load_all(block)]
    return {role["metadata"]["name"]: role["rules"] for role in roles}


def test_pods_get_the_documented_rights(documented: dict[str, Any]) -> None:
    """What `kind up` and `render` write; `notify` is for an administrator alone."""
    executor, jobsets, *of_notify = documented[EXECUTOR_ROLE]
    (plain,) = (item["rules"] for item in accounts(["a"], False) if item["kind"] == "Role")
    (parallel,) = (item["rules"] for item in accounts(["a"], True) if item["kind"] == "Role")
    assert (plain, parallel) == ([executor], [executor, jobsets])
    assert [rule["resources"] for rule in of_notify] == [
        ["workflowtasksets"],
        ["workflowtasksets/status"],
    ]


def test_argo_cd_may_apply_what_is_rendered(documented: dict[str, Any]) -> None:
    """The rights to write each kind, and, to grant the Role, those that it has."""
    flows, service_accounts, roles, *granted = documented["argocd"]
    (role,) = (item for item in accounts(["a"], True) if item["kind"] == "Role")
    assert granted == role["rules"]
    apply = {"get", "list", "watch", "create", "update", "patch"}
    assert {*flows["verbs"]} == {*roles["verbs"]} == {*apply, "delete"}
    assert {*service_accounts["verbs"]} == apply  # which it may not prune: projects share them
    plurals = {f"{item['kind'].lower()}s" for item in accounts(["a"], True)}
    assert plurals == {*service_accounts["resources"], *roles["resources"]}
    assert flows["resources"] == ["workflowtemplates", "cronworkflows", "sensors"]


def test_a_deployer_has_the_rights_that_deploy_asks_for(documented: dict[str, Any]) -> None:
    granted, _ = documented["deployer"]
    for rights in (OF_EACH_DEPLOY, OF_PRUNE):
        assert {*rights} <= {*granted["resources"]}
        assert {verb for verbs in rights.values() for verb in verbs} <= {*granted["verbs"]}
