"""The images of the pods: built, pushed, numbered, and packed for kind."""

import json
import re
from pathlib import Path

import tomlkit

from . import ROOT, Problem
from .tools import tool

CONFIG = ROOT / "k8s.toml"
# without attestations, which have the time in them: what did not change keeps its ID
BUILD = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def bumped() -> tuple[str, str]:
    """Give the image's name with the next tag, 0.1.10 after 0.1.9, and k8s.toml's text with it."""
    text = tomlkit.parse(CONFIG.read_text(encoding="utf-8"))
    name, colon, tag = str(text["image"]).rpartition(":")
    number = re.search(r"\d+(?=\D*\Z)", tag)
    if not colon or "/" in tag or "@" in name or not number:
        raise Problem(f"k8s.toml: image: no number to count up in {text['image']}")
    text["image"] = f"{name}:{tag[: number.start()]}{int(number[0]) + 1}{tag[number.end() :]}"
    return str(text["image"]), tomlkit.dumps(text)


def build(image: str) -> None:
    """Build the Dockerfile under that name; raise Problem if there is none."""
    if not (ROOT / "Dockerfile").exists():
        raise Problem(f"no Dockerfile: {image} is an existing image (image_source)")
    if not (ROOT / "uv.lock").exists():
        raise Problem("no uv.lock, which the Dockerfile installs: uv lock")
    tool("docker", "build", "--tag", image, str(ROOT), **BUILD)


def push(image: str) -> str:
    """Push the image, and say what was done; raise Problem if the tag holds something else."""
    try:
        there = tool("docker", "manifest", "inspect", "--verbose", image)
    except Problem as problem:
        if not re.search("no such manifest|manifest unknown|not found", str(problem)):
            raise
        tool("docker", "push", image)
        return "pushed"
    here = json.loads(tool("docker", "image", "inspect", image))[0]
    digests = [one.partition("@")[2] for one in here.get("RepoDigests") or ()]
    if any(digest in there for digest in (here["Id"], *digests)):
        return "is pushed already"
    raise Problem(
        f"{image} is in the registry with other content, which nodes may have pulled: "
        "k8s image --bump gives it a new tag"
    )


def archive(image: str, file: Path) -> None:
    """Write an image to a file, by the name of `in_archive`."""
    name = in_archive(image)
    if name != image:
        tool("docker", "tag", image, name)
    tool("docker", "save", "--output", str(file), name)
    if name != image:
        tool("docker", "image", "rm", name)


def in_archive(image: str) -> str:
    """Give an image's name in an archive, where it has a tag and no digest."""
    return f"kind.local/image:{image.rpartition(':')[2]}" if "@" in image else image


def by_digest(image: str) -> str:
    """Give the name under which nodes look for an image with a digest: whole, but without a tag.

    See ParseDockerRef in containerd's reference/docker.
    """
    name, _, digest = image.partition("@")
    registry, slash, _ = name.partition("/")
    if not slash or not (re.search("[.:]", registry) or registry == "localhost"):
        name = f"docker.io/{name if slash else f'library/{name}'}"
    return f"{re.sub(':[^/]*$', '', name)}@{digest}"
