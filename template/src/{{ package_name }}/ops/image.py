"""The image of the pods: built, pushed and numbered."""

import json
import re

import tomlkit

from . import ROOT, Problem
from .tools import tool

CONFIG = ROOT / "k8s.toml"


def bump() -> str:
    """Write the next tag into k8s.toml, 0.1.9 becoming 0.1.10, and give the image's new name."""
    text = tomlkit.parse(CONFIG.read_text(encoding="utf-8"))
    name, colon, tag = str(text["image"]).rpartition(":")
    number = re.search(r"\d+(?=\D*\Z)", tag)
    if not colon or "/" in tag or "@" in name or not number:
        raise Problem(f"k8s.toml: image: no number to count up in {text['image']}")
    text["image"] = f"{name}:{tag[: number.start()]}{int(number[0]) + 1}{tag[number.end() :]}"
    CONFIG.write_text(tomlkit.dumps(text), encoding="utf-8")
    return str(text["image"])


def build(image: str) -> None:
    """Build the Dockerfile under that name; raise Problem if there is none."""
    if not (ROOT / "Dockerfile").exists():
        raise Problem(f"no Dockerfile: {image} is an existing image (image_source)")
    if not (ROOT / "uv.lock").exists():
        raise Problem("no uv.lock, which the Dockerfile installs: uv lock")
    tool("docker", "build", "--tag", image, str(ROOT), DOCKER_BUILDKIT="1")


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
