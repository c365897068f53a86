"""What is said when docker, kind, kubectl or git fails.

What the programs print was copied from them, or from their issues and sources.
"""

# ruff: noqa: E501  # what programs print has long lines

import pytest
from mf_k8s.programs.remedies import reason_of_failure

PULL = ("docker", "pull", "ghcr.io/acme/churn:1")
HUB = ("docker", "pull", "acme/churn:1")
PUSH = ("docker", "push", "reg.example.com:5000/churn:1")
BUILD = ("docker", "build", "--tag", "ghcr.io/acme/churn:1", "/home/ann/churn")
INSPECT = ("docker", "manifest", "inspect", "--verbose", "ghcr.io/acme/churn:1")
KIND = ("kind", "create", "cluster", "--name", "churn")
PS = ("docker", "version", "--format", "{{.Server.Version}}")

OF_A_BUILD = """#9 [4/4] RUN mkdir /srv/x
#9 0.312 mkdir: cannot create directory '/srv/x': Permission denied
#9 0.313 denied: not by a registry
#9 ERROR: executor failed running [/bin/sh -c mkdir /srv/x]: exit code: 1
------
 > [4/4] RUN mkdir /srv/x:
0.312 mkdir: cannot create directory '/srv/x': Permission denied
0.313 denied: not by a registry
------
ERROR: failed to solve: process "/bin/sh -c mkdir /srv/x" did not complete successfully: exit code: 1
"""
FILES = """error: failed to solve: failed to read dockerfile: open Dockerfile: permission denied
"""
FROM_DENIED = """#3 [internal] load metadata for docker.io/library/pyton:3.13
#3 ERROR: pull access denied, repository does not exist or may require authorization: server message: \
insufficient_scope: authorization failed
------
ERROR: failed to solve: pyton:3.13: failed to resolve source metadata for docker.io/library/pyton:3.13: \
pull access denied, repository does not exist or may require authorization: server message: \
insufficient_scope: authorization failed
"""
NO_HOST = 'Get "https://ghrc.io/v2/": dial tcp: lookup ghrc.io on 127.0.0.53:53: no such host'
SOCKET = """Got permission denied while trying to connect to the Docker daemon socket at \
unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/version": dial unix \
/var/run/docker.sock: connect: permission denied
"""
NODE_IMAGE = """Creating cluster "churn" ...
 x Ensuring node image (kindest/node:v1.34.11)
ERROR: failed to create cluster: failed to pull image "kindest/node:v1.34.11": command "docker pull \
kindest/node:v1.34.11" failed with error: exit status 1
Command Output: Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup \
registry-1.docker.io: no such host
"""
SPELT = "is {} spelt right in k8s.toml's image? Else the network, or a proxy, is missing"
FROM_SPELT = "is the image in the Dockerfile's FROM spelt right? Else docker login to its registry"
LOGIN = "is ghcr.io/acme/churn:1 spelt right? Else docker login ghcr.io"
ACCOUNT = (
    "docker login reg.example.com:5000, with an account that may push reg.example.com:5000/churn:1"
)
OUTPUTS: list[tuple[tuple[str, ...], str, str]] = [
    (PS, SOCKET, "add yourself to the group docker"),
    (
        HUB,
        "Error response from daemon: pull access denied for acme/churn, repository does not exist or"
        " may require 'docker login': denied: requested access to the resource is denied\n",
        "is acme/churn:1 spelt right? Else docker login",
    ),
    (
        PULL,
        'Error response from daemon: Head "https://ghcr.io/v2/acme/churn/manifests/1": denied: denied\n',
        LOGIN,
    ),
    (
        PULL,
        'Error response from daemon: Head "https://ghcr.io/v2/acme/churn/manifests/1": unauthorized\n',
        LOGIN,
    ),
    (INSPECT, "unauthorized: access denied\n", LOGIN),
    (PULL, f"Error response from daemon: {NO_HOST}\n", SPELT.format("ghrc.io")),
    (PUSH, "denied: requested access to the resource is denied\n", ACCOUNT),
    (PUSH, "denied: permission_denied: write_package\n", ACCOUNT),
    (PUSH, "no basic auth credentials\n", ACCOUNT),
    (BUILD, FROM_DENIED, FROM_SPELT),
    (
        BUILD,
        f"ERROR: failed to solve: failed to do request: {NO_HOST}\n",
        "is ghrc.io spelt right in the Dockerfile's FROM? Else the network, or a proxy, is missing",
    ),
    (
        PULL,
        'error getting credentials - err: exec: "docker-credential-desktop": executable file not'
        " found in $PATH, out: ``\n",
        "docker cannot run the credential helper that ~/.docker/config.json names: install it, or"
        " take credsStore and credHelpers out",
    ),
    (
        KIND,
        NODE_IMAGE,
        "no internet? docker pull it, or set K8S_KIND_NODE_IMAGE to an image that this machine has",
    ),
    (
        PULL,
        "failed to register layer: Error processing tar file: write /x: no space left on device\n",
        "free some disk: docker system prune",
    ),
    (
        BUILD,
        "ERROR: BuildKit is enabled but the buildx component is missing or broken.\n",
        "install buildx: https://docs.docker.com/go/buildx",
    ),
    (
        ("docker", "buildx", "build"),
        "ERROR: Multi-platform build is not supported for the docker driver.\n",
        "`docker buildx create --use` makes a builder for several platforms",
    ),
    (
        PULL,
        "no matching manifest for linux/arm64/v8 in the manifest list entries\n",
        "ghcr.io/acme/churn:1 is not built for this machine: choose one that is, in k8s.toml",
    ),
    (
        BUILD,
        'Error: creating build container: short-name "python:3.13-slim" did not resolve to an alias'
        ' and no unqualified-search registries are defined in "/etc/containers/registries.conf"\n',
        "name its registry, too, in the Dockerfile's FROM: docker.io/library/python:3.13-slim",
    ),
    (BUILD, OF_A_BUILD, ""),
    (BUILD, FILES, ""),
    (("git", "push"), "remote: Permission to acme/churn.git denied: no\n", ""),
]


