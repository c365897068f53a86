"""What a cluster says of a pod that it is asked to make, and does not make."""

import json
import re
from dataclasses import dataclass
from typing import Any

from ..pods.read_pods import Manifest
from .api import BY_RBAC, explain_errors, reason_given
from .view import PODS, NotAllowed, View

CREATE = PODS.right("create")  # a dry run needs it; no Role of the doctor has it, for it only reads
EXPRESSION = re.compile(r"\{\{.*?\}\}")  # of Argo's: in a name or a number when the run is made
QUERY = {"dryRun": "All", "fieldValidation": "Ignore"}


@dataclass(frozen=True)
class Refusal:
    """Why the API server would not make a pod."""

    status: int  # of HTTP
    message: str


def dry_run(view: View, pod: Manifest) -> dict[str, Any] | Refusal:
    """Return a pod as the API server would make it in the namespace of the runs, or why not.

    Raise NotAllowed if the user may not create pods, which is asked for first.
    """
    if view.may(CREATE) is False:
        raise NotAllowed(CREATE)
    text = json.dumps({**pod, "apiVersion": "v1", "kind": "Pod"})
    body: dict[str, Any] = json.loads(EXPRESSION.sub("0", text))
    body["metadata"] = {"generateName": "k8s-doctor-", **(body.get("metadata") or {})}
    body["metadata"]["namespace"] = view.target.namespace
    found: dict[str, Any] | Refusal = view.once(
        ("dry run", json.dumps(body, sort_keys=True)), lambda: send(view, body)
    )
    return found


def send(view: View, body: dict[str, Any]) -> dict[str, Any] | Refusal:
    from kubernetes.client import ApiException

    path = PODS.path(view.target.namespace)
    with explain_errors("try to create a pod"):
        try:
            answer: dict[str, Any] = view.target.ask("POST", path, body, QUERY)
            return answer
        except ApiException as error:
            reason = reason_given(error.body)
            if error.status == 403 and BY_RBAC.search(reason):
                raise NotAllowed(CREATE) from error
            if error.status == 401 or not reason:
                raise
            return Refusal(int(error.status), reason)
