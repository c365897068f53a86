"""The options of `k8s render`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import CommandError
from ..options import Debug, Flows
from ..progress import print_line
from ..project import Project, find_project, shown_path
from .folder import faults, own_files, read_folder, write_folder
from .manifests import KUSTOMIZATION
from .render_flows import must_not_drop_flows, recorded_rendering, render_flows, rendering_of


def render(
    context: typer.Context,
    env: Annotated[str, typer.Option("--env", help="environments/NAME.json, and nothing else.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files; it may hold no others.")
    ],
    flows: Flows = None,
    no_upload: Annotated[
        bool, typer.Option("--no-upload", help="Do not upload the code packages, only name them.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write what `deploy` would write as files, for GitOps.

    The same flows give the same bytes, at any time and on every machine. No cluster is asked. The
    code packages are uploaded to the environment's datastore, under names made of their content.

    What follows -- goes to Metaflow's `argo-workflows create`, as with deploy.
    """
    project = find_project()
    rendering = rendering_of(project, env, flows or (), context.obj or ())
    must_not_drop_flows(output, own_files(output), rendering)
    # without an upload it is a look at what `deploy` would write, and `deploy` can notify
    files = render_flows(project, rendering, upload=not no_upload, leave_out_notify=no_upload)
    removed = write_folder(output, files)
    print_line(f"{'written':<16} {len(files)} files in {shown_path(output)}")
    for name in removed:
        print_line(f"{'removed':<16} {name}")
    if no_upload:
        print_line(
            "the code is not uploaded: runs of these files need a render without --no-upload"
        )


def check_rendered(project: Project, folder: Path) -> int:
    """Compare a folder with what a rendering writes now; return the exit code, 0 if they are equal.

    Raise CommandError if it is no rendering's folder.
    """
    present = read_folder(folder)
    if KUSTOMIZATION not in present:
        raise CommandError(f"{shown_path(folder)} has no {KUSTOMIZATION}: name a rendered folder")
    rendering = recorded_rendering(present[KUSTOMIZATION])
    found = faults(present, render_flows(project, rendering, upload=False))
    for name, fault in found.items():
        print_line(f"{shown_path(folder / name)} {fault}")
    if found:
        place = os.path.relpath(folder, project.root)
        print_line(f"render again, in the project's folder: uv run {rendering} -o {place}")
    else:
        print_line(f"{shown_path(folder)} is what `{rendering}` writes")
    return 1 if found else 0
