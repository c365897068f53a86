"""Writes objects to the cluster: all of them, or what was there before."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import INTERRUPTIONS, CommandError, Finding
from ..metaflow.create_on_server import TIMEOUTS_S
from ..metaflow.record_requests import Request, without_nulls
from ..show.progress import print_error
from .api import explain_errors
from .target import Target

SET_BY_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
UPDATED_BY_ARGO = "cronworkflows"  # with the time of the last run: their versions change by that


def write_all(target: Target, requests: Sequence[Request]) -> None:
    """Send requests in their order. If one fails, or at Ctrl-C, put back what was there before.

    Raise CommandError with the reason, and with what was put back or could not be.
    """
    sent: list[Write] = []
    try:
        for method, request in requests:
            sent.append(Write(target, method, request))
            sent[-1].send()
    except CommandError as error:
        undone = put_back(sent)
        raise CommandError(*(with_remedy(finding, undone) for finding in error.findings)) from error
    except BaseException:  # Ctrl-C, a closed terminal, or the end of a CI job
        with without_interruption():
            try:
                print_error("k8s: interrupted; what was written is put back first")
            finally:  # also where the terminal is gone
                undone = put_back(sent)
            print_error(f"k8s: {undone}")
        raise


def with_remedy(finding: Finding, also: str) -> Finding:
    return replace(finding, remedy="; ".join(filter(None, [finding.remedy, also])))


def put_back(sent: Sequence["Write"]) -> str:
    """Undo what was written, the last first, and return a line that says what came of it.

    Another Ctrl-C, SIGTERM or SIGHUP does not stop it halfway.
    """
    lines = []
    with without_interruption():
        for write in reversed([write for write in sent if write.may_be_done]):
            try:
                lines.append(f"{write.what} {write.undo()}")
            except CommandError as error:
                lines.append(f"{write.what} MAY BE CHANGED, and could not be put back: {error}")
    return "; ".join(lines) or "nothing was written to the cluster"


@contextlib.contextmanager
def without_interruption() -> Iterator[None]:
    """Ignore what interrupts a command, which reaches the main thread alone."""
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

    def __init__(self, target: Target, method: str, request: dict[str, Any]) -> None:
        from kubernetes import client

        self.method, self.request = method, request
        self.where = {key: request[key] for key in ("group", "version", "namespace", "plural")}
        self.name = request.get("name") or request["body"]["metadata"]["name"]
        self.what = f"{self.where['plural']}/{self.name}"
        verb = "delete" if method.startswith("delete") else "write"
        self.action = f"{verb} {self.what} in namespace {self.where['namespace']}"
        self.may_be_done = False
        self.before: dict[str, Any] | None = None  # the object that was there
        # the server's answer replaces it
        self.written: dict[str, Any] = request.get("body", {})
        with explain_errors(self.action):
            self.api: Any = client.CustomObjectsApi(target.client)

    def send(self) -> None:
        """Raise CommandError if the request is refused, or if no answer comes."""
        from kubernetes.client import ApiException

        with explain_errors(self.action):
            self.before = self.read()
            if self.method.startswith("delete") and not self.before:
                return
            # If it was changed since the dry run, the server refuses that version of it. Of an
            # object that Argo itself changes, the request takes the present version.
            if self.method.startswith("create" if self.before else "replace"):  # made, or deleted
                raise CommandError(self.changed_by_another)
            if self.method.startswith("replace") and self.where["plural"] == UPDATED_BY_ARGO:
                self.request["body"]["metadata"]["resourceVersion"] = version_of(self.before)
            send = getattr(self.api, self.method)
            self.may_be_done = True
            try:
                self.written = send(**self.request, _request_timeout=TIMEOUTS_S) or self.written
            except ApiException as error:
                # a refused request had no effect; a gateway's error says nothing of it
                self.may_be_done = error.status >= 500
                if error.status == 409:
                    raise CommandError(self.changed_by_another) from error
                raise

    @property
    def changed_by_another(self) -> Finding:
        what = f"cannot {self.action}, because somebody else has changed it while this command ran"
        remedy = "run the same command again"
        return Finding("object-changed", what, self.what, remedy)

    def undo(self) -> str:
        """Put back what was there, and return what was done; raise CommandError if that fails."""
        with explain_errors(f"put back {self.what}"):
            now = self.read()
            if version_of(now) == version_of(self.before):
                return "is unchanged"
            # a server with full CRD schemas, as Argo 4's, drops fields that are null
            if now and without_nulls(now.get("spec")) != without_nulls(self.written.get("spec")):
                what = "somebody else has changed it since"
                raise CommandError(Finding("object-changed-again", what))
            named: dict[str, Any] = {**self.where, "_request_timeout": TIMEOUTS_S}
            if now and not self.before:
                only = if_unchanged(now, self.where["plural"])
                self.api.delete_namespaced_custom_object(**named, name=self.name, body=only)
                return "was deleted again"
            assert self.before  # else the versions were the same
            body = self.before | {"metadata": own_metadata(self.before)}
            if now:
                body["metadata"]["resourceVersion"] = version_of(now)
                self.api.replace_namespaced_custom_object(**named, name=self.name, body=body)
            else:
                self.api.create_namespaced_custom_object(**named, body=body)
        return "was put back as it was"

    def read(self) -> dict[str, Any] | None:
        """Return the object that is on the cluster now, or None."""
        from kubernetes import client

        named: dict[str, Any] = {**self.where, "_request_timeout": TIMEOUTS_S}
        try:
            found: dict[str, Any] = self.api.get_namespaced_custom_object(**named, name=self.name)
            return found
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise


def if_unchanged(manifest: Mapping[str, Any], plural: str) -> dict[str, Any]:
    """Return the options of a deletion that the server refuses once the object is another."""
    keys = ("uid",) if plural == UPDATED_BY_ARGO else ("uid", "resourceVersion")
    metadata = manifest["metadata"]
    return {"preconditions": {key: metadata[key] for key in keys if key in metadata}}


def version_of(manifest: dict[str, Any] | None) -> str | None:
    return manifest["metadata"]["resourceVersion"] if manifest else None


def own_metadata(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an object's metadata without what the server sets."""
    metadata = manifest["metadata"].items()
    return {key: value for key, value in metadata if key not in SET_BY_SERVER}
