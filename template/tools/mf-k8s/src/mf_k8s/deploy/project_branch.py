"""The branch of @project that flows are deployed to: a choice, never Metaflow's default."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from ..cluster.target import Target
from ..errors import CommandError, Finding
from ..metaflow.compile_flows import ENVIRONMENT, CompiledFile
from ..pods.project_labels import annotation
from ..project.environments import (
    BRANCH,
    PRODUCTION,
    Environment,
    branch_of,
    environment_names,
    read_environment,
)
from ..project.project import Project, shown_path
from ..show.progress import print_line

# Metaflow's branch for a flow with no choice (format_name in plugins/project_decorator.py).
NO_CHOICE = f"user.{ENVIRONMENT['METAFLOW_USER']}"


def split_branch_options(options: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables for --production and --branch among `options`, and the others.

    Metaflow takes these two before its command, not among the options of `create`.
    """
    variables, others, remaining = {}, [], iter(options)
    for option in remaining:
        name, equals, value = option.partition("=")
        if name == "--branch":
            variables[BRANCH] = value if equals else next(remaining, "")
        elif option == "--production":
            variables[PRODUCTION] = "1"
        else:
            others.append(option)
    return variables, others


def with_options(target: Target, options: Sequence[str]) -> Target:
    """Return a target with a user's options added, those of a branch as variables."""
    variables, others = split_branch_options(options)
    create_options = (*target.environment.create_options, *others)
    environment = dataclasses.replace(target.environment, create_options=create_options)
    return Target(environment, target.with_variables(variables).configuration)


def branch_findings(compiled: Iterable[CompiledFile], target: Target) -> Iterator[Finding]:
    """Yield each flow with @project whose branch neither code nor variable chooses.

    Metaflow would deploy it to a branch of the user's own, which nobody else can replace.
    """
    if branch_of(target.variables):
        return
    environment = target.environment
    for flow in compiled:
        if flow.template and annotation(flow.template, "branch_name") == NO_CHOICE:
            choice = (
                f'write "production": true or "branch": "NAME" into {environment.file}'
                if environment.name
                else "name an environment that does, like --env prod"
            )
            where = shown_path(flow.file)
            yield Finding(
                "branch-not-chosen",
                f"{where} has @project, and nothing says whether it goes to production or to which"
                " branch",
                where,
                f"{choice}, or end the command with `-- --branch NAME` or `-- --production`",
            )


def other_environments(project: Project, environment: Environment) -> Iterator[Environment]:
    """Yield the others; of one that is wrong, by which nothing is deployed, print why."""
    for name in sorted({*environment_names(project)} - {environment.name, "kind"}):
        try:
            yield read_environment(project, name)
        except CommandError as error:
            start = f"{environment.file} is not compared with an environment that is wrong"
            for finding in error.findings:
                print_line(f"{start}: {finding}")


def same_name_findings(
    project: Project, compiled: Iterable[CompiledFile], target: Target
) -> Iterator[Finding]:
    """Yield each flow that another environment would write by the same name.

    Each deployment would replace the other's. A flow without @project has one name in a namespace,
    and a flow with it one name for each branch.
    """
    environment, branch = target.environment, branch_of(target.variables)
    if not environment.name:
        return
    for other in other_environments(project, environment):
        if not other.shares_namespace(environment):
            continue
        same_branch = branch and branch == branch_of(dict(other.variables))
        for flow in compiled:
            has_project = flow.template and annotation(flow.template, "branch_name")
            if has_project and same_branch:
                yield Finding(
                    "branch-of-two-environments",
                    f"{environment.file} and {other.file} both write the branch {branch} in"
                    f" namespace {other.namespace}",
                    environment.file,
                    "give each its own `branch` or namespace",
                )
            if flow.template and not has_project:
                where = shown_path(flow.file)
                yield Finding(
                    "flow-of-two-environments",
                    f"{where} has no @project, so {environment.file} and {other.file} would both"
                    f" write {flow.template['metadata']['name']} in namespace {other.namespace}",
                    where,
                    "give the flow @project, or each environment its own namespace",
                )
