"""Renders flows for an environment, with nothing of the machine in the result."""

import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cluster.target import Target
from ..deploy.create import check_templates, compile_to_deploy, create_requests, files_to_deploy
from ..deploy.datastore import datastore_asked
from ..deploy.project_branch import with_options
from ..errors import CommandError, Finding, raise_if
from ..kind.cluster import find_running_cluster
from ..kind.find_target import kind_target
from ..metaflow.configuration import only_environment
from ..metaflow.read_place import read_place
from ..metaflow.record_requests import workflow_templates
from ..programs.arguments import split_arguments
from ..project.project import Project, shown_path
from ..show.progress import stage
from .manifests import HEADER, KUSTOMIZATION, rendered_files, rights_of_pods
from .refuse_secrets import not_secret, notify_findings, secret_findings, without_notify

SCRIPT = "mf_k8s.metaflow.create_offline"
PROGRAM = ["k8s", "render"]
WITHOUT_RBAC = "--without-rbac"


@dataclass(frozen=True)
class Rendering:
    """What is to be rendered."""

    environment: str
    flows: Sequence[str] = ()  # paths from the project's folder; all flows if there are none
    options: Sequence[str] = ()  # of Metaflow's create
    rbac: bool = True  # with the pods' service accounts and their rights

    def __str__(self) -> str:
        """Return the command, but for where it writes."""
        options = ["--", *self.options] if self.options else []
        without = [] if self.rbac else [WITHOUT_RBAC]
        return shlex.join([*PROGRAM, *self.flows, *without, "--env", self.environment, *options])


def rendering_of(
    project: Project,
    environment: str,
    names: Sequence[str],
    options: Sequence[str],
    rbac: bool = True,
) -> Rendering:
    """Return the rendering of flows that a user has named.

    Raise CommandError for an option of several lines: the rendering is recorded in one.
    """
    if several := [option for option in options if "\n" in option]:
        name = several[0].partition("=")[0].partition("\n")[0]
        what = f"{name} has a line break, and render records one line"
        raise CommandError(Finding("option-of-several-lines", what, name, "leave it out"))
    files = project.flow_files(names) if names else ()
    paths = [os.path.relpath(file, project.root) for file in files]
    return Rendering(environment, paths, options, rbac)


def recorded_rendering(text: str) -> Rendering:
    """Return the rendering that a kustomization is of; raise CommandError if it does not say."""
    _, _, line = text.partition("\n")[2].partition("\n")[0].partition("# ")
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    own, options = split_arguments(words)
    if not text.startswith(HEADER) or own[:2] != PROGRAM or own[-2:-1] != ["--env"]:
        what = (
            f"{KUSTOMIZATION} does not say in its second line how it was rendered, so there is"
            " nothing to compare with"
        )
        raise CommandError(Finding("rendering-unknown", what, KUSTOMIZATION, "render again"))
    flows = [word for word in own[2:-2] if word != WITHOUT_RBAC]
    return Rendering(own[-1], flows, options, WITHOUT_RBAC not in own)


def dropped_flows(
    folder: Path, present: Mapping[str, str], rendering: Rendering
) -> Iterator[Finding]:
    """Yield whether a folder holds another environment's flows, or more flows than these.

    `present` are its files. The render would remove those of the other flows, and Argo CD would
    then remove the flows.
    """
    if KUSTOMIZATION not in present:
        return
    old = recorded_rendering(present[KUSTOMIZATION])
    has_all = not rendering.flows or (old.flows and {*old.flows} <= {*rendering.flows})
    if not has_all or old.environment != rendering.environment:
        where, remedy = shown_path(folder), "render all of that again, or choose another folder"
        yield Finding("rendering-drops-flows", f"{where} holds what `{old}` writes", where, remedy)


def render_flows(
    project: Project, rendering: Rendering, upload: bool, leave_out_notify: bool = False
) -> dict[str, str]:
    """Return the text of each file by its name.

    With `upload` the code packages go to the environment's datastore. Raise CommandError with the
    reason if a flow does not pass the check, or if a file would hold a secret. The environment's
    `notify` needs one, unless it is left out.
    """
    project = project.at(rendering.environment)
    environment = read_place(project, rendering.environment)
    if leave_out_notify:
        environment = without_notify(environment)
    with tempfile.TemporaryDirectory() as folder:
        if environment.name == "kind":
            cluster = find_running_cluster(project)
            own = kind_target(project, cluster, environment).configuration
        else:
            own = only_environment(project, environment, folder)
        target = with_options(Target(environment, own), rendering.options)
        raise_if(notify_findings(target.environment))
        files = files_to_deploy(project, [str(project.root / flow) for flow in rendering.flows])
        if upload:
            with datastore_asked(project, files, target, Path(folder)):
                pass
        compiled = compile_to_deploy(project, files, target)
        with stage("render") as rendered:
            requests = create_requests(project, compiled, target, SCRIPT, upload=upload)
            check_templates(project, compiled, target, workflow_templates(requests))
            rights = rights_of_pods(project, compiled, requests, environment.name)
            texts = rendered_files(requests, rights if rendering.rbac else [], str(rendering))
            raise_if(secret_findings(texts, target.variables, not_secret(project)))
            rendered.result = f"{len(texts)} files"
    return texts
