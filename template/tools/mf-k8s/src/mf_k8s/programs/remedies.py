"""Says in one line why docker, kind, kubectl or git failed, and what to do."""

import re
from collections.abc import Iterable, Sequence

REASON = "error|failed|fatal|denied|not found"  # in the lines of an output that say why
# What a registry prints that does not know the user, or refuses; not a file's "permission denied".
REFUSED = (
    "pull access denied|resource is denied|(?<!permission )denied: |: denied$|unauthorized"
    "|authentication required|no basic auth credentials|authorization failed"
)
NO_HOST = r"lookup (\S+?)(?: on \S+)?: no such host"
REMEDIES = (  # by a pattern of the command, and one of what it prints: the first that fits
    ("", "permission denied while trying to connect", "add yourself to the group docker"),
    ("", "no space left on device", "free some disk: docker system prune"),
    ("", "port is already allocated", "another program has this port; try again"),
    (
        "kind create",
        "failed to pull image|no such host",
        "no internet? docker pull it, or set K8S_KIND_NODE_IMAGE to an image that this machine has",
    ),
    (
        "docker",
        "error getting credentials",
        "docker cannot run the credential helper that ~/.docker/config.json names: install it, or"
        " take credsStore and credHelpers out",
    ),
    (
        "docker build",
        NO_HOST,
        "is {0} spelt right in the Dockerfile's FROM? Else the network, or a proxy, is missing",
    ),
    (
        "docker",
        NO_HOST,
        "is {0} spelt right in k8s.toml's image? Else the network, or a proxy, is missing",
    ),
    (
        "docker build",
        REFUSED,
        "is the image in the Dockerfile's FROM spelt right? Else docker login to its registry",
    ),
    (
        "docker push",
        REFUSED,
        "docker login{registry}, with an account that may push {image}",
    ),
    ("docker", REFUSED, "is {image} spelt right? Else docker login{registry}"),
)
# A line that a command of a build has printed; BuildKit repeats the last ones without the #9.
OF_A_COMMAND = re.compile(r"(#\d+ )?\d+\.\d+ ")


def reason_of_failure(command: Sequence[str], output: str) -> str:
    """Return the lines of a command's output that say most, and the remedy if it is known."""
    # the lines of a build begin with #9 1.86
    lines = [re.sub(r"^#\d+ [\d.]*", "", line).strip() for line in output.splitlines()]
    lines = list(filter(None, lines)) or ["it failed and printed nothing"]
    reasons = [line.removeprefix("ERROR: ") for line in lines if re.search(REASON, line, re.I)]
    distinct = list(dict.fromkeys(reasons))
    return ": ".join([*(distinct[-2:] or lines[-1:]), *remedies(command, output)])


def remedies(command: Sequence[str], output: str) -> Iterable[str]:
    """Yield the remedy for what docker or kind prints, if it is known.

    What the commands of a build print does not count: a file that may not be read there is no
    registry that refuses.
    """
    line = " ".join(command)
    printed = "\n".join(row for row in output.splitlines() if not OF_A_COMMAND.match(row))
    for of_command, words, remedy in REMEDIES:
        found = re.search(words, printed, re.I | re.M)
        if found and line.startswith(of_command):
            image = command[-1]
            yield remedy.format(*found.groups(), image=image, registry=registry_of(image))
            return


def registry_of(image: str) -> str:
    """Return a blank and an image's registry, or nothing for Docker Hub's, as for docker login."""
    host, slash, _ = image.partition("/")
    return f" {host}" if slash and (re.search("[.:]", host) or host == "localhost") else ""
