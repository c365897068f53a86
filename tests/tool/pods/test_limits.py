"""What LimitRanges and ResourceQuotas refuse: as a Kubernetes API server (1.34) answered.

tests/recorded/limits.json has the objects as the server showed them, a pod, and the server's answer
to its dry run: a refusal, or the containers' resources in the pod that it returned.
"""

import json
import re
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.pods.limits import RATIO, Breach, breaches, completed, containers_of, widened
from mf_k8s.pods.pod_requests import amounts
from mf_k8s.pods.quotas import counts, excesses, quota_usage, unnamed

CASES = json.loads((ROOT / "tests/recorded/limits.json").read_text())
REFUSED = [case for case in CASES if case["limit_ranges"] and case["refusal"]]
WORDS = {
    "max": "maximum {0} usage per {1} is {2}",
    "min": "minimum {0} usage per {1} is {2}",
    RATIO: "{0} max limit to request ratio per {1} is {2}",
    "default": "must be less than or equal to {0} limit of {2}",
}


def recorded(cases: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[case["name"] for case in cases])


def in_words_of_the_server(breach: Breach) -> str:
    whom = "Container" if breach.container else "Pod"
    return WORDS[breach.rule].format(breach.resource, whom, breach.bound)


@recorded([case for case in CASES if case["limit_ranges"]])
def test_limit_ranges(case: dict[str, Any]) -> None:
    """The server names a default that is too small before the rest."""
    found = breaches(case["pod"], case["limit_ranges"])
    first = [breach for breach in found if breach.rule == "default"] or found
    assert bool(first) == bool(case["refusal"])
    assert all(in_words_of_the_server(breach) in case["refusal"] for breach in first)
    facts = re.findall(
        r"(?:minimum|maximum) \S+ usage|[\w./-]+ max limit|must be less", case["refusal"]
    )
    assert len({*facts}) == len({(breach.rule, breach.resource) for breach in first})


@recorded([case for case in CASES if not case["refusal"]])
def test_defaults(case: dict[str, Any]) -> None:
    whole = completed(case["pod"], case["limit_ranges"])
    for container in containers_of(whole):
        answered = case["resources"][container["name"]]
        for part in ("requests", "limits"):
            own = (container.get("resources") or {}).get(part)
            assert amounts(own) == amounts(answered.get(part))


@recorded([case for case in CASES if case["quotas"]])
def test_quotas(case: dict[str, Any]) -> None:
    """The server answers what one quota, the first, demands, and else what is too little of it."""
    pod = completed(case["pod"], case["limit_ranges"])
    quotas = [quota for quota in case["quotas"] if counts(quota, pod)]
    lacking, exceeded = [], []
    for quota in quotas:
        if names := unnamed(quota, pod):
            lacking.append("; ".join(f"{key} for: {','.join(names[key])}" for key in sorted(names)))
        elif found := excesses(quota, quota_usage(pod)):
            exceeded.append((quota["metadata"]["name"], {excess.resource for excess in found}))
    if answer := re.search(r"failed quota: team: must specify (.*)", case["refusal"]):
        assert lacking == [answer[1]]
    elif answer := re.search(r"exceeded quota: (\w+), requested: (.*), used: ", case["refusal"]):
        resources = {part.partition("=")[0] for part in answer[2].split(",")}
        assert not lacking and exceeded[0] == (answer[1], resources)
    else:
        assert not lacking and not exceeded and not case["refusal"]


@recorded(CASES)
def test_what_is_too_little_for_ever(case: dict[str, Any]) -> None:
    pod = completed(case["pod"], case["limit_ranges"])
    quotas = [quota for quota in case["quotas"] if counts(quota, pod)]
    found = [excess for quota in quotas for excess in excesses(quota, quota_usage(pod))]
    assert {excess.is_final for excess in found} <= {"now" not in case["name"]}


@recorded(REFUSED)
def test_a_widened_limit_range_admits_the_pod(case: dict[str, Any]) -> None:
    ranges = [
        {**each, "spec": {"limits": widened(each, [case["pod"]], case["limit_ranges"])}}
        for each in case["limit_ranges"]
    ]
    assert breaches(case["pod"], case["limit_ranges"]) and not breaches(case["pod"], ranges)
