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
    (BUILD, OF_A_BUILD, ""),
    (BUILD, FILES, ""),
    (("git", "push"), "remote: Permission to acme/churn.git denied: no\n", ""),
]


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
        assert "denied" in reason or "exit code: 1" in reason
