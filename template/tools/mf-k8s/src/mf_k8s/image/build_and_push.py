"""Builds the image of the pods, and pushes it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..errors import CommandError, Finding, raise_if
from ..programs.run import run_program
from ..project.project import Project
from .build_context import build_context, context_findings
from .build_secrets import build_secrets

# Without attestations, which have the time in them: an image that did not change keeps its ID.
BUILD = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
NO_LABELS: Mapping[str, str] = {}
NOT_PUSHED = "no such manifest|manifest unknown|not found"


def build_findings(project: Project, image: str) -> Iterator[Finding]:
    """Yield why a project cannot build its image: no Dockerfile, or not what that needs."""
    if not (project.root / "Dockerfile").exists():
        what = f"this project has no Dockerfile, so {image} can be pulled and not built"
        remedy = "to build it here, add one (the template's answer image_source=build brings one)"
        yield Finding("no-dockerfile", what, remedy=remedy)
    else:
        yield from context_findings(project)


def build_image(project: Project, image: str, labels: Mapping[str, str] = NO_LABELS) -> None:
    """Build the project's Dockerfile as `image`; raise CommandError if it cannot be built."""
    raise_if(build_findings(project, image))
    context, secrets = build_context(project), build_secrets(project)
    options = [f"--label={name}={value}" for name, value in labels.items()]
    options += [*context.options, *secrets.options]
    command = ("docker", "build", "--tag", image, *options, str(context.folder))
    try:
        run_program(*command, env=BUILD | secrets.variables)
    except CommandError as error:
        found = [replace(each, what=secrets.hide(each.what)) for each in error.findings]
        raise CommandError(*found) from None


def push_image(image: str, of_commit: bool = False) -> str:
    """Push an image, and return what was done; raise CommandError if its tag has other content.

    With `of_commit` the tag names a commit, so an image that the registry has under it counts as
    the same: a second build of a commit differs in the times of its files.
    """
    pushed = registry_manifest(image)
    if not pushed:
        run_program("docker", "push", image)
        return "pushed"
    if not of_commit and not is_same_image(pushed, image):
        what = f"{image} is in the registry with other content, which nodes may have pulled"
        remedy = "`uv run k8s image --bump` gives it a new tag"
        raise CommandError(Finding("image-tag-taken", what, image, remedy))
    return "is pushed already"


def is_same_image(manifest: str, image: str) -> bool:
    """Return whether a registry's manifest is that of the image on this machine."""
    built = json.loads(run_program("docker", "image", "inspect", image))[0]
    digests = [name.partition("@")[2] for name in built.get("RepoDigests") or ()]
    return any(digest in manifest for digest in (built["Id"], *digests))


def registry_manifest(image: str) -> str:
    """Return what the registry has under an image's tag, as JSON; empty if that is nothing."""
    # docker push uses plain HTTP for these registries by itself, docker manifest only with a flag
    insecure = ["--insecure"] if re.match(r"(localhost|127\.0\.0\.1)[:/]", image) else []
    try:
        return run_program("docker", "manifest", "inspect", "--verbose", *insecure, image)
    except CommandError as error:
        if re.search(NOT_PUSHED, str(error)):
            return ""
        raise


def registry_digest(image: str) -> str:
    """Return the digest of an image's tag in its registry, or an empty text if it is not there."""
    manifest = json.loads(registry_manifest(image) or "null")
    if isinstance(manifest, list):
        what = f"the registry has {image} for several platforms, and `k8s image` pushes one"
        remedy = "delete this tag from the registry, or choose another tag"
        raise CommandError(Finding("image-of-several-platforms", what, image, remedy))
    return str(manifest["Descriptor"]["digest"]) if manifest else ""
