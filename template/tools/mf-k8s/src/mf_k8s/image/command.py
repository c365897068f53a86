"""The options of `k8s image`."""

from typing import Annotated

import typer

from ..config import read_toml
from ..errors import CommandError
from ..programs import require_programs
from ..progress import stage
from ..project import find_project
from .build_and_push import build_image, next_tag, push_image


def image(
    push: Annotated[bool, typer.Option("--push", help="Push it, unless its tag is taken.")] = False,
    bump: Annotated[
        bool, typer.Option("--bump", help="Give it the next tag, and write that into k8s.toml.")
    ] = False,
) -> None:
    """Build the image that k8s.toml names, from the Dockerfile."""
    project = find_project()
    require_programs(["docker"])
    name, new_text = str(read_toml(project.config_file).get("image", "")), ""
    if not name:
        raise CommandError('k8s.toml has no image: add a line like image = "ghcr.io/acme/a:0.1.0"')
    if bump:
        name, new_text = next_tag(project.config_file.read_text(encoding="utf-8"))
    with stage("build") as build:
        build_image(project, name)
        build.result = f"{name}: built"
    if new_text:
        project.config_file.write_text(new_text, encoding="utf-8")
    if push:
        with stage("push") as pushing:
            pushing.result = f"{name}: {push_image(name)}"
