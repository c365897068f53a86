"""The options of `k8s image`."""

from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import CommandError, Finding, raise_if
from .options import wrong_options

if TYPE_CHECKING:
    from ..project.project import Project


def image(
    push: Annotated[bool, typer.Option("--push", help="Push it, unless its tag is taken.")] = False,
    bump: Annotated[
        bool, typer.Option("--bump", help="Give it the next tag, and write that into k8s.toml.")
    ] = False,
    tag: Annotated[
        str,
        typer.Option(
            metavar="TAG",
            help="Give it this tag, and write that into k8s.toml; `git` is the commit's hash.",
        ),
    ] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="Run it, and import in it each module that the flows import."),
    ] = False,
) -> None:
    """Build the image that k8s.toml names, from the Dockerfile.

    With --tag and --push, its digest becomes an annotation of the pods, in k8s.toml. With --tag
    git, pods get it by that digest, and one that CI has built from the commit is not built again.

    Where BUILDKIT_HOST is set, buildctl builds and pushes it, and no Docker is needed.
    """
    from ..image.build_and_push import (
        build_and_push,
        build_findings,
        build_image,
        push_image,
        registry_digest,
    )
    from ..image.buildctl import HOST, uses_buildctl
    from ..image.origin import digest_of_commit, origin_here
    from ..image.platforms import docker_platform
    from ..image.tags import (
        digest_findings,
        next_tag,
        with_tag,
        without_own_digest,
        write_image,
        writing_findings,
    )
    from ..programs.run import require_programs
    from ..project.environment_layer import merged_config
    from ..project.k8s_toml import read_config, read_toml
    from ..project.merge_settings import with_registry
    from ..project.platforms import image_platforms, named
    from ..project.project import find_project
    from ..show.progress import stage

    if bump and tag:
        raise wrong_options("--bump and --tag both choose the tag: give one of them")
    project = find_project()
    if (remote := uses_buildctl()) and not push:
        raise wrong_options(f"{HOST} is set, so an image is only pushed: add --push, or unset it")
    if remote and check:
        raise wrong_options(f"--check runs the image, and with {HOST} it is not here: unset that")
    require_programs([] if remote else ["docker"])
    read = read_toml if bump or tag else read_config  # only TOML is written
    config = read(project.config_file)
    name = without_own_digest(with_registry(config, merged_config(project)))
    if not name:
        file, remedy = project.config_file.name, 'add a line like image = "ghcr.io/acme/a:0.1.0"'
        raise CommandError(Finding("no-image", f"{file} has no image", file, remedy))
    raise_if(build_findings(project, name))
    if bump:
        name = next_tag(name)
    raise_if(digest_findings(project, name))
    if tag:
        name = with_tag(project, name, tag)
    if bump or tag:
        raise_if(writing_findings(project, name))
    origin, digest = origin_here(project) if tag == "git" else None, ""
    labels, platforms = origin.labels if origin else {}, image_platforms(project)
    several = len(platforms) > 1
    at_once = push and (several or remote)  # built and pushed by one command
    with stage("build") as build:
        if origin and push:
            digest = digest_of_commit(name, origin)
        build.result = f"{name}: not needed, the registry has it"
        if not digest and (check or not at_once):
            here = [docker_platform() or platforms[0]] if several else platforms
            build_image(project, name, labels, here)
        if check:
            check_image(project, name)
        if not digest and at_once:
            build_and_push(project, name, labels, platforms)
        elif not digest:
            platforms = here
        if not digest:
            build.result = f"{name}: built for {named(platforms)}"
    if bump or tag:
        write_image(project, name)
    if push:
        with stage("push") as pushing:
            if digest:
                done = "is pushed already"
            else:
                done = "pushed" if at_once else push_image(name, platforms, origin is not None)
            pushing.result = f"{name}: {done}"
        if tag:
            digest = digest or (digest_of_commit(name, origin) if origin else registry_digest(name))
            if not digest:
                what = f"{name} is pushed, and `docker manifest inspect` does not find it"
                reason = "no digest to write into k8s.toml. Does its registry lack TLS?"
                raise CommandError(Finding("image-digest-unknown", what, name, reason))
            write_image(project, name, digest, pin=origin is not None)


def check_image(project: "Project", image: str) -> None:
    """End with 1, and a line for each module, if the image lacks one that a flow imports."""
    from ..image.check_imports import import_findings, imported_modules
    from ..metaflow.compile_flows import compile_flows, not_compiled
    from ..project.project import shown_path
    from ..show.progress import print_error

    compiled = list(compile_flows(project, project.flow_files()))
    raise_if(not_compiled(shown_path(each.file), each.error) for each in compiled if each.error)
    lacking = [*import_findings(project, image, imported_modules(project, compiled))]
    for finding in lacking:
        print_error(f"k8s: {finding}")
    if lacking:
        raise typer.Exit(1)
