"""A Kubernetes API with Argo's custom objects, which it keeps as a real one does."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KINDS = ("workflowtemplates", "cronworkflows", "sensors")
OTHER_KINDS = ("workflows", "workflowtaskresults", "workflowtasksets", "eventbus", "eventsources")


def without_nulls(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object without null fields, which a server drops whose definitions know them."""
    return {key: value for key, value in pairs if value is not None}


class JsonHandler(BaseHTTPRequestHandler):
    """Takes and gives JSON."""

    def answer(self, status: int, body: Any) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    @property
    def url(self) -> Any:
        return urlsplit(self.path)

    def log_message(self, *_: Any) -> None:
        pass


class Api(JsonHandler):
    """Objects by `plural/name`, of whichever namespace; `tried` are the bodies of dry runs."""

    objects: dict[str, dict[str, Any]] = {}
    tried: list[dict[str, Any]] = []
    lacking: set[str] = set()  # rights of its user, like `create sensors`
    refused: set[str] = set()  # names that cannot be written
    refusal = 400, "the name is taken"  # their status and message
    lost: set[str] = set()  # those that are written, and whose answer does not arrive
    has_gateway = False  # which answers then, with an error of its own
    account = "ann@example.com"
    has_argo = True
    is_whole = True  # it has all of Argo's definitions
    has_reviews = True  # of its user's rights
    logged_in = True
    is_anonymous = False  # as for a kubeconfig whose program for credentials fails
    version = 0

    def key(self, body: Any = None) -> str:
        _, _, in_namespace = self.url.path.partition("/namespaces/")
        _, plural, *names = in_namespace.split("/")
        return f"{plural}/{names[0] if names else body['metadata']['name']}"

    def do_GET(self) -> None:
        if not self.logged_in:
            self.answer(401, {"reason": "Unauthorized"})
        elif self.url.path == "/apis/argoproj.io/v1alpha1":
            names = (*KINDS, *OTHER_KINDS) if self.is_whole else KINDS
            resources = [{"name": name} for name in names]
            self.answer(200 if self.has_argo else 404, {"resources": resources})
        elif self.url.path.endswith(KINDS):
            self.answer(200, {"items": self.listed()})
        elif "/argoproj.io/" not in self.url.path:  # its user may deploy, and look at nothing else
            self.answer(403, {"message": f'User "{self.account}" cannot get resource'})
        else:
            found = self.objects.get(self.key())
            self.answer(200 if found else 404, found or {})

    def listed(self) -> list[Any]:
        plural = self.url.path.rpartition("/")[2]
        label, _, value = parse_qs(self.url.query).get("labelSelector", [""])[0].partition("=")
        return [
            body
            for key, body in self.objects.items()
            if key.startswith(f"{plural}/")
            and (not label or body["metadata"].get("labels", {}).get(label) == value)
        ]

    def do_POST(self) -> None:
        if not self.logged_in:
            self.answer(401, {"reason": "Unauthorized"})
        elif self.is_anonymous:
            self.answer(403, {"message": 'User "system:anonymous" cannot create resource'})
        elif self.url.path.endswith("/selfsubjectreviews"):
            self.answer(201, {"status": {"userInfo": {"username": self.account}}})
        elif self.url.path.endswith("/selfsubjectaccessreviews"):
            self.review()
        elif "/argoproj.io/" not in self.url.path:
            self.answer(403, {"message": f'User "{self.account}" cannot create resource'})
        else:
            self.store(must_be_new=True)

    def review(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        right = json.loads(text)["spec"]["resourceAttributes"]
        assert right.get("namespace", "default") in ("default", "team-a")
        is_argo = right["group"] == "argoproj.io"  # its user may look at nothing else
        allowed = is_argo and f"{right['verb']} {right['resource']}" not in self.lacking
        self.answer(201 if self.has_reviews else 404, {"status": {"allowed": allowed}})

    def do_PUT(self) -> None:
        self.store(must_be_new=False)

    def store(self, must_be_new: bool) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(text, object_pairs_hook=without_nulls)
        key = self.key(body)
        present = self.objects.get(key)
        version = body["metadata"].get("resourceVersion")
        stale = present and version != present["metadata"]["resourceVersion"]
        if key in self.refused:
            status, message = self.refusal
            self.answer(status, {"message": message})
        elif (must_be_new == bool(present)) or (not must_be_new and stale):
            self.answer(409, {"message": "Conflict"})
        elif "dryRun=All" in self.url.query:
            self.tried.append(body)
            self.answer(200, body)
        else:
            Api.version += 1
            body["metadata"]["resourceVersion"] = str(Api.version)
            self.objects[key] = body
            if key in self.lost:
                self.lost.remove(key)
                if self.has_gateway:
                    self.answer(504, {})
                self.close_connection = True
            else:
                self.answer(201 if must_be_new else 200, body)

    def do_DELETE(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditions = json.loads(text or "{}").get("preconditions", {}).items()
        found = self.objects.get(self.key())
        if not found:
            self.answer(404, {"reason": "Not Found"})
        elif any(found["metadata"].get(key) != value for key, value in conditions):
            self.answer(409, {"message": "Precondition failed"})
        else:
            if "dryRun=All" not in self.url.query:
                del self.objects[self.key()]
            self.answer(200, {})


def write_kubeconfig(file: Path, port: int) -> Path:
    """Write a kubeconfig whose context is a server on a port of this machine; return the file."""
    cluster = {"server": f"http://127.0.0.1:{port}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        "users": [{"name": "fake", "user": {}}],
    }
    file.write_text(json.dumps(config))
    return file


@contextlib.contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve a Kubernetes API, and yield its port on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


WHERE = {"group": "argoproj.io", "version": "v1alpha1", "namespace": "team-a"}


def request(verb: str, plural: str, name: str, value: str) -> Any:
    """Return a request as a dry run leaves it, with the version of the object that is there."""
    spec = {"entrypoint": value, "hooks": None}  # as by Metaflow's client, which writes nulls
    body: dict[str, Any] = {"metadata": {"name": name, "labels": {"value": value}}, "spec": spec}
    arguments = {**WHERE, "plural": plural, "body": body}
    if present := Api.objects.get(f"{plural}/{name}"):
        body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
    if verb == "replace":
        arguments["name"] = name
    return f"{verb}_namespaced_custom_object", arguments
