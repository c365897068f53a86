"""An image registry that follows the distribution specification, with logins.

What it answers to `GET manifests/…` is what the program `registry` of
github.com/distribution/distribution v3 answered to the same requests.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD, TOKEN, IDENTITY = "sesame-open", "bearer-of-pull", "identity-of-ann"
BASIC = "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
OCI = "application/vnd.oci.image."


def packed(content: Any) -> bytes:
    return json.dumps(content).encode()


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class Registry(BaseHTTPRequestHandler):
    """Images by `repository:tag`. `scheme` is how it knows its users; empty: it serves anybody."""

    bodies: dict[str, tuple[str, bytes]] = {}  # media types and bodies by digest or repository:tag
    scheme = "bearer"
    status = 200  # of all answers, if it is another
    scope = ""  # what was asked of the token server
    asked: list[str] = []  # paths

    @classmethod
    def push(
        cls,
        name: str,
        *architectures: str,
        variables: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
    ) -> str:
        """Keep an image for some architectures, for several with an index; return its digest."""
        manifests = []
        for architecture in architectures:
            own = {"Env": [*variables], "Labels": labels}
            config = packed({"architecture": architecture, "os": "linux", "config": own})
            cls.bodies[digest(config)] = f"{OCI}config.v1+json", config
            manifest = packed({"schemaVersion": 2, "config": {"digest": digest(config)}})
            cls.bodies[digest(manifest)] = f"{OCI}manifest.v1+json", manifest
            platform = {"os": "linux", "architecture": architecture}
            manifests.append({"digest": digest(manifest), "platform": platform})
        found = cls.bodies[manifests[0]["digest"]]
        if len(manifests) > 1:  # and how it was built, as BuildKit adds it
            unknown = {"os": "unknown", "architecture": "unknown"}
            manifests.append({"digest": "sha256:of-an-attestation", "platform": unknown})
            found = f"{OCI}index.v1+json", packed({"manifests": manifests})
        cls.bodies[name] = cls.bodies[digest(found[1])] = found
        return digest(found[1])

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        url, authorization = urlsplit(self.path), self.headers.get("Authorization", "")
        if self.status != 200:
            self.answer(self.status)
        elif url.path == "/token":
            Registry.scope = parse_qs(url.query)["scope"][0]
            self.give_token(authorization == BASIC)
        elif url.path.startswith("/storage/"):  # as of S3, which refuses a second login
            of_storage = self.bodies[url.path.removeprefix("/storage/")][1]
            self.answer(400 if authorization else 200, of_storage)
        elif self.scheme and authorization not in (f"Bearer {TOKEN}", BASIC):
            host = self.headers["Host"]
            asks = {
                "bearer": f'Bearer realm="http://{host}/token",service="registry"',
                "basic": 'Basic realm="basic-realm"',
            }
            self.answer(
                401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate=asks[self.scheme]
            )
        else:
            self.give(*url.path.removeprefix("/v2/").rsplit("/", 2))

    def give(self, repository: str, kind: str, reference: str) -> None:
        name = reference if reference.startswith("sha256:") else f"{repository}:{reference}"
        if name not in self.bodies:
            self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        elif kind == "blobs":
            self.answer(307, Location=f"/storage/{name}")
        else:
            media, body = self.bodies[name]
            self.answer(200, body, Content_Type=media, Docker_Content_Digest=digest(body))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.give_token(form.get("refresh_token") == [IDENTITY])

    def give_token(self, known: bool) -> None:
        self.answer(200 if known else 401, packed({"token": TOKEN}) if known else b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serve_images() -> Iterator[tuple[type[Registry], str]]:
    """Serve a registry; yield it and its address."""

    class Fresh(Registry):
        bodies: dict[str, tuple[str, bytes]] = {}
        asked: list[str] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Fresh, f"127.0.0.1:{server.server_port}"
        server.shutdown()


def pull_secret(
    *keys: str, kind: str = ".dockerconfigjson", login: str = f"ann:{PASSWORD}"
) -> dict[str, str]:
    """Return the data of a Secret with a login under each key."""
    auths = {key: {"auth": base64.b64encode(login.encode()).decode()} for key in keys}
    content = auths if kind == ".dockercfg" else {"auths": auths}
    return {kind: base64.b64encode(packed(content)).decode()}
