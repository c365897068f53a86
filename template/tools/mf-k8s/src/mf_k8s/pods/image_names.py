"""The parts of an image's name, as Docker and containerd read it."""

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
DIGEST = "mf-k8s/image-digest"  # an annotation of the pods, as Docker writes it: name@sha256:…


@dataclass(frozen=True)
class ImageName:
    """An image's name in full. See ParseDockerRef in containerd's reference/docker."""

    registry: str  # with its port
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """Return the name by which nodes know the image: with a digest, they drop the tag."""
        end = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{self.registry}/{self.repository}{end}"

    @property
    def reference(self) -> str:
        """Return by what a registry finds the image in its repository."""
        return self.digest or self.tag


def image_name(image: str) -> ImageName:
    """Return the parts of an image's name, with what Docker adds to a short one."""
    name, _, digest = image.partition("@")
    registry, slash, repository = name.partition("/")
    if not slash or not (re.search("[.:]", registry) or registry == "localhost"):
        registry, repository = DOCKER_HUB, name if slash else f"library/{name}"
    if registry == "index.docker.io":
        registry = DOCKER_HUB
    repository, _, tag = repository.partition(":")
    return ImageName(registry, repository, tag or ("" if digest else "latest"), digest)