FAILED = """ERROR: failed to solve: process "/bin/sh -c cd /src && uv sync --frozen" did not complete \
successfully: exit code: 2"""
URL = "https://pypi.acme.example/simple/a/a-1.0-py3-none-any.whl"
DOWNLOAD = f"error: Failed to download `a==1.0`\ncause: Failed to fetch: {URL}\n"
# What a command of a build printed, with uv and pip, and the end of what is said of it.
OF_BUILDS = {
    "no login, or a wrong one": (
        f"{DOWNLOAD}cause: HTTP status client error (401 Unauthorized) for url ({URL})\n",
        f"Failed to download `a==1.0`: HTTP status client error (401 Unauthorized) for url ({URL}):"
        " log in as uv does here, by UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD, .netrc or"
        " `uv auth login`: the build gets that as a secret",
    ),
    "no answer": (
        f"{DOWNLOAD}cause: error sending request for url ({URL})\ncause: client error (Connect)\n"
        "cause: tcp connect error\ncause: Connection refused (os error 111)\n\nhint: `a` (v1.0) was"
        " included because `churn` (v0.1.0) depends on `a`\n",
        f"Failed to download `a==1.0`: Failed to fetch: {URL}: Connection refused (os error 111):"
        " does this host answer to a container? HTTPS_PROXY, NO_PROXY and Docker's settings count",
    ),
    "no wheel": (
        "error: Distribution `a==1.0 @ registry+x` can't be installed because it doesn't have a"
        " source distribution or wheel for the current platform\n\nhint: You're on Linux, but `a` only"
        " has wheels for `win_amd64`; consider adding \"sys_platform == 'linux'\" to"
        " `tool.uv.required-environments` to ensure\n",
        "wheel for the current platform: write required-environments = [\"sys_platform == 'linux'\"]"
        " below [tool.uv], then `uv lock`",
    ),
    "another file than the one that was locked": (
        "error: Failed to download `a==1.0`\ncause: Hash mismatch for `a==1.0`\n",
        "Failed to download `a==1.0`: somebody replaced the file after it was locked: ask who, or"
        " `uv lock --upgrade-package`",
    ),
    "no PyPI": (
        "ERROR: Could not find a version that satisfies the requirement uv==1 (from versions:"
        " none)\nERROR: No matching distribution found for uv==1\n",
        "No matching distribution found for uv==1: is PyPI not reached from here? Set"
        " UV_DEFAULT_INDEX to your mirror, or HTTPS_PROXY",
    ),
    "another uv": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have"
        " updated the package versions, please update the hashes.\n    uv==1 from https://a/uv.whl:\n"
        "        Expected sha256 aa\n             Got        bb\n",
        "please update the hashes: your index has another uv than PyPI: ask who serves it. For a"
        " processor that is neither amd64 nor arm64, add the --hash of its wheel to the Dockerfile",
    ),
    "no Python": (
        "/bin/sh: 1: python: not found\n",
        "/bin/sh: 1: python: not found: the base image needs Python with pip as `python`: choose"
        " another in the Dockerfile's FROM",
    ),
    "a base image of another user": (
        "useradd: Permission denied.\nuseradd: cannot lock /etc/passwd; try again later.\n",
        "the base image has another user than root: write USER root below FROM in the Dockerfile",
    ),
    "Alpine": (
        "/bin/sh: useradd: not found\n",
        "make the user in the Dockerfile as this base image does: on Alpine by adduser -D -u 1000",
    ),
    "a full disk": (
        "error: Failed to install: a-1.0-py3-none-any.whl\ncause: No space left on device\n",
        "free some disk: docker system prune",
    ),
    "a platform of others": (
        "exec /bin/sh: exec format error\n",
        "exec format error: this machine cannot run that platform: `docker run --privileged --rm"
        " tonistiigi/binfmt --install all`, or build it on another machine",
    ),
}


