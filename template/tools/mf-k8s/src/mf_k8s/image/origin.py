"""From which commit and by whose CI an image was built: its labels, and whether they are right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import Finding, raise_if
from ..pods.image_names import image_name
from ..programs.run import process_variables, run_program
from ..project.platforms import image_platforms, named, of_nodes
from ..project.project import Project
from ..project.repository import commit_of
from .ask_registry import ask_registry
from .build_and_push import registry_digest
from .registry_logins import own_logins

# https://github.com/opencontainers/image-spec/blob/main/annotations.md
COMMIT, SOURCE = "org.opencontainers.image.revision", "org.opencontainers.image.source"


@dataclass(frozen=True)
class Origin:
    """What an image must say of itself; `source` is known in CI only."""

    commit: str
    source: str = ""  # URL of the repository whose CI built it
    platforms: Sequence[str] = ()  # like linux/amd64

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of a build, without which it would have those of its base image."""
        return {COMMIT: self.commit, SOURCE: self.source}


def origin_here(project: Project) -> Origin:
    """Return what an image says that is built here and now from the commit."""
    source = ci_repository(process_variables())
    return Origin(commit_of(project.root, "HEAD"), source, image_platforms(project))


def ci_repository(variables: Mapping[str, str]) -> str:
    """Return the URL of the repository whose CI job this is; empty where it is none."""
    if variables.get("GITHUB_ACTIONS"):
        server, name = (variables.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY"))
        return f"{server}/{name}"
    return variables.get("CI_PROJECT_URL", "") if variables.get("GITLAB_CI") else ""


def digest_of_commit(image: str, origin: Origin) -> str:
    """Return the digest that the registry has under a commit's tag; empty if it has none.

    Raise CommandError if that is another image than the one that CI builds from the commit.
    """
    digest = registry_digest(image)
    if digest:
        labels, platforms = read_origin(image)
        raise_if(origin_findings(image, origin, labels, platforms))
    return digest


def read_origin(image: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the labels and platforms of an image in its registry.

    Docker pulls it where the registry answers to Docker alone, which may have certificates of its
    own.
    """
    name = image_name(image)
    answer = ask_registry(name, own_logins(process_variables(), name))
    if answer.state == "found":
        return answer.labels, answer.platforms
    run_program("docker", "pull", image)
    found = json.loads(run_program("docker", "image", "inspect", image))[0]
    labels = (found.get("Config") or {}).get("Labels") or {}
    return labels, (f"{found.get('Os')}/{found.get('Architecture')}",)


def origin_findings(
    image: str, origin: Origin, labels: Mapping[str, str], platforms: tuple[str, ...]
) -> Iterator[Finding]:
    """Yield why an image that the registry has is not the one that CI builds from the commit."""
    found, source = labels.get(COMMIT, ""), labels.get(SOURCE, "")
    if found != origin.commit:
        built = (
            f"was built from commit {found}" if found else "does not say from which commit it is"
        )
    elif origin.source and source != origin.source:
        built = f"was built by {source or 'somebody'}, not by the CI of {origin.source}"
    elif lacking := [each for each in origin.platforms if of_nodes(each) not in platforms]:
        built = f"is for {', '.join(platforms) or 'no platform'}, not for {named(lacking)}"
    else:
        return
    what = f"the registry has {image} already, and it {built}"
    remedy = "delete this tag from the registry and run again, which builds it"
    yield Finding("image-of-another-origin", what, image, remedy)
