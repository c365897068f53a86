"""Says in one line why docker, kind, kubectl or git failed, and what to do."""

import re
from collections.abc import Iterable, Sequence

PAGES = {  # how a program is installed
    "buildctl": "https://github.com/moby/buildkit",
    "docker": "https://docs.docker.com/get-started/get-docker",
    "git": "https://git-scm.com/downloads",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start",
    "kubectl": "https://kubernetes.io/docs/tasks",
    "uv": "https://docs.astral.sh/uv/getting-started/installation",
}
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
    (
        "docker build",
        "buildx component is missing|'buildx' is not a docker command|unknown flag: --push",
        "install buildx: https://docs.docker.com/go/buildx",
    ),
    (
        "docker buildx",
        "multi-platform build is not supported",
        "`docker buildx create --use` makes a builder for several platforms",
    ),
    (
        "docker build",
        "no match for platform in manifest|no matching manifest for",
        "choose an image for `platform` of pyproject.toml in the Dockerfile's FROM",
    ),
    (
        "docker pull",
        "no match for platform in manifest|no matching manifest for",
        "{image} is not built for this machine: choose one that is, in k8s.toml",
    ),
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
        r'short-name "(\S+)" did not resolve',  # Podman's
        "name its registry, too, in the Dockerfile's FROM: docker.io/library/{0}",
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
# What uv, pip and apt-get print in a build, and what the first of them that fits means.
BUILD_REMEDIES = (
    (
        r"\b(?:401 Unauthorized|403 Forbidden)\b",
        "log in as uv does here, by UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, .netrc or"
        " `uv auth login`: the build gets that as a secret",
    ),
    (
        r"(?s)source distribution or wheel for the current platform.*consider adding \"(.*?)\" to",
        'write required-environments = ["{0}"] below [tool.uv], then `uv lock`',
    ),
    (
        "source distribution or wheel",
        "let `uv add` choose a version that has one, or pyproject.toml another `platform`",
    ),
    (
        "hash mismatch",
        "somebody replaced the file after it was locked: ask who, or `uv lock --upgrade-package`",
    ),
    (
        "packages do not match the hashes",
        "your index has another uv than PyPI: ask who serves it. For a processor that is neither"
        " amd64 nor arm64, add the --hash of its wheel to the Dockerfile",
    ),
    (
        "invalid peer certificate|certificate verify failed|self.signed certificate",
        "set SSL_CERT_FILE to a file that has your company's authority: the build gets it",
    ),
    (
        "no matching distribution found for uv==",
        "is PyPI not reached from here? Set UV_DEFAULT_INDEX to your mirror, or HTTPS_PROXY",
    ),
    (
        "dns error|tcp connect error|operation timed out|client error \\(connect",
        "does this host answer to a container? HTTPS_PROXY, NO_PROXY and Docker's settings count",
    ),
    (
        r"\bpython: (?:command )?not found|No module named pip\b",
        "the base image needs Python with pip as `python`: choose another in the Dockerfile's FROM",
    ),
    (
        "useradd: (?:permission denied|cannot)",
        "the base image has another user than root: write USER root below FROM in the Dockerfile",
    ),
    (
        "useradd: not found",
        "make the user in the Dockerfile as this base image does: on Alpine by adduser -D -u 1000",
    ),
    ("git executable not found|apt-get: not found", "install git in the Dockerfile, before uv"),
    (
        "exec format error",
        "this machine cannot run that platform: `docker run --privileged --rm tonistiigi/binfmt"
        " --install all`, or build it on another machine",
    ),
    ("no space left on device|os error 28", "free some disk: docker system prune"),
)
BUILDERS = ("docker build", "buildctl")
A_COMMAND_FAILED = re.compile(
    r"executor failed running \[|process \".*\" did not complete successfully", re.S
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
    said = distinct[-2:]
    if " ".join(command).startswith(BUILDERS):
        said = reasons_of_build(distinct) or said
    said = [line for line in said if not any(line in other for other in said if other != line)]
    parts = [*(said or lines[-1:]), *remedies(command, output)]
    return ": ".join([*(part.removesuffix(".") for part in parts[:-1]), parts[-1]])


def reasons_of_build(reasons: Sequence[str]) -> list[str]:
    """Return what a command of a build says, uv's URL and last cause, without the command."""
    said = [line for line in reasons if not A_COMMAND_FAILED.search(line)]
    errors = [line for line in said if line.startswith("error: ")]
    causes = [line for line in said if line.startswith("cause: ")]
    of_url = [line for line in causes if line.startswith("cause: Failed to fetch: ")]
    if causes and "://" in causes[-1]:
        of_url = []
    ends = [*errors[:1], *of_url[-1:], *causes[-1:]] if causes else errors[-1:] or said[-2:]
    return [line.removeprefix("error: ").removeprefix("cause: ") for line in ends]


def remedies(command: Sequence[str], output: str) -> Iterable[str]:
    """Yield the remedy for what docker or kind prints, if it is known.

    What the commands of a build print counts apart: a file that may not be read there is no
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
    if line.startswith(BUILDERS):
        for words, remedy in BUILD_REMEDIES:
            if found := re.search(words, output, re.I):
                yield remedy.format(*found.groups())
                return


def registry_of(image: str) -> str:
    """Return a blank and an image's registry, or nothing for Docker Hub's, as for docker login."""
    host, slash, _ = image.partition("/")
    return f" {host}" if slash and (re.search("[.:]", host) or host == "localhost") else ""
