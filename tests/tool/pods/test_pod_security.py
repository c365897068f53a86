"""What the Pod Security Standards refuse: as a Kubernetes API server (1.34) answered dry runs."""

import json
import re
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.pods.pod_security import strictest_level, violations

CASES = json.loads((ROOT / "tests/recorded/pod_security.json").read_text())
CHECKS = {  # the server's names of its checks, and how the fields begin that they are about
    "allowPrivilegeEscalation != false": "allowPrivilegeEscalation",
    "unrestricted capabilities": "capabilities",
    "non-default capabilities": "capabilities",
    "runAsNonRoot != true": "runAsNonRoot",
    "runAsUser=0": "runAsUser",
    "seccompProfile": "seccompProfile",
    "privileged": "privileged",
    "host namespaces": "host",
    "hostPort": "no hostPort",
    "hostPath volumes": "no hostPath",
    "restricted volume types": "no ",
}


def answered(refusal: str) -> set[tuple[str, str]]:
    """Return the fields and containers that a server names."""
    found = set()
    for check, text in re.findall(r"([\w!=. -]+?) \(([^()]*)\)", refusal.partition('": ')[2]):
        names = re.findall(r'"(init|main|wait)"', text) or [""]
        found |= {(CHECKS[check.strip(", ")], name) for name in names}
    return found


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_standards(case: dict[str, Any]) -> None:
    found = {(each.field, each.container) for each in violations(case["pod"], case["level"])}
    expected = answered(case["refusal"])
    if "root of the whole pod" in case["name"] and expected:
        expected = {("runAsUser", name) for name in ("init", "main", "wait")}
    assert len(found) == len(expected)
    for field, container in found:
        assert any(field.startswith(start) and container == name for start, name in expected)


def test_the_strictest_level() -> None:
    pods = {case["name"]: case["pod"] for case in CASES}
    assert strictest_level([pods["all set (baseline)"]]) == "restricted"
    assert strictest_level([pods["all set (baseline)"], pods["root (baseline)"]]) == "baseline"
    assert strictest_level([pods["root (baseline)"], pods["host path (baseline)"]]) == "privileged"