@pytest.mark.parametrize(("printed", "said"), OF_BUILDS.values(), ids=OF_BUILDS)
def test_what_a_command_of_a_build_says(printed: str, said: str) -> None:
    """It is shown without the long command itself, with what to do."""
    lines = [f"#12 4.08 {line}" for line in printed.splitlines()]
    lines = ["#12 1.2 Setting up liberror-perl", *lines]
    output = "\n".join([*lines, f"#12 {FAILED}", FAILED])
    reason = reason_of_failure(("docker", "build", "--tag", "a:1", "."), output)
    assert reason.endswith(said) and "uv sync" not in reason and "\n" not in reason
    assert "liberror" not in reason or not printed.startswith("error: ")


@pytest.mark.parametrize(("command", "output", "remedy"), OUTPUTS)
def test_remedy_fits_the_cause(command: tuple[str, ...], output: str, remedy: str) -> None:
    """A registry that refuses is not a file that may not be read, nor a mistyped name kind's."""
    reason = reason_of_failure(command, output)
    assert "\n" not in reason
    if remedy:
        assert reason.endswith(f": {remedy}")
    else:
        words = ("docker login", "K8S_KIND_NODE_IMAGE", "spelt right", "group docker")
        assert not any(word in reason for word in words), reason
        assert "denied" in reason or "exit code: 1" in reason or "cannot create" in reason


def test_a_reason_within_the_next_is_not_repeated() -> None:
    """As BuildKit gives that of a base image."""
    request = 'failed to do request: Head "https://a.example/v2": dial tcp: no route to host'
    output = (
        f"ERROR: {request}\nfailed to solve with frontend gateway.v0: a.example/python: {request}\n"
    )
    reason = reason_of_failure(("docker", "build", "--tag", "a:1", "."), output)
    assert reason == f"failed to solve with frontend gateway.v0: a.example/python: {request}"
