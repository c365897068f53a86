"""What `check` finds of one flow."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from ..errors import Finding
from ..pods.flow_facts import StepFacts
from ..project.project import shown_path


class Comparison(TypedDict):
    """One setting of one pod."""

    expected: Any
    found: Any
    equal: bool
    override: bool  # it differs from k8s.toml on purpose: the step or its pool says so


@dataclass(frozen=True)
class Report:
    """What was found of one flow, compiled or on the cluster."""

    file: Path
    flow: str | None = None  # the class
    of: str = "compiled"  # or an object on the cluster
    error: Finding | None = None  # why it could not be checked
    log: str = ""  # what was printed before the error
    failures: list[str] = field(default_factory=list)  # lines about the flow as a whole
    notes: list[str] = field(default_factory=list)
    next: dict[str, list[str]] = field(default_factory=dict)  # the steps after each step
    steps: Mapping[str, StepFacts] = field(default_factory=dict)  # what the code says of them
    pods: dict[str, dict[str, Comparison]] = field(default_factory=dict)  # by pod and setting
    # of a run: when its first pod was made, pods by phase, why pods cannot start, and what tells
    # the older deployment that started it from the present one
    started: str = ""
    phases: dict[str, int] = field(default_factory=dict)
    cannot_start: dict[str, str] = field(default_factory=dict)
    older_deployment: str = ""
    # pods that are right by `deploy` alone, with the settings that a plain `create` leaves off
    by_deploy: dict[str, list[str]] = field(default_factory=dict)
    # what of a plain `create` some releases of Argo cannot run
    release_problems: list[str] = field(default_factory=list)

    @property
    def matches(self) -> bool:
        """Return whether nothing is wrong; a run of an older deployment may differ."""
        wrong = self.error or self.failures or self.cannot_start
        return not wrong and (self.all_equal or bool(self.older_deployment))

    @property
    def all_equal(self) -> bool:
        return all(setting["equal"] for pod in self.pods.values() for setting in pod.values())

    @property
    def result(self) -> str:
        """Return in a few words what came of the comparison."""
        if self.error:
            return "could not be checked"
        if not (self.all_equal or self.older_deployment):
            return "does not match k8s.toml"
        if self.failures:
            return "does not pass the check"
        if self.cannot_start:
            return "a pod cannot start"
        if not self.all_equal:
            return "differs from k8s.toml, as an older deployment may"
        return "every pod matches k8s.toml"

    @property
    def title(self) -> str:
        return f"{self.flow or shown_path(self.file)} ({self.of})"


def as_json(reports: Sequence[Report]) -> str:
    """Return what `--format json` prints: `version` (1), `equal` and, in `flows`, the reports.

    `errors` are the reasons why something could not be checked, as in all commands.

    In a report, `by_deploy` has a key for each pod that is right only when `deploy` writes it. Its
    value lists the settings that a plain `argo-workflows create` leaves off; `release_problems`
    says what of it some releases of Argo cannot run. Beside the pods,
    `(workflow)` has what [workflow] of k8s.toml sets.

    A report on a run has `started`, `phases`, the number of its pods by phase, and `cannot_start`,
    reasons by pod. Where `older_deployment` is not empty, the run was started from one, and its
    settings that differ do not make `equal` false.
    """
    flows = [asdict(report) | {"file": str(report.file)} for report in reports]
    errors = []
    for flow, report in zip(flows, reports, strict=True):
        del flow["log"], flow["steps"]
        if report.error:
            flow["error"] = report.error.message
            errors.append(asdict(report.error))
    matches = all(report.matches for report in reports)
    result = {"version": 1, "equal": matches, "flows": flows, "errors": errors}
    return json.dumps(result, indent=2)
