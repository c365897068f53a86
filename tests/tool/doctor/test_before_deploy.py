"""What of the doctor's answers stops a deploy."""

from pathlib import Path
from typing import Any

import pytest
from conftest import own_target
from examinations import flow_pod
from mf_k8s.doctor import before_deploy
from mf_k8s.doctor.answers import Answer, cannot_tell, ok, problem
from mf_k8s.doctor.before_deploy import Diagnosis, diagnose, refusals
from mf_k8s.doctor.examine import Examined
from mf_k8s.errors import CommandError, Finding
from mf_k8s.project.environments import Environment
from mf_k8s.project.project import Project

POD = flow_pod("TrainFlow/train")
LASTING = problem("there is no claim data", [POD], "make it")
PASSING = problem("the quota is full", [POD], "wait", passes=True)
PROD = Environment("prod")
PROJECT = Project(Path("/nowhere/churn-model"), "churn_model")
STOPS: dict[str, tuple[list[Answer], list[str]]] = {
    "well": ([ok("all")], []),
    "not now": ([ok("all"), PASSING], []),
    "cannot tell": ([cannot_tell("for want of the right to list nodes")], []),
    "lasting": (
        [PASSING, LASTING],
        [
            "pods would not run there, for a problem above: nothing is written; mend what the"
            " doctor says, accept it by doctor_accepts in environments/prod.json, or give --anyway"
        ],
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_stops_a_deploy(name: str) -> None:
    answers, findings = STOPS[name]
    assert [*map(str, refusals(Diagnosis(Examined(answers), [POD]), PROD))] == findings


def test_only_problems_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = Diagnosis(Examined([ok("fine"), LASTING, PASSING]), [POD])
    diagnosis.print_problems()
    printed = capsys.readouterr().out
    assert "fine" not in printed and "make it" in printed and "not now" in printed
    assert " ok" not in printed, "that is in the line of the stage"
    Diagnosis(Examined([ok("fine")])).print_problems()
    assert capsys.readouterr().out == ""
    assert str(diagnosis) == "1 ok, 1 problem, 1 not now"


@pytest.mark.parametrize(
    "error", [CommandError(Finding("cluster-unreachable", "no answer")), KeyError("spec")]
)
def test_a_fault_in_asking_stops_nothing(monkeypatch: pytest.MonkeyPatch, error: Any) -> None:
    def fails(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(before_deploy, "examination", fails)
    diagnosis = diagnose(PROJECT, own_target(), [], [])
    assert len(diagnosis.examined.errors) == 1 and not [*refusals(diagnosis, PROD)]
