"""The contract between this tool and projects, whose template may be older or newer."""

import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import Finding

# The contract with projects. A change of it raises the number here and in their settings.py:
# - `BaseFlow` and its mutator `StepConfiguration` in base.py, `k8s_overrides` on a step's function,
#   and k8s.schema.json and organisation.json beside them, on which this package relies; K8S_CONFIG
#   and K8S_ENVIRONMENT, which name the files that BaseFlow reads;
# - `mf_k8s.testing`, on which a project's tests rely.
# In contract 1 neither that nor K8S_ENVIRONMENT nor organisation.json was there.
# The number before is taken too, so that a new version stops no project of the release before.
CONTRACT = 2
UPDATE_TOOL = "run `uv sync --upgrade-package mf-k8s`"


def contract_of(settings: Path) -> int:
    """Return the number in a project's settings.py; 0 without one."""
    number = re.search(r"^CONTRACT = (\d+)$", settings.read_text(encoding="utf-8"), re.MULTILINE)
    return int(number[1]) if number else 0


def contract_findings(settings: Path, where: str, version: str) -> Iterator[Finding]:
    """Yield why the contract in a project's settings.py, shown as `where`, is not taken.

    `version` is that of the tool.
    """
    contract = contract_of(settings)
    taken = f"contract {contract}, not {CONTRACT - 1} or {CONTRACT}"
    if contract > CONTRACT:
        what = f"{where} needs a newer mf-k8s than {version} ({taken})"
        yield Finding("tool-too-old", what, where, UPDATE_TOOL)
    if contract < CONTRACT - 1:
        what = f"{where} is too old for mf-k8s {version} ({taken})"
        yield Finding("project-too-old", what, where, "run `uvx copier update`")
