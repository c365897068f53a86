"""Each rule: its code, its docstring, what it needs and reads."""

import ast
import importlib
import pkgutil
import re

import pytest
from mf_k8s.cluster.rights import Right
from mf_k8s.commands.doctor import doctor
from mf_k8s.doctor import rules as package
from mf_k8s.doctor.rules import Rule, all_rules

RULES = all_rules()
CODES = sorted(RULES)


def test_each_file_is_a_rule() -> None:
    files = [info.name for info in pkgutil.iter_modules(package.__path__)]
    assert sorted(files) == [code.replace("-", "_") for code in CODES]
    for name in files:
        module = importlib.import_module(f"{package.__name__}.{name}")
        for part in ("NEEDS", "READS", "examine", "__doc__"):
            assert getattr(module, part) is not None, f"{name} has no {part}"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_explains_itself(rule: Rule) -> None:
    """A statement in the first line, then why, with a page of the documentation behind it."""
    assert re.fullmatch(r"[A-Z].+[^.]\.", rule.statement), "one sentence"
    assert len(rule.statement) <= 100 and not rule.statement.startswith(("The rule", "Whether"))
    _, empty, *rest = rule.explanation.splitlines()
    assert empty == "" and len(" ".join(rest)) > 200, "what happens otherwise, and what to do"
    assert re.search(r"https://\S+", rule.explanation), "the page of the documentation"
    assert all(len(line) <= 100 for line in rest)
    mentioned = set(re.findall(r"\b[a-z]+(?:-[a-z]+)+ says\b", rule.explanation))
    assert {text.removesuffix(" says") for text in mentioned} <= set(CODES)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_comes_after_those_that_it_needs(rule: Rule) -> None:
    assert set(rule.needs) <= set(CODES), "codes of rules"
    assert all(CODES and [*RULES].index(need) < [*RULES].index(rule.code) for need in rule.needs)
    assert all(isinstance(right, Right) for right in rule.reads)
    assert all(right.verb in ("get", "list") for right in rule.reads), "the doctor only reads"


@pytest.mark.parametrize("code", CODES)
def test_explain(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    doctor(explain=code)
    file = f"{package.__path__[0]}/{code.replace('-', '_')}.py"
    docstring = ast.get_docstring(ast.parse(open(file).read()), clean=False)
    assert capsys.readouterr().out == f"{docstring.strip()}\n"
