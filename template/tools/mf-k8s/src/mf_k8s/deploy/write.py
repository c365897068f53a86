"""Writes objects to the cluster: all of them, or what was there before."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ..cluster_api import TIMEOUT, api_client, explain_errors
from ..errors import CommandError
from ..progress import print_error
from ..run_create import Request, without_nulls

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
SET_BY_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def write_all(requests: Sequence[Request]) -> None:
    """Send requests in their order. If one fails, or at Ctrl-C, put back what was there before.

    Raise CommandError with the reason, and with what was put back or could not be.
    """
    from kubernetes.client import ApiException

    sent: list[Write] = []
    for method, request in requests:
        sent.append(Write(method, request))
        try:
            sent[-1].send()
        except CommandError as error:
            # a refused request had no effect; after a gateway's error or no answer it may have one
            cause = error.__cause__
            refused = isinstance(cause, ApiException) and cause.status < 500
            if refused or not sent[-1].started:
                sent.pop()
            raise CommandError(f"{error}; {put_back(sent)}") from error
        except BaseException:  # Ctrl-C, or the end of a CI job
            print_error("k8s: interrupted; what was written is put back first")
            print_error(f"k8s: {put_back(sent)}")
            raise


def put_back(sent: Sequence["Write"]) -> str:
    """Undo what was written, the last first, and return a line that says what came of it.

    Another Ctrl-C or SIGTERM does not stop it halfway.
    """
    lines = []
    with without_interruption():
        for write in reversed(sent):
            try:
                write.undo()
                lines.append(f"{write.what} was put back as it was")
            except CommandError as error:
                lines.append(f"{write.what} IS CHANGED, because it could not be put back: {error}")
    return "; ".join(lines) or "nothing was written"


@contextlib.contextmanager
def without_interruption() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM, which reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Write:
    """One request, which can be undone."""

    def __init__(self, method: str, request: dict[str, Any]) -> None:
        from kubernetes import client

        self.method, self.request = method, request
        self.where = {key: request[key] for key in ("group", "version", "namespace", "plural")}
        self.name = request.get("name") or request["body"]["metadata"]["name"]
        self.what = f"{self.where['plural']}/{self.name}"
        self.started = False
        self.before: dict[str, Any] | None = None  # the object that was there
        # the server's answer replaces it
        self.written: dict[str, Any] = request.get("body", {})
        with explain_errors(f"write {self.what} in namespace {self.where['namespace']}"):
            self.api: Any = client.CustomObjectsApi(api_client())

    def send(self) -> None:
        """Raise CommandError if the request is refused, or if no answer comes."""
        with explain_errors(f"write {self.what} in namespace {self.where['namespace']}"):
            self.before = self.read()
            if self.method.startswith("replace") and self.before:
                # Argo updates a CronWorkflow at each run, so the dry run's version may be outdated
                version = self.before["metadata"]["resourceVersion"]
                self.request["body"]["metadata"]["resourceVersion"] = version
            self.started = True
            send = getattr(self.api, self.method)
            self.written = send(**self.request, _request_timeout=TIMEOUT) or self.written

    def undo(self) -> None:
        """Put back the object that was there; raise CommandError if that cannot be done."""
        with explain_errors(f"put back {self.what}"):
            now = self.read()
            if version_of(now) == version_of(self.before):
                return
            # a server with full CRD schemas, as Argo 4's, drops fields that are null
            if now and without_nulls(now.get("spec")) != without_nulls(self.written.get("spec")):
                raise CommandError("somebody else has changed it since")
            named: dict[str, Any] = {**self.where, "_request_timeout": TIMEOUT}
            if not self.before:
                self.api.delete_namespaced_custom_object(**named, name=self.name)
                return
            body = self.before | {"metadata": own_metadata(self.before)}
            if now:
                body["metadata"]["resourceVersion"] = version_of(now)
                self.api.replace_namespaced_custom_object(**named, name=self.name, body=body)
            else:
                self.api.create_namespaced_custom_object(**named, body=body)

    def read(self) -> dict[str, Any] | None:
        """Return the object that is on the cluster now, or None."""
        from kubernetes import client

        named: dict[str, Any] = {**self.where, "_request_timeout": TIMEOUT}
        try:
            found: dict[str, Any] = self.api.get_namespaced_custom_object(**named, name=self.name)
            return found
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise


def version_of(manifest: dict[str, Any] | None) -> str | None:
    return manifest["metadata"]["resourceVersion"] if manifest else None


def own_metadata(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an object's metadata without what the server sets."""
    metadata = manifest["metadata"].items()
    return {key: value for key, value in metadata if key not in SET_BY_SERVER}
