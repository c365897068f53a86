"""What a registry says about an image, to whom; and that no login is ever shown."""

import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mf_k8s.image import ask_registry as module
from mf_k8s.image.ask_registry import RegistryAnswer, ask_registry
from mf_k8s.image.registry_logins import Login, logins_of_pull_secret, own_logins
from mf_k8s.pods.image_names import image_name
from registry import BASIC, IDENTITY, PASSWORD, TOKEN, Registry, pull_secret, serve_images

ANN = Login("ann", PASSWORD)
WRONG = Login("ann", "wrong-word")
Served = tuple[type[Registry], str]


@pytest.fixture
def registry() -> Iterator[Served]:
    with serve_images() as served:
        yield served


def ask(address: str, name: str, *logins: Login) -> RegistryAnswer:
    return ask_registry(image_name(f"{address}/{name}"), logins)


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
def test_an_image_is_found_with_its_platforms(registry: Served, scheme: str) -> None:
    """Its configuration lies in a storage to which the login is not sent on."""
    images, address = registry
    images.scheme = scheme
    digest = images.push("acme/churn:1.0", "arm64", variables=("PATH=/bin", "A=1"))
    found = ask(address, "acme/churn:1.0", ANN)
    assert found == RegistryAnswer("found", "", digest, ("linux/arm64",), frozenset({"PATH", "A"}))
    assert ask(address, f"acme/churn:other@{digest}", ANN).platforms == ("linux/arm64",)
    digest = images.push("acme/both:2", "amd64", "arm64")
    both = ask(address, "acme/both:2", WRONG, ANN)  # the next login is tried, as by kubelet
    assert (both.digest, both.platforms) == (digest, ("linux/amd64", "linux/arm64"))
    if scheme == "bearer":
        assert Registry.scope == "repository:acme/both:pull"
        assert ask(address, "acme/both:2", Login(identity_token=IDENTITY)).state == "found"
        assert ask(address, "acme/both:2", Login(identity_token="old")).state == "refused"


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
def test_an_image_that_is_not_shown(registry: Served, scheme: str) -> None:
    """Who has a login is not served as anybody: kubelet does not try that either."""
    images, address = registry
    images.scheme = scheme
    images.push("acme/churn:1.0", "amd64")
    assert ask(address, "acme/churn:9", ANN) == RegistryAnswer("not found")
    assert ask(address, "acme/churn:1.0", WRONG) == RegistryAnswer(
        "refused", f"{address} does not show acme/churn to this login"
    )
    assert ask(address, "acme/churn:1.0") == RegistryAnswer(
        "refused", f"{address} does not show acme/churn to anybody without a login"
    )


def test_no_answer(registry: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many requests, no registry, and one that says nothing."""
    images, address = registry
    images.scheme = ""
    images.push("acme/churn:1.0", "amd64")
    assert ask(address, "acme/churn:1.0").state == "found"
    images.status = 429
    assert ask(address, "acme/churn:1.0") == RegistryAnswer(
        "no answer", f"{address} answers 429 Too Many Requests"
    )
    images.status, images.bodies["acme/page:1"] = 200, ("text/html", b"<html>")
    page = ask(address, "acme/page:1")
    assert page.reason == f"{address} does not answer as an image registry (JSONDecodeError)"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        refused = ask(nobody, "a:1")
        assert refused.reason.startswith(f"{nobody} cannot be reached from here: ")
        silent.listen()
        monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
        assert ask(nobody, "a:1") == RegistryAnswer(
            "no answer", f"{nobody} cannot be reached from here: timed out"
        )


def test_a_login_is_never_shown(
    registry: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not even one that cannot be sent, which Python's own error quotes."""
    images, address = registry
    images.push("acme/churn:1.0", "amd64")
    caplog.set_level(logging.DEBUG)
    shown = []
    for login in (ANN, WRONG, Login(identity_token=IDENTITY), Login("ann\n", "line\nbreak")):
        shown += [repr(login), repr(ask(address, "acme/churn:1.0", login))]
    images.status = 500
    shown += [repr(ask(address, "acme/churn:1.0", ANN)), caplog.text, *capfd.readouterr()]
    for secret in (PASSWORD, TOKEN, IDENTITY, BASIC.split()[1], "wrong-word", "break"):
        assert secret not in "".join(shown)


def test_no_login_over_a_connection_that_others_read(registry: Served) -> None:
    """A registry with TLS that sends to a token server without it."""
    session = module.Session(image_name("registry.example.com/a:1"), ANN)
    with pytest.raises(ValueError, match="others can read"):
        session.log_in(f'Bearer realm="http://{registry[1]}/token",service="x"')


@pytest.mark.parametrize(
    ("keys", "image"),
    [
        (["https://index.docker.io/v1/"], "python:3.13"),
        (["docker.io"], "acme/churn"),
        (["ghcr.io"], "ghcr.io/acme/churn:1"),
        (["https://ghcr.io/v2/"], "ghcr.io/acme/churn:1"),
        (["ghcr.io/acme"], "ghcr.io/acme/churn:1"),
        (["*.example.com:5000"], "r.example.com:5000/a:1"),
    ],
)
@pytest.mark.parametrize("kind", [".dockerconfigjson", ".dockercfg"])
def test_pull_secret_for_an_image(keys: list[str], image: str, kind: str) -> None:
    assert logins_of_pull_secret(pull_secret(*keys, kind=kind), image_name(image)) == [ANN]


@pytest.mark.parametrize(
    "data",
    [
        pull_secret("quay.io"),
        pull_secret("ghcr.io:443"),
        pull_secret("ghcr.io/other"),
        pull_secret("*.io.example.com"),
        {".dockerconfigjson": "bm90IGpzb24="},
        {"password": "c2VzYW1l"},
    ],
)
def test_pull_secret_for_others(data: dict[str, str]) -> None:
    assert logins_of_pull_secret(data, image_name("ghcr.io/acme/churn:1")) == []
    assert logins_of_pull_secret(pull_secret("ghcr.*"), image_name("ghcr.io:5000/a:1")) == []


def test_logins_of_the_users_docker(tmp_path: Path) -> None:
    """From its file, or from the helper that the file names; a helper that fails has none."""
    variables = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    image, file = image_name("ghcr.io/acme/churn:1"), tmp_path / "config.json"
    assert own_logins(variables, image) == []
    file.write_text(json.dumps({"auths": {"ghcr.io": {"auth": BASIC.split()[1]}}}))
    assert own_logins(variables, image) == [ANN]
    assert own_logins(variables, image_name("quay.io/a:1")) == []
    helper = tmp_path / "docker-credential-pass"
    helper.write_text(
        '#!/bin/sh\nread key; [ "$key" = https://index.docker.io/v1/ ] || exit 1\n'
        f'echo \'{{"Username": "<token>", "Secret": "{IDENTITY}"}}\'\n'
    )
    helper.chmod(0o755)
    file.write_text('{"credsStore": "pass", "credHelpers": {"ghcr.io": "gone"}}')
    assert own_logins(variables, image_name("python:3.13")) == [Login(identity_token=IDENTITY)]
    assert own_logins(variables, image_name("quay.io/a:1")) == []
    assert own_logins(variables, image) == []


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("python", "docker.io/library/python:latest"),
        ("acme/churn:1.0", "docker.io/acme/churn:1.0"),
        ("localhost:5000/churn:1", "localhost:5000/churn:1"),
        ("ghcr.io/a/b/c:1@sha256:ab", "ghcr.io/a/b/c@sha256:ab"),
    ],
)
def test_full_name(image: str, name: str) -> None:
    assert str(image_name(image)) == name
