"""Builds the image of the pods, and pushes it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..errors import CommandError, Finding, raise_if
from ..pods.image_names import image_name
from ..programs.run import process_variables, run_program, uses_podman
from ..project.project import Project
from .ask_registry import RegistryAnswer, ask_registry
from .build_context import BuildContext, build_context, context_findings
from .build_secrets import build_secrets
from .buildctl import push_command, uses_buildctl
from .platforms import manifest_platforms, platform_findings
from .reduced_context import reduced_context
from .registry_logins import own_logins

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


def build_image(
    project: Project,
    image: str,
    labels: Mapping[str, str] = NO_LABELS,
    platforms: Sequence[str] = (),
    push: bool = False,
) -> None:
    """Build the project's Dockerfile as `image`; raise CommandError if it cannot be built.

    With `push` it is pushed at once, as for several platforms: not every Docker can keep such an
    image, and buildctl keeps none.
    """
    raise_if(build_findings(project, image))
    secrets = build_secrets(project)
    with reduced_context(build_context(project)) as context:
        command = build_command(image, context, labels, platforms, secrets.options, push)
        try:
            run_program(*command, env=BUILD | secrets.variables)
        except CommandError as error:
            found = [replace(each, what=secrets.hide(each.what)) for each in error.findings]
            raise CommandError(*found) from None


def build_command(
    image: str,
    context: BuildContext,
    labels: Mapping[str, str],
    platforms: Sequence[str],
    secrets: Sequence[str],
    push: bool,
) -> list[str]:
    """Return the command that builds an image; `secrets` are options, too."""
    if push and uses_buildctl():
        return push_command(image, context, labels, platforms, secrets)
    options = [f"--label={name}={value}" for name, value in labels.items()]
    options += [f"--platform={','.join(platforms)}"] if platforms else []
    build = ["buildx", "build", "--push"] if push else ["build"]
    if uses_podman():  # whose cache does not ask whether uv.lock has changed, which RUN mounts
        options.append("--no-cache")
    return ["docker", *build, "--tag", image, *options, *secrets, *context.arguments]


def push_image(image: str, platforms: Sequence[str], of_commit: bool = False) -> str:
    """Push an image, and return what was done; raise CommandError if its tag has other content.

    With `of_commit` the tag names a commit, so an image that the registry has under it counts as
    the same: a second build of a commit differs in the times of its files.
    """
    pushed = registry_manifest(image)
    if not pushed:
        run_program("docker", "push", image)
        return "pushed"
    raise_if(platform_findings(image, manifest_platforms(pushed), platforms))
    if not of_commit and not is_same_image(pushed, image):
        raise CommandError(tag_taken(image))
    return "is pushed already"


def build_and_push(
    project: Project, image: str, labels: Mapping[str, str], platforms: Sequence[str]
) -> None:
    """Build an image and push it at once; raise CommandError if its tag is taken."""
    pushed = pushed_platforms(image)
    if pushed is not None:
        raise_if(platform_findings(image, pushed, platforms))
        raise CommandError(tag_taken(image))
    build_image(project, image, labels, platforms, push=True)


def pushed_platforms(image: str) -> Sequence[str] | None:
    """Return the platforms for which a registry has an image's tag; None if it has none."""
    if uses_buildctl():
        answer = ask_without_docker(image)
        return answer.platforms if answer.state == "found" else None
    manifest = registry_manifest(image)
    return manifest_platforms(manifest) if manifest else None


def ask_without_docker(image: str) -> RegistryAnswer:
    """Return what an image's registry says; raise CommandError if it does not show the image."""
    name = image_name(image)
    answer = ask_registry(name, own_logins(process_variables(), name))
    if answer.state not in ("found", "not found"):
        what = f"whether the registry has {image} is not known: {answer.reason}"
        remedy = "log in as docker login does, into the file config.json that DOCKER_CONFIG is for"
        raise CommandError(Finding("registry-not-readable", what, image, remedy))
    return answer


def tag_taken(image: str) -> Finding:
    what = f"{image} is in the registry with other content, which nodes may have pulled"
    return Finding("image-tag-taken", what, image, "`uv run k8s image --bump` gives it a new tag")


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
    """Return the digest of an image's tag in its registry, or an empty text if it is not there.

    Docker does not print that of an image for several platforms, so its registry is asked.
    """
    if uses_buildctl():
        return ask_without_docker(image).digest
    manifest = json.loads(registry_manifest(image) or "null")
    if not isinstance(manifest, list):
        return str(manifest["Descriptor"]["digest"]) if manifest else ""
    name = image_name(image)
    answer = ask_registry(name, own_logins(process_variables(), name))
    if answer.state != "found":
        what = f"{image} is for several platforms, and its digest is not known: {answer.reason}"
        remedy = "choose one platform in pyproject.toml, or a registry that answers from here"
        raise CommandError(Finding("image-of-several-platforms", what, image, remedy))
    return answer.digest
