"""What a build needs to reach the indexes as uv here does: logins, a proxy and certificates.

They are BuildKit's secrets, which are in no layer, no history and no build argument
(https://docs.docker.com/build/building/secrets). The Dockerfile mounts them by these names.
"""

import contextlib
import netrc
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ..programs.run import UV, process_variables
from ..project.k8s_toml import read_toml
from ..project.project import Project
from ..project.uv_lock import workspace_of

# https://docs.astral.sh/uv/reference/environment: where packages are from, and by which login
OF_INDEXES = re.compile(
    r"UV_(INDEX|DEFAULT_INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_.+_(USERNAME|PASSWORD))|PIP_INDEX_URL"
)
OF_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOOPBACK = re.compile(r"\w+://([^/]*@)?(localhost|127\.|\[::1\])")  # no address of a build's own
HOST = re.compile(r"""["=@+/]https?://(?:[^/@\s"]*@)?([^/:\s"]+)""")
OF_URL = re.compile(r"//[^/@\s:]*:([^/@\s]+)@")  # its password
IN_BUILD = "/run/secrets/certificates"
TIMEOUT_S = 30  # of a keyring, which may ask
HIDDEN = "****"


@dataclass(frozen=True)
class Login:
    """How an index knows the user."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class BuildSecrets:
    """Secrets of a build, by their names in the Dockerfile."""

    values: Mapping[str, str] = field(repr=False)
    files: Mapping[str, str]
    passwords: frozenset[str] = field(repr=False)

    @property
    def options(self) -> list[str]:
        """Return the options of `docker build`, which have no secret in them."""
        values = [f"--secret=id={name},env={self.variable(name)}" for name in self.values]
        return values + [f"--secret=id={name},src={file}" for name, file in self.files.items()]

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables that `docker build` reads the secrets from."""
        return {self.variable(name): value for name, value in self.values.items()}

    def variable(self, name: str) -> str:
        return f"K8S_IMAGE_{name.upper()}"

    def hide(self, text: str) -> str:
        """Return a text without the passwords, should a program quote one."""
        for password in sorted(self.passwords, key=len, reverse=True):
            text = text.replace(password, HIDDEN)
        return text


def build_secrets(project: Project) -> BuildSecrets:
    """Return what a build of the project gets, as uv on this machine has it."""
    own = process_variables()
    folder = workspace_of(project.root) or project.root
    indexes = indexes_of(project.root)
    logins = login_variables(indexes, own)
    certificates = own.get("SSL_CERT_FILE", "")
    given = {name: value for name, value in own.items() if OF_INDEXES.fullmatch(name)}
    given |= {**logins, **proxy_variables(own)}
    if (mirror := mirror_of_pypi(indexes, given)) and "PIP_INDEX_URL" not in given:
        given["PIP_INDEX_URL"] = mirror
    files = {}
    if certificates and os.path.isfile(certificates):
        files["certificates"] = certificates
        names = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO")
        given |= dict.fromkeys(names, IN_BUILD)
    hosts = netrc_logins((folder / "uv.lock").read_text("utf-8"), own)
    texts = {
        "variables": "".join(f"{name}={shlex.quote(given[name])}\n" for name in sorted(given)),
        "netrc": "".join(
            f"machine {host} login {login.user} password {login.password}\n"
            for host, login in hosts.items()
        ),
    }
    passwords = {value for name, value in given.items() if name.endswith("_PASSWORD")}
    passwords |= {login.password for login in hosts.values()}
    passwords |= {word for value in given.values() for word in OF_URL.findall(value)}
    values = {name: text for name, text in texts.items() if text}
    return BuildSecrets(values, files, frozenset(passwords - {""}))


def indexes_of(root: Path) -> list[dict[str, Any]]:
    """Return the indexes of the project, and those of its uv workspace."""
    found: list[dict[str, Any]] = []
    for folder in filter(None, (root, workspace_of(root))):
        found += read_toml(folder / "pyproject.toml").get("tool", {}).get("uv", {}).get("index", [])
    return found


def proxy_variables(own: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies of this machine, spelt both ways, for apt reads only the small letters."""
    found: dict[str, str] = {}
    for name in OF_PROXIES:
        value = own.get(name) or own.get(name.upper()) or ""
        if value and not LOOPBACK.match(value):
            found |= {name: value, name.upper(): value}
    return found


def login_variables(indexes: list[dict[str, Any]], own: Mapping[str, str]) -> dict[str, str]:
    """Return uv's variables of each named index whose login a keyring or `uv auth` knows."""
    found: dict[str, str] = {}
    for index in indexes:
        prefix = variable_of(str(index.get("name", "")))
        if not index.get("name") or own.get(f"{prefix}_PASSWORD"):
            continue
        user = own.get(f"{prefix}_USERNAME") or urlsplit(index["url"]).username or ""
        if login := kept_login(without_login(index["url"]), user, own):
            found |= {f"{prefix}_USERNAME": login.user, f"{prefix}_PASSWORD": login.password}
    return found


def variable_of(index: str) -> str:
    """Return the beginning of the variables by which uv has the login of an index."""
    return f"UV_INDEX_{re.sub('[^A-Z0-9]', '_', index.upper())}"


def without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def kept_login(url: str, user: str, own: Mapping[str, str]) -> Login | None:
    """Return the login of an index that the user's keyring has, as uv asks it, or `uv auth`."""
    host = urlsplit(url).netloc
    if own.get("UV_KEYRING_PROVIDER") == "subprocess":
        for service in (url, host) if user else ():
            if password := printed(own, "keyring", "get", service, user):
                return Login(user, password)
        answer = printed(own, "keyring", "--mode", "creds", "get", url).splitlines()
        if len(answer) == 2:
            return Login(*answer)
    name = ("--username", user) if user else ()
    if password := printed(own, UV, "auth", "token", *name, url):
        return Login(user or "__token__", password)
    return None


def printed(own: Mapping[str, str], *command: str) -> str:
    """Return what a program prints, which is a secret: no error of it is shown."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            command,
            env=dict(own),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=True,
            encoding="utf-8",
        )
        return done.stdout.strip("\r\n")
    return ""


def mirror_of_pypi(indexes: list[dict[str, Any]], given: Mapping[str, str]) -> str:
    """Return the URL, with its login, of the index that takes PyPI's place; uv comes from there."""
    if url := given.get("UV_DEFAULT_INDEX") or given.get("UV_INDEX_URL"):
        name, _, rest = url.partition("=")
        name, url = (name, rest) if re.fullmatch(r"[\w.-]+", name) else ("", url)
    else:
        index = next((index for index in indexes if index.get("default")), {})
        name, url = str(index.get("name", "")), str(index.get("url", ""))
    prefix = variable_of(name)
    password = given.get(f"{prefix}_PASSWORD") if name else ""
    if not password:
        return url
    user, parts = given.get(f"{prefix}_USERNAME", ""), urlsplit(without_login(url))
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return parts._replace(netloc=f"{login}@{parts.netloc}").geturl()


def netrc_logins(lock: str, own: Mapping[str, str]) -> dict[str, Login]:
    """Return what the user's .netrc has for the hosts of a uv.lock, and for no others."""
    file = own.get("NETRC") or os.path.expanduser("~/.netrc")
    found: dict[str, Login] = {}
    with contextlib.suppress(OSError, netrc.NetrcParseError):
        logins = netrc.netrc(file)
        for host in sorted({*HOST.findall(lock)}):
            if login := logins.authenticators(host):
                found[host] = Login(login[0], login[2])
    return found
