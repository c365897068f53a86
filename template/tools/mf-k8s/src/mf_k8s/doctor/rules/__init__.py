"""The rules of the doctor: one a file, whose name is its code and whose docstring explains it."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from ...cluster.rights import Right
from ..answers import Answer
from ..examination import Examination


@dataclass(frozen=True)
class Rule:
    """A statement about the cluster that is true or false for each pod."""

    code: str
    explanation: str  # the first line is the statement
    needs: Sequence[str]  # codes of rules that must hold first
    reads: Sequence[Right]
    examine: Callable[[Examination], Iterator[Answer]]

    @property
    def statement(self) -> str:
        return self.explanation.partition("\n")[0]


@functools.cache
def all_rules() -> dict[str, Rule]:
    """Return the rules by their codes, each behind those that it needs."""
    rules = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = importlib.import_module(f"{__name__}.{info.name}")
        code = info.name.replace("_", "-")
        text = (module.__doc__ or "").strip()
        rules[code] = Rule(code, text, module.NEEDS, module.READS, module.examine)
    order = TopologicalSorter({code: rule.needs for code, rule in rules.items()})
    return {code: rules[code] for code in order.static_order()}
