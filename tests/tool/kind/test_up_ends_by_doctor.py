"""`k8s kind up` ends by the doctor: in a line where all is well, and never with an error."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mf_k8s.commands import kind
from mf_k8s.doctor import before_deploy
from mf_k8s.doctor.answers import Answer, cannot_tell, ok, problem
from mf_k8s.doctor.before_deploy import Diagnosis
from mf_k8s.doctor.examine import Examined
from mf_k8s.errors import CommandError, Finding
from mf_k8s.kind import cluster, up
from mf_k8s.programs import run
from mf_k8s.project import project

WELL = [ok("fine"), cannot_tell("for want of the right to list nodes")]


def test_kind_up_ends_by_the_doctor(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    answers: list[Answer] = [problem("there is no claim data", remedy="make it"), *WELL]
    errors = [Finding("cluster-unreachable", "no answer")]
    asked: list[int] = []

    def diagnose(*_: Any) -> Diagnosis:
        asked.append(1)
        return Diagnosis(Examined(list(answers), list(errors)))

    monkeypatch.chdir(example)
    monkeypatch.setattr(before_deploy, "diagnose_cluster", diagnose)
    monkeypatch.setattr(cluster, "find_cluster", lambda _: SimpleNamespace(folder=tmp_path))
    monkeypatch.setattr(up, "bring_up", lambda *_: print("up"))
    monkeypatch.setattr(run, "require_programs", lambda _: None)
    monkeypatch.setattr(run, "engine_findings", lambda: [])

    def printed() -> tuple[str, str]:
        kind.up()
        done = capsys.readouterr()
        return done.out, done.err

    out, err = printed()
    assert out.startswith("up\ndoctor           1 ok, 1 problem, 1 that cannot be told ")
    assert "there is no claim data" in out and "make it" in out
    assert err == "k8s: the doctor: no answer\n"
    errors.clear()
    printed()
    del answers[0]
    out, err = printed()
    assert out.startswith("up\ndoctor           1 ok, 1 that cannot be told ") and len(asked) == 3
    assert out.count("\n") == 2 and err == ""
    assert printed() == ("up\n", "") and len(asked) == 3  # until something changes
    config = project.find_project().config_file
    config.touch()
    printed()
    assert len(asked) == 4


def test_a_fault_in_asking_is_a_line(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where docker does not say where the cluster is: it is up all the same."""

    def fails(*_: Any) -> None:
        raise CommandError(Finding("kind-not-running", "the cluster is not running"))

    monkeypatch.setattr(before_deploy, "kind_target", fails)
    monkeypatch.chdir(example)
    diagnosis = before_deploy.diagnose_cluster(project.find_project(), cast(Any, None))
    assert [*map(str, diagnosis.examined.errors)] == ["the cluster is not running"]
