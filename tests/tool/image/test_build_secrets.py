"""What a build gets of this machine's logins, proxies and certificates, and where it is not."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mf_k8s.image.build_secrets import build_secrets
from mf_k8s.project.project import Project

PYPROJECT = """
[project]
name = "churn"

[[tool.uv.index]]
name = "acme-data"
url = "https://pypi.acme.example/data/simple"
explicit = true

[[tool.uv.index]]
name = "mirror"
url = "https://ann@mirror.example/simple"
default = true
"""
LOCK = """
source = { registry = "https://pypi.acme.example/data/simple" }
source = { git = "https://git.example:8443/a.git?rev=1#0a" }
wheels = [{ url = "https://files.example/a.whl" }]
"""
NETRC = """machine pypi.acme.example login bob password of-netrc
machine git.example login ann password of-git
machine elsewhere.example login ann password of-elsewhere
"""
Given = Callable[..., dict[str, str]]


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """Return a function that gives the secrets of a build, as a shell reads them there."""
    for name, text in (("pyproject.toml", PYPROJECT), ("uv.lock", LOCK), ("netrc", NETRC)):
        (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()

    def given(keyring: str = "exit 1", **variables: str) -> dict[str, str]:
        (tmp_path / "bin/keyring").write_text(f"#!/bin/sh\n{keyring}\n")
        (tmp_path / "bin/keyring").chmod(0o755)
        own = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path), **variables}
        monkeypatch.setattr("os.environ", own)
        secrets = build_secrets(Project(tmp_path, "churn"))
        for password in secrets.passwords:
            assert password not in repr(secrets) and password not in "".join(secrets.options)
            assert secrets.hide(f"a {password}b") == "a ****b"
        read = ["sh", "-c", "set -a; . ./variables; env -0"]
        (tmp_path / "variables").write_text(secrets.values.get("variables", ""))
        done = subprocess.run(read, env={}, cwd=tmp_path, capture_output=True, text=True)
        found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
        assert secrets.options == [
            *(f"--secret=id={name},env=K8S_IMAGE_{name.upper()}" for name in secrets.values),
            *(f"--secret=id={name},src={file}" for name, file in secrets.files.items()),
        ]
        of_shell = {"PWD", "OLDPWD", "_", "SHLVL"}
        kept = {name: value for name, value in found.items() if name not in of_shell}
        return {**kept, "netrc": secrets.values.get("netrc", "")}

    return given


def test_logins_of_variables(given: Given) -> None:
    """Those of uv, with whatever is in a password; nothing else of this machine."""
    password = "a'b \"$HOME\\n`id`;#%"
    found = given(
        UV_INDEX_ACME_DATA_USERNAME="bob",
        UV_INDEX_ACME_DATA_PASSWORD=password,
        UV_INDEX_MIRROR_PASSWORD="p@ss/word",
        UV_INDEX_MIRROR_USERNAME="ann",
        AWS_SECRET_ACCESS_KEY="of-another",
        UV_PUBLISH_PASSWORD="of-another",
    )
    assert found == {
        "UV_INDEX_ACME_DATA_USERNAME": "bob",
        "UV_INDEX_ACME_DATA_PASSWORD": password,
        "UV_INDEX_MIRROR_USERNAME": "ann",
        "UV_INDEX_MIRROR_PASSWORD": "p@ss/word",
        "PIP_INDEX_URL": "https://ann:p%40ss%2Fword@mirror.example/simple",  # for uv itself
        "netrc": "",
    }


def test_logins_of_netrc(given: Given, tmp_path: Path) -> None:
    """Of the hosts that uv.lock names, and no others."""
    assert given(NETRC=str(tmp_path / "netrc"))["netrc"] == (
        "machine git.example login ann password of-git\n"
        "machine pypi.acme.example login bob password of-netrc\n"
    )


def test_logins_of_a_keyring(given: Given) -> None:
    """Where uv asks one, too, and in its two ways: for a user's password, or for both."""
    keyring = """case "$*" in
        "get https://mirror.example/simple ann") exit 1;;
        "get mirror.example ann") echo of-ann;;
        "--mode creds get https://pypi.acme.example/data/simple") echo bob; echo of-bob;;
        *) exit 1;;
    esac"""
    assert given(keyring).keys() == {"PIP_INDEX_URL", "netrc"}
    assert given(keyring, UV_KEYRING_PROVIDER="subprocess") == {
        "UV_INDEX_ACME_DATA_USERNAME": "bob",
        "UV_INDEX_ACME_DATA_PASSWORD": "of-bob",
        "UV_INDEX_MIRROR_USERNAME": "ann",
        "UV_INDEX_MIRROR_PASSWORD": "of-ann",
        "PIP_INDEX_URL": "https://ann:of-ann@mirror.example/simple",
        "netrc": "",
    }


def test_proxy_and_certificates(given: Given, tmp_path: Path) -> None:
    """A proxy of this machine alone is none for a build."""
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    local = {"http_proxy": "http://ann:x@localhost:3128", "ALL_PROXY": "socks5://127.0.0.1:1"}
    found = given(
        HTTPS_PROXY="http://proxy:8080",
        no_proxy=".acme",
        SSL_CERT_FILE=str(bundle),
        UV_DEFAULT_INDEX="own=https://other.example/simple",
        **local,
    )
    certificates = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")
    assert found == {
        **dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://proxy:8080"),
        **dict.fromkeys(("no_proxy", "NO_PROXY"), ".acme"),
        **dict.fromkeys(certificates, "/run/secrets/certificates"),
        "UV_DEFAULT_INDEX": "own=https://other.example/simple",
        "PIP_INDEX_URL": "https://other.example/simple",
        "netrc": "",
    }
