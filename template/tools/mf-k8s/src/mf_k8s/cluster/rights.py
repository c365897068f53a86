"""The rights that a deploy needs, asked for before it takes its time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import CommandError
from ..metaflow.compile_flows import CompiledFile
from ..pods.project_labels import annotation
from .target import Target

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
Rights = Mapping[str, Sequence[str]]  # verbs by the plural of a kind of Argo's

OF_EACH_DEPLOY: Rights = {
    "workflowtemplates": ("get", "list", "create", "update"),
    "cronworkflows": ("get",),  # Metaflow looks whether there is one to suspend
}
OF_PRUNE: Rights = {"workflowtemplates": ("delete",), "cronworkflows": ("list",)}


def must_be_allowed(target: Target, rights: Rights, namespace: str = "") -> None:
    """Raise CommandError that names all rights which the user's account lacks in a namespace."""
    namespace = namespace or target.namespace
    lacking: dict[str, list[str]] = {}
    for plural, verbs in rights.items():
        for verb in verbs:
            if not is_allowed(target, verb, plural, namespace):
                lacking.setdefault(plural, []).append(verb)
    if lacking:
        named = "; ".join(
            f"{', '.join(verbs)} {plural}.argoproj.io" for plural, verbs in lacking.items()
        )
        raise CommandError(
            f"your account {target.account} lacks rights in namespace {namespace} that this deploy"
            f" needs: {named}. Ask for a Role there that has them"
        )


def must_be_allowed_to_start(target: Target, compiled: Iterable[CompiledFile]) -> None:
    """Raise CommandError unless the account may write what starts flows by time or by events."""
    templates = [flow.template for flow in compiled if flow.template]
    sensors = target.configuration.setting("ARGO_EVENTS_SENSOR_NAMESPACE")
    if any(annotation(template, "cron") for template in templates):
        must_be_allowed(target, {"cronworkflows": ("create", "update")})
    if any(annotation(template, "triggers") for template in templates):
        must_be_allowed(target, {"sensors": ("get", "create", "update")}, sensors)


def is_allowed(target: Target, verb: str, plural: str, namespace: str) -> bool:
    """Return whether the cluster says so, or does not say: the requests themselves show it then."""
    from kubernetes.client import ApiException

    attributes = {"verb": verb, "group": "argoproj.io", "resource": plural, "namespace": namespace}
    try:
        answer: Any = target.ask(
            "POST", REVIEWS, REVIEW | {"spec": {"resourceAttributes": attributes}}
        )
    except ApiException:
        return True
    status = answer.get("status", {})
    return status.get("allowed", True) or bool(status.get("evaluationError"))
