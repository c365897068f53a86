"""Asks an image's registry whether it has the image, and for which platforms.

By the protocol of https://github.com/opencontainers/distribution-spec, and without Docker, which
CI may lack and which cannot use a pull secret.
"""

import hashlib
import http.client
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from ..pods.image_names import DOCKER_HUB, ImageName
from .registry_logins import Login

State = Literal["found", "not found", "refused", "no answer"]
TIMEOUT_S = 15  # to connect, and for each read
MOST_BYTES = 4 * 2**20  # a registry must take a manifest of this size, and may refuse a larger one
HUB_HOST = "registry-1.docker.io"  # where Docker Hub keeps the images of docker.io
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
UNKNOWN = "unknown"  # the platform of what describes an image, like where it was built


@dataclass(frozen=True)
class RegistryAnswer:
    """What a registry says about an image. `reason` says why it is not found."""

    state: State
    reason: str = ""
    digest: str = ""
    platforms: tuple[str, ...] = ()  # like linux/amd64, in the words of Kubernetes' node labels
    variables: frozenset[str] = frozenset()  # names of those that the image sets, of one platform
    labels: Mapping[str, str] = field(default_factory=dict)  # of one platform


class Refused(Exception):
    """A registry knows the login, or that there is none, and does not show the image."""


def ask_registry(image: ImageName, logins: Sequence[Login] = ()) -> RegistryAnswer:
    """Return what an image's registry says, to the first login that it accepts.

    Without a login it is asked as anybody. With one it is not, as kubelet does not try that then.
    """
    reason = ""
    for login in logins or (None,):
        try:
            return Session(image, login).find()
        except Refused as refusal:
            reason = str(refusal)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return RegistryAnswer("not found")
            what = f"{error.code} {http.client.responses.get(error.code, '')}".rstrip()
            return RegistryAnswer("no answer", f"{image.registry} answers {what}")
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            return RegistryAnswer("no answer", why_no_answer(image.registry, error))
    return RegistryAnswer("refused", reason)


def why_no_answer(registry: str, error: Exception) -> str:
    """Return why there is no answer that can be read. Only a network's error is shown itself.

    Others may quote what was sent: Python does so with the value of a header.
    """
    if isinstance(error, OSError):
        reason = getattr(error, "reason", error)
        return f"{registry} cannot be reached from here: {reason}"
    return f"{registry} does not answer as an image registry ({type(error).__name__})"


class Session:
    """Requests to one repository with one login, or with none."""

    def __init__(self, image: ImageName, login: Login | None) -> None:
        self.image, self.login, self.authorization = image, login, ""
        local = re.match(r"(localhost|127\.0\.0\.1)(:|$)", image.registry)
        self.scheme = "http" if local else "https"  # as Docker does
        host = HUB_HOST if image.registry == DOCKER_HUB else image.registry
        self.root = f"{self.scheme}://{host}/v2/{image.repository}"

    def find(self) -> RegistryAnswer:
        """Return what the registry has; raise Refused or an error of urllib."""
        manifest, digest = self.manifest(self.image.reference)
        entries = [entry for entry in manifest.get("manifests") or () if has_platform(entry)]
        platforms = [platform_name(entry["platform"]) for entry in entries]
        if entries:
            manifest, _ = self.manifest(entries[0]["digest"])
        config: Any = {}
        if "config" in manifest:
            config = json.loads(self.get(f"blobs/{manifest['config']['digest']}")[0])
        if not entries and config.get("architecture"):
            platforms = [platform_name(config)]
        own = config.get("config") or {}
        names = frozenset(each.partition("=")[0] for each in own.get("Env") or ())
        labels = own.get("Labels") or {}
        return RegistryAnswer("found", "", digest, tuple(platforms), names, labels)

    def manifest(self, reference: str) -> tuple[Any, str]:
        """Return a manifest or an index, and its digest."""
        body, headers = self.get(f"manifests/{reference}", ACCEPT)
        found = headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(body).hexdigest()}"
        return json.loads(body), found

    def get(self, path: str, accept: str = "*/*") -> tuple[bytes, Mapping[str, str]]:
        """Return the body and the headers of an answer, after a login where one is asked for."""
        for _ in range(2):
            request = urllib.request.Request(f"{self.root}/{path}", headers={"Accept": accept})
            if self.authorization:  # not sent on to a storage to which the registry redirects
                request.add_unredirected_header("Authorization", self.authorization)
            try:
                return read(request)
            except urllib.error.HTTPError as error:
                challenge = error.headers.get("WWW-Authenticate", "")
                if error.code == 403 or (error.code == 401 and self.authorization):
                    raise Refused(self.refusal()) from None
                if error.code != 401:
                    raise
            self.authorization = self.log_in(challenge)
        raise Refused(self.refusal())

    def log_in(self, challenge: str) -> str:
        """Return the header by which the registry lets in whom it knows, as it asks for.

        See https://distribution.github.io/distribution/spec/auth/token/ and, of an identity token,
        spec/auth/oauth/.
        """
        kind, _, rest = challenge.partition(" ")
        words = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if kind.lower() != "bearer":
            if not self.login:
                raise Refused(self.refusal())
            return self.login.basic
        scope = words.get("scope") or f"repository:{self.image.repository}:pull"
        query = {"service": words.get("service", ""), "scope": scope}
        realm = words["realm"]
        if not realm.startswith("https://" if self.scheme == "https" else "http"):
            raise ValueError("a login would be sent over a connection that others can read")
        if self.login and self.login.identity_token:
            token = self.login.identity_token
            form = {"grant_type": "refresh_token", "client_id": "k8s", "refresh_token": token}
            request = urllib.request.Request(realm, urllib.parse.urlencode(query | form).encode())
        else:
            request = urllib.request.Request(f"{realm}?{urllib.parse.urlencode(query)}")
            if self.login:
                request.add_unredirected_header("Authorization", self.login.basic)
        try:
            answer = json.loads(read(request)[0])
        except urllib.error.HTTPError as error:
            if error.code in (400, 401, 403):
                raise Refused(self.refusal()) from None
            raise
        return f"Bearer {answer.get('token') or answer['access_token']}"

    def refusal(self) -> str:
        who = "this login" if self.login else "anybody without a login"
        return f"{self.image.registry} does not show {self.image.repository} to {who}"


def has_platform(entry: Mapping[str, Any]) -> bool:
    platform = entry.get("platform") or {}
    return bool(platform.get("architecture", UNKNOWN) != UNKNOWN)


def platform_name(platform: Mapping[str, Any]) -> str:
    return f"{platform.get('os') or 'linux'}/{platform['architecture']}"


def read(request: urllib.request.Request) -> tuple[bytes, Mapping[str, str]]:
    """Return the body and the headers of an answer."""
    with opener().open(request, timeout=TIMEOUT_S) as answer:
        body: bytes = answer.read(MOST_BYTES)
        return body, answer.headers


@cache
def opener() -> urllib.request.OpenerDirector:
    """Return what follows the proxies and certificates of this machine.

    Those of certifi are for a Python that finds none of the system, as on macOS; Metaflow brings it
    with requests.
    """
    context = ssl.create_default_context()
    try:
        import certifi

        context.load_verify_locations(certifi.where())
    except (ImportError, OSError):
        pass
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
