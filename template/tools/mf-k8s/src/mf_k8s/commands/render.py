"""The options of `k8s render`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import raise_if
from .options import Debug, Flows


def render(
    context: typer.Context,
    env: Annotated[
        str, typer.Option("--env", metavar="NAME", help="environments/NAME.json, and nothing else.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="For the files; it may hold no others."
        ),
    ],
    flows: Flows = None,
    no_upload: Annotated[
        bool, typer.Option("--no-upload", help="Do not upload the code packages, only name them.")
    ] = False,
    without_rbac: Annotated[
        bool,
        typer.Option("--without-rbac", help="Leave out service accounts, Roles and bindings."),
    ] = False,
    debug: Debug = False,
) -> None:
    """Write what `deploy` would write as files, for GitOps.

    The same flows give the same bytes, at any time and on every machine. No cluster is asked. The
    code packages are uploaded to the environment's datastore, under names made of their content.

    What follows -- goes to Metaflow's `argo-workflows create`, as with deploy.
    """
    from ..gitops.folder import own_files, write_folder
    from ..gitops.render_flows import dropped_flows, render_flows, rendering_of
    from ..project.project import find_project, shown_path
    from ..show.progress import print_line

    project = find_project()
    rendering = rendering_of(project, env, flows or (), context.obj or (), not without_rbac)
    raise_if(dropped_flows(output, own_files(output), rendering))
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
