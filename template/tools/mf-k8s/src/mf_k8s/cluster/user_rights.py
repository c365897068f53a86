"""The rights that a deploy needs, asked for before it takes its time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..errors import Finding
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
OF_SCHEDULES: Rights = {"cronworkflows": ("create", "update")}
OF_TRIGGERS: Rights = {"sensors": ("get", "create", "update")}
OF_PRUNE: Rights = {"workflowtemplates": ("delete",), "cronworkflows": ("list",)}


def missing_rights(target: Target, rights: Rights, namespace: str = "") -> Iterator[Finding]:
    """Yield in one finding all rights that the user's account lacks in a namespace."""
    namespace = namespace or target.namespace
    lacking: dict[str, list[str]] = {}
    for plural, verbs in rights.items():
        for verb in verbs:
            if not is_allowed(target, verb, plural, namespace):
                lacking.setdefault(plural, []).append(verb)
    if lacking:
        named = " and ".join(
            f"{', '.join(verbs)} {plural}.argoproj.io" for plural, verbs in lacking.items()
        )
        who, where = f"your account {target.account}", f"namespace {namespace}"
        what = f"{who} lacks rights in {where} that this deploy needs: {named}"
        yield Finding("rights-missing", what, where, "ask for a Role there that has them")


def missing_rights_to_start(target: Target, compiled: Iterable[CompiledFile]) -> Iterator[Finding]:
    """Yield the rights that the account lacks to write what starts flows by time or by events."""
    starts = target.environment.starts_flows
    templates = [flow.template for flow in compiled if flow.template and starts]
    sensors = target.configuration.setting("ARGO_EVENTS_SENSOR_NAMESPACE")
    if any(annotation(template, "cron") for template in templates):
        yield from missing_rights(target, OF_SCHEDULES)
    if any(annotation(template, "triggers") for template in templates):
        yield from missing_rights(target, OF_TRIGGERS, sensors)


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
