"""The codes of `--run`: each is a rule's, or is explained as one of runs."""

import ast

import pytest
from conftest import ROOT
from mf_k8s.commands.doctor import doctor
from mf_k8s.doctor.rules import all_rules
from mf_k8s.doctor.run_codes import RUN_CODES
from mf_k8s.pods.pending_reasons import CODES_OF_EVENTS

PODS = ROOT / "template/tools/mf-k8s/src/mf_k8s/pods"
NAMES = ("refusals", "failure_rules", "scheduling_message")
FILES = [*NAMES, *(file.stem for file in PODS.glob("*reasons.py"))]


def written_codes() -> set[str]:
    """Return the codes that reasons are made with, as the code spells them."""
    codes = {*CODES_OF_EVENTS.values()}
    for file in FILES:
        for node in ast.walk(ast.parse((PODS / f"{file}.py").read_bytes())):
            is_made = isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "Rule",
                "Reason",
                "Filter",
            )
            if is_made and isinstance(node.args[0], ast.Constant):
                codes.add(node.args[0].value)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code":
                parts = [part for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
                codes |= {part.value for part in parts if "-" in str(part.value)}
    return codes


def test_each_code_is_explained_once() -> None:
    codes = written_codes()
    assert {"node-gpu", "out-of-memory", "pod-starts", "step-failed"} <= codes
    assert codes - {*all_rules()} - {*RUN_CODES} == set()
    assert not RUN_CODES.keys() & all_rules().keys()


def test_explain_a_code_of_runs(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(explain="out-of-memory")
    assert capsys.readouterr().out.startswith("The kernel ended the container, because it used")
