"""What a project's own tests import: no other module of this package is promised to them.

It belongs to the contract with projects (project/contract.py): a change that tests would notice
raises the number. Tests of contract 1 import `starts_flow` of flow_files, `read_flow_settings` of
flow_settings and `find_project` of project: those modules hand them on until that contract is not
taken.
"""

from dataclasses import dataclass
from pathlib import Path

from .project.flow_files import starts_flow
from .project.kind_toml import read_flow_settings, secrets_of_tests, variables_of_tests
from .project.project import Project, find_project


@dataclass(frozen=True)
class Flow:
    """A flow of the project, and how tests/kind.toml has it run."""

    project: Project
    file: str  # relative to the project's folder, like flows/train.py
    options: list[str]  # before Metaflow's command, like --environment=pypi
    parameters: list[str]  # after `run`
    skip: str  # why no test runs it; empty if one does

    def __str__(self) -> str:
        return self.file

    @property
    def folder(self) -> Path:
        """Return the project's folder, in which the flow is run."""
        return self.project.root

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of tests/kind.toml, and what pods get by the Secrets in it."""
        secrets = secrets_of_tests(self.project).values()
        return variables_of_tests(self.project) | {
            key: text for values in secrets for key, text in values.items()
        }


def find_flows(folder: Path) -> list[Flow]:
    """Return the flows of the project that has `folder` inside it.

    Raise CommandError where there is none, or where it or its tests/kind.toml is not valid.
    """
    project = find_project(folder)
    settings = read_flow_settings(project)
    flows = []
    for file in filter(starts_flow, project.flow_files()):
        own = settings.get(file.stem, {})
        options, parameters = own.get("options", []), own.get("parameters", [])
        path = str(file.relative_to(project.root))
        flows.append(Flow(project, path, options, parameters, own.get("skip", "")))
    return flows
