"""The platform of Docker on this machine, and of an image in a registry."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import CommandError, Finding
from ..programs.run import run_program, succeeds
from ..project.platforms import named, of_nodes
from .ask_registry import has_platform, platform_name

SERVER_PLATFORM = "{{.Server.Os}}/{{.Server.Arch}}"
PODMAN_PLATFORM = "{{.Server.OsArch}}"
RUN = ("docker", "run", "--rm", "--entrypoint=")
IN_PYPROJECT = "`platform` of [tool.mf-k8s] in pyproject.toml"


def docker_platform() -> str:
    """Return for which platform Docker builds and runs here; empty if it does not say."""
    if chosen := os.environ.get("DOCKER_DEFAULT_PLATFORM"):
        return of_nodes(chosen)
    for template in (SERVER_PLATFORM, PODMAN_PLATFORM):
        with contextlib.suppress(CommandError):
            found = run_program("docker", "version", "--format", template).strip()
            if found.startswith("linux/"):
                return of_nodes(found)
    return ""


def manifest_platforms(manifest: str) -> list[str]:
    """Return the platforms in what `docker manifest inspect --verbose` prints."""
    content: Any = json.loads(manifest)
    entries = content if isinstance(content, list) else [content]
    descriptors: list[Mapping[str, Any]] = [entry.get("Descriptor") or {} for entry in entries]
    return sorted({platform_name(each["platform"]) for each in descriptors if has_platform(each)})


def platform_findings(image: str, has: Sequence[str], built: Sequence[str]) -> Iterator[Finding]:
    """Yield that a registry has a tag for other platforms than the image is built for."""
    if has and {*has} != {of_nodes(each) for each in built}:
        what = (
            f"the registry has {image} for {named(has)}, and {IN_PYPROJECT} is {named(built)}:"
            " nodes that have pulled it would differ from those that pull it now"
        )
        remedy = "correct that line, or `uv run k8s image --bump` gives a new tag"
        yield Finding("image-of-another-platform", what, image, remedy)


def runnable_findings(image: str, platform: str) -> Iterator[Finding]:
    """Yield that this machine cannot run an image that is for another platform than its own."""
    own = docker_platform()
    if own and platform != own and not succeeds(*RUN, image, "python", "-c", ""):
        what = f"{image} is for {platform}, and the nodes of kind on this machine are {own}"
        remedy = f"choose an image for {own} too in k8s.toml, or use a machine with {platform}"
        yield Finding("image-not-for-this-machine", what, image, remedy)
