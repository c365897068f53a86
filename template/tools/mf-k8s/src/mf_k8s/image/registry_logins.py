"""Logins to image registries: those of pull secrets, and those of the user's Docker.

A login goes from where it is kept to its registry: it is never printed, and is in no exception.
"""

import base64
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..pods.image_names import DOCKER_HUB, ImageName

HUB_KEY = "https://index.docker.io/v1/"  # under which Docker keeps its own registry's login
HELPER_TIMEOUT_S = 20
IS_TOKEN = "<token>"  # in the place of a user's name: the rest is an identity token


@dataclass(frozen=True)
class Login:
    """A user and a password, or an identity token."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """Return the value of an Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def logins_of_pull_secret(data: Mapping[str, str], image: ImageName) -> list[Login]:
    """Return the logins that a Secret has for an image's registry, in the order kubelet tries them.

    `data` is the Secret's, by key and in base64. The rules are those of the keyring in
    pkg/credentialprovider of Kubernetes: a key may have `*` in the parts of its host, and a path;
    the longest comes first. Broken JSON has none, as for kubelet.
    """
    auths: Any = {}
    try:
        if text := data.get(".dockerconfigjson"):
            auths = json.loads(base64.b64decode(text)).get("auths")
        elif text := data.get(".dockercfg"):
            auths = json.loads(base64.b64decode(text))
    except (ValueError, AttributeError):
        return []
    entries = auths.items() if isinstance(auths, dict) else ()
    found = [(key, entry) for key, entry in entries if is_for(key, image)]
    in_order = sorted(found, key=lambda item: without_scheme(item[0]), reverse=True)
    return [*filter(None, (read_login(entry) for _, entry in in_order))]


def without_scheme(key: str) -> str:
    """Return `ghcr.io/acme` of `https://ghcr.io/acme`; /v1/ and /v2/ stand for the whole host."""
    url = urlsplit(key if "://" in key else f"https://{key}")
    path = url.path[3:] if url.path.startswith(("/v1/", "/v2/")) else url.path
    return url.netloc + (path if path != "/" else "")


def is_for(key: str, image: ImageName) -> bool:
    """Return whether the login under a key is for an image."""
    host, slash, path = without_scheme(key).partition("/")
    if host == "index.docker.io":
        host = DOCKER_HUB
    pattern, name = host.split("."), image.registry.split(".")
    return (
        len(pattern) == len(name)
        and pattern[-1].partition(":")[2] == name[-1].partition(":")[2]
        and all(fnmatchcase(part, glob) for part, glob in zip(name, pattern, strict=True))
        and f"/{image.repository}".startswith(slash + path)
    )


def read_login(entry: Any) -> Login | None:
    """Return the login of an entry of `auths`, or None if it has none."""
    if not isinstance(entry, dict):
        return None
    try:
        pair = base64.b64decode(str(entry.get("auth") or "")).decode()
    except ValueError:
        pair = ""
    user, _, password = pair.rstrip("\0").partition(":")
    if not user:
        user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    token = str(entry.get("identitytoken") or "")
    return Login(user, password, token) if user or token else None


def own_logins(variables: Mapping[str, str], image: ImageName) -> list[Login]:
    """Return the login that the user's Docker has for an image's registry, if it has one."""
    folder = variables.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        config = json.loads(Path(folder, "config.json").read_bytes())
        key = HUB_KEY if image.registry == DOCKER_HUB else image.registry
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper:
            found = ask_helper(helper, key, variables)
            return [found] if found else []
        entries = (config.get("auths") or {}).items()
        logins = [read_login(entry) for name, entry in entries if is_for(name, image)]
    except (OSError, ValueError, AttributeError):
        return []
    return [*filter(None, logins)]


def ask_helper(name: str, key: str, variables: Mapping[str, str]) -> Login | None:
    """Return the login that one of Docker's credential helpers keeps under a key.

    See https://github.com/docker/docker-credential-helpers. Its output is the login itself, so it
    is not run as other programs are, whose output may be shown.
    """
    try:
        done = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=key,
            capture_output=True,
            encoding="utf-8",
            env=dict(variables),
            timeout=HELPER_TIMEOUT_S,
            check=True,
        )
        answer = json.loads(done.stdout)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return None
    return Login(identity_token=secret) if user == IS_TOKEN else Login(user, secret)
