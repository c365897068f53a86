"""Examines what is about to be deployed, and the development cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cluster.target import Target
from ..cluster.view import View
from ..errors import Finding, findings_of
from ..kind.cluster import Cluster
from ..kind.find_target import kind_target
from ..metaflow.record_requests import Request
from ..project.environments import Environment, read_environment
from ..project.project import Project
from .answers import PROBLEM, Answer, FlowPod
from .examine import Examined, examine_all
from .prepare import examination, prepare
from .print_answers import print_answers, summary
from .rules import all_rules

# A deploy asks for its rights itself, and uploads the code to the datastore.
ASKED_BY_DEPLOY = ("your-rights", "datastore")


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor says of flows. `pods` are all of them."""

    examined: Examined
    pods: Sequence[FlowPod] = ()

    @property
    def problems(self) -> list[Answer]:
        return [answer for answer in self.examined.answers if answer.state == PROBLEM]

    @property
    def lasting(self) -> list[Answer]:
        """Return the problems that do not mend themselves."""
        return [answer for answer in self.problems if not answer.passes]

    def __str__(self) -> str:
        return summary(self.examined.answers)

    def print_problems(self) -> None:
        if self.problems:
            print_answers(self.problems, self.pods, markdown=False, counted=False)


def diagnose(
    project: Project, target: Target, requests: Sequence[Request], files: Sequence[Path]
) -> Diagnosis:
    """Return what the doctor says of what is about to be written.

    What goes wrong in asking is in its errors: it must not stop a deploy.
    """
    rules = {code: rule for code, rule in all_rules().items() if code not in ASKED_BY_DEPLOY}
    try:
        case = examination(project, View(target), requests, files)
        return Diagnosis(examine_all(case, rules), case.pods)
    except Exception as error:
        return Diagnosis(Examined(errors=[*findings_of(error)]))


def diagnose_cluster(project: Project, cluster: Cluster) -> Diagnosis:
    """Return what the doctor says of all flows of a project on the development cluster.

    What goes wrong in asking is in its errors: the cluster is up.
    """
    try:
        target = kind_target(project, cluster, read_environment(project, "kind"))
        case, errors = prepare(project, target, project.flow_files())
        examined = examine_all(case)
        examined.errors += errors
        return Diagnosis(examined, case.pods)
    except Exception as error:
        return Diagnosis(Examined(errors=[*findings_of(error)]))


def refusals(diagnosis: Diagnosis, environment: Environment) -> Iterator[Finding]:
    """Yield why a deploy to an environment stops where nobody can answer."""
    if number := len(diagnosis.lasting):
        problems = "a problem" if number == 1 else f"{number} problems"
        what = f"pods would not run there, for {problems} above: nothing is written"
        accept = f"accept it by doctor_accepts in {environment.file}, " * bool(environment.name)
        remedy = f"mend what the doctor says, {accept}or give --anyway"
        yield Finding("pods-would-not-run", what, remedy=remedy)
