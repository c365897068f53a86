"""Builds the image of the pods, gives it its next tag, and pushes it."""

import json
import re

from ..errors import CommandError
from ..programs import run_program
from ..project import Project

# Without attestations, which have the time in them: an image that did not change keeps its ID.
BUILD = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
NOT_PUSHED = "no such manifest|manifest unknown|not found"


def next_tag(config_text: str) -> tuple[str, str]:
    """Return the image with the next tag, 0.1.10 after 0.1.9, and k8s.toml's text with it."""
    import tomlkit

    config = tomlkit.parse(config_text)
    image = str(config["image"])
    name, colon, tag = image.rpartition(":")
    number = re.search(r"\d+(?=\D*\Z)", tag)
    if not colon or "/" in tag or "@" in name or not number:
        raise CommandError(
            f"k8s.toml: image = {image}: its tag has no number to raise; use one like 0.1.0"
        )
    config["image"] = f"{name}:{tag[: number.start()]}{int(number[0]) + 1}{tag[number.end() :]}"
    return str(config["image"]), tomlkit.dumps(config)


def build_image(project: Project, image: str) -> None:
    """Build the project's Dockerfile as `image`; raise CommandError if it cannot be built."""
    if not (project.root / "Dockerfile").exists():
        raise CommandError(
            f"no Dockerfile: {image} is an existing image, which is only pulled (image_source)"
        )
    if not (project.root / "uv.lock").exists():
        raise CommandError("the Dockerfile needs uv.lock: run `uv lock`")
    run_program("docker", "build", "--tag", image, str(project.root), env=BUILD)


def push_image(image: str) -> str:
    """Push an image, and return what was done; raise CommandError if its tag has other content."""
    try:
        pushed = run_program("docker", "manifest", "inspect", "--verbose", image)
    except CommandError as error:
        if not re.search(NOT_PUSHED, str(error)):
            raise
        run_program("docker", "push", image)
        return "pushed"
    built = json.loads(run_program("docker", "image", "inspect", image))[0]
    digests = [name.partition("@")[2] for name in built.get("RepoDigests") or ()]
    if any(digest in pushed for digest in (built["Id"], *digests)):
        return "is pushed already"
    raise CommandError(
        f"{image} is in the registry with other content, which nodes may have pulled:"
        " k8s image --bump gives it a new tag"
    )
