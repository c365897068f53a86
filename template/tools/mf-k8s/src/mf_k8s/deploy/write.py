"""Writes objects to the cluster: all of them, or what was there before."""

from collections.abc import Callable, Sequence
from typing import Any

from ..cluster_api import api_client, refusals
from ..errors import CommandError

Request = tuple[str, dict[str, Any]]  # a method of CustomObjectsApi, and its arguments
Written = tuple[str, Callable[[], None]]  # what was written, and a function that puts it back

OF_THE_SERVER = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


def write_all(requests: Sequence[Request]) -> None:
    """Send requests in their order. If one is refused, put back what the others have changed.

    Raise CommandError with the reason, and with what was put back or could not be.
    """
    written: list[Written] = []
    for method, request in requests:
        try:
            written.append(write(method, request))
        except CommandError as error:
            raise CommandError(f"{error}; {put_back(written)}") from error


def put_back(written: Sequence[Written]) -> str:
    """Undo what was written, the last first, and return a line that says what came of it."""
    lines = []
    for what, undo in reversed(written):
        try:
            undo()
            lines.append(f"{what} was put back as it was")
        except CommandError as error:
            lines.append(f"{what} IS CHANGED, because it could not be put back: {error}")
    return "; ".join(lines) or "nothing was written"


def write(method: str, request: dict[str, Any]) -> Written:
    """Send one request; raise CommandError if it is refused."""
    from kubernetes import client

    verb = method.partition("_")[0]
    where = {key: request[key] for key in ("group", "version", "namespace", "plural")}
    name = request.get("name") or request["body"]["metadata"]["name"]
    what = f"{where['plural']}/{name}"
    custom = client.CustomObjectsApi(api_client())
    with refusals(f"write {what} in namespace {where['namespace']}"):
        present = read_present(custom, where, name)
        if verb == "replace" and present:
            # Argo writes into a CronWorkflow at each run, so the dry run may have read an older one
            version = present["metadata"]["resourceVersion"]
            request["body"]["metadata"]["resourceVersion"] = version
        answer = getattr(custom, method)(**request)

    def undo() -> None:
        with refusals(f"put back {what}"):
            if verb == "create":
                custom.delete_namespaced_custom_object(**where, name=name)
            elif verb == "replace" and present:
                version = answer["metadata"]["resourceVersion"]
                body = present | {"metadata": own_metadata(present) | {"resourceVersion": version}}
                custom.replace_namespaced_custom_object(**where, name=name, body=body)
            elif present:
                body = present | {"metadata": own_metadata(present)}
                custom.create_namespaced_custom_object(**where, body=body)

    return what, undo


def read_present(custom: Any, where: dict[str, str], name: str) -> dict[str, Any] | None:
    """Return the object that is on the cluster now, or None."""
    from kubernetes import client

    try:
        present: dict[str, Any] = custom.get_namespaced_custom_object(**where, name=name)
        return present
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise


def own_metadata(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an object's metadata without what the server sets."""
    metadata = manifest["metadata"].items()
    return {key: value for key, value in metadata if key not in OF_THE_SERVER}
