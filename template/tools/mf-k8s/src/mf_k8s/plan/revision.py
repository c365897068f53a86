"""Compares this tree with another revision of it."""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..check.compare import name_clashes
from ..check.flow_imports import unlisted_imports
from ..check.pods_python import code_for_other_pythons, python_notes
from ..check.stale_image import stale_image_notes
from ..errors import CommandError, Finding, raise_if
from ..metaflow.compile_flows import CompiledFile, compile_flows, not_compiled
from ..pods.configure_template import configure_template
from ..pods.expected_pods import expected_pods
from ..pods.lay_pod import step_pods
from ..pods.read_pods import WORKFLOW
from ..pods.starters import starters
from ..programs.run import UV, git, git_or_nothing
from ..project.environment_layer import environments_with_layer, layer_sources, merged_config
from ..project.environments import environment_names, read_environment, where_flows_start
from ..project.merge_settings import shared_settings
from ..project.project import Project, flow_patterns
from ..project.repository import branching_point, commit_of
from ..project.tool_table import read_table
from ..project.uv_lock import lock_path
from ..show.mermaid import Graph
from .differences import Plan, differences, planned_settings
from .graph import PlannedFlow, graph_of_change


def plan_against(project: Project, reference: str) -> tuple[Plan, dict[str, Graph]]:
    """Return what differs between a revision and this tree, uncommitted changes included.

    With it are the graphs of this tree's flows, by name. Raise CommandError for an unknown
    revision, and for a flow of this tree that does not compile.
    """
    notes: list[str] = []
    with revision(project, reference) as (name, older, python):
        notes += moved_settings(project, older)
        compiled = list(compile_flows(project, project.flow_files()))
        new, problems = planned_flows(project, compiled)
        raise_if(problems)
        old, problems = older_flows(older, python)
        for place in [] if project.environment_file else layered_places(project, older):
            flows, faults = flows_at(project.at(place), [sys.executable])
            notes += map(str, faults)
            new |= {f"{flow} ({place})": each for flow, each in flows.items()}
            flows, faults = flows_at(older.at(place), python)
            problems += faults
            old |= {f"{flow} ({place})": each for flow, each in flows.items()}
    before, after = ({flow: each.settings for flow, each in flows.items()} for flows in (old, new))
    plan = differences(before, after, name)
    plan["notes"] = notes + [f"at {name}: {problem}" for problem in dict.fromkeys(problems)]
    plan["notes"] += layer_sources(project)
    plan["notes"] += stale_image_notes(project, name)
    plan["notes"] += python_notes(project)
    for note in (unlisted_imports, code_for_other_pythons):
        found = (note(project, each.file, each.flow) for each in compiled if each.flow)
        plan["notes"] += dict.fromkeys(itertools.chain(*found))
    return plan, {flow: graph_of_change(old.get(flow), each) for flow, each in new.items()}


def moved_settings(project: Project, older: Project) -> Iterator[str]:
    """Yield what differs in the environments: a bucket, a namespace, a context, a tag."""
    for place in sorted({*environment_names(project)} & {*environment_names(older)} - {"kind"}):
        with contextlib.suppress(CommandError):  # `check` says what is wrong in it
            old, new = settings_of(older, place), settings_of(project, place)
            for key in sorted(key for key in old | new if old.get(key) != new.get(key)):
                change = f"{old.get(key, 'not set')} → {new.get(key, 'not set')}"
                yield f"environment {place}: {key}: {change}"


def settings_of(project: Project, place: str) -> dict[str, str]:
    """Return an environment's variables, its context and the options of `create`."""
    environment = read_environment(project, place)
    others = {"context": environment.context, "options": " ".join(environment.create_options)}
    return dict(environment.variables) | {key: value for key, value in others.items() if value}


def layered_places(project: Project, older: Project) -> list[str]:
    """Return the environments that lay values over k8s.toml, now or at another revision."""
    return sorted({*environments_with_layer(project), *environments_with_layer(older)})


def flows_at(
    project: Project, python: Sequence[str]
) -> tuple[dict[str, PlannedFlow], list[Finding]]:
    """Return the planned flows of an environment, none where it is not there."""
    if not (project.environment_file and project.environment_file.exists()):
        return {}, []
    return older_flows(project, python)


def older_flows(
    older: Project, python: Sequence[str]
) -> tuple[dict[str, PlannedFlow], list[Finding]]:
    """Return the planned flows of another revision, which may be from before the template."""
    try:
        files = older.flow_files()
        if not files or not older.config_file.exists():
            reason = "no flow, or no k8s.toml, so each flow is new"
            return {}, [Finding("revision-without-flows", reason)]
        return planned_flows(older, compile_flows(older, files, python=python))
    except CommandError as error:
        return {}, [*error.findings]


def planned_flows(
    project: Project, compiled: Iterable[CompiledFile]
) -> tuple[dict[str, PlannedFlow], list[Finding]]:
    """Return each planned flow by its name, and why others do not compile."""
    flows: dict[str, PlannedFlow] = {}
    config = merged_config(project)
    shared, workflow = shared_settings(config), config.get("workflow", {})
    places = ", ".join(where_flows_start(project)) or None
    results = list(compiled)
    problems = [*name_clashes(project, results).values()]
    for result in results:
        if result.error:
            file = str(result.file.relative_to(project.root))
            problems.append(not_compiled(file, result.error))
        elif result.flow and result.template:
            own, expected = step_pods(config, result.flow), expected_pods(config, result.flow)
            completed = configure_template(result.template, shared, workflow, own)
            settings = planned_settings(completed, result.flow["steps"], expected)
            if starters(completed):
                settings[WORKFLOW]["starts by itself in"] = places
            flows[result.flow["name"]] = PlannedFlow(settings, result.flow["steps"])
    return flows, problems


@contextlib.contextmanager
def revision(project: Project, reference: str) -> Iterator[tuple[str, Project, list[str]]]:
    """Yield a revision's name, the project at it, and a Python that has its dependencies.

    An empty reference stands for the merge base with origin/main, or else HEAD.
    """
    root = project.root
    name = reference or branching_point(root)
    commit = commit_of(root, name)
    inside = git(root, "rev-parse", "--show-prefix")
    python = [sys.executable]
    files = ["pyproject.toml", lock_path(root)]
    if os.path.normpath(inside + files[1]).startswith(os.pardir):
        files.pop()  # of a uv workspace that is outside this repository, as a submodule's may be
    if git(root, "diff", "--name-only", commit, "--", *files):
        python = [UV, "run", "--quiet", "python"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            git(root, "worktree", "add", "--detach", "--no-checkout", folder, commit)
            git(Path(folder), "reset", "--hard", "--quiet")  # `checkout` runs a team's hook
            yield name, older_project(Path(folder, inside).resolve(), project), python
        finally:
            git_or_nothing(root, "worktree", "remove", "--force", folder)


def older_project(root: Path, project: Project) -> Project:
    """Return the project at another revision, whose flows may be elsewhere.

    K8S_CONFIG and --env name that revision's files, if they name some of the project's.
    """
    file, config = root / "pyproject.toml", project.other_config
    table = read_table(file) if file.exists() else None
    if config and config.is_relative_to(project.root):
        config = root / config.relative_to(project.root)
    environment = project.environment_file
    if environment and environment.is_relative_to(project.root):
        environment = root / environment.relative_to(project.root)
        environment = environment if environment.exists() else None
    flows = flow_patterns(table or {}, file)
    return Project(root, project.package, flows, config, environment)
