"""What a workflow controller's ConfigMap changes of the pods of a WorkflowTemplate."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .argo_controller import Controller
from .argo_pods import AGENT, argo_pods, whole_spec
from .quantities import parse_quantity
from .read_pods import Manifest, read_pod

DEFAULT_TIMEOUT = 432000  # seconds: Metaflow's own, where no @timeout stands
# What of_own_containers names: all containers of agents and of creators of JobSets are Argo's own.
OF_A_CONTAINER = {"image", "image_pull_policy", "cpu", "memory", "disk", "qos", "security_context"}
MORE_OF_A_POD = ("priorityClassName", "affinity", "schedulerName", "hostNetwork", "dnsPolicy")


@dataclass(frozen=True)
class Change:
    """A setting, named as in k8s.toml, that a controller adds to a pod or replaces."""

    key: tuple[str, ...]
    after: Any
    before: Any = None
    replaces: bool = False

    def __hash__(self) -> int:
        return hash((self.key, str(self.after), str(self.before)))


def changes(template: Manifest, controller: Controller) -> Iterator[tuple[str, Change]]:
    """Yield the name of a pod and what the controller changes of it, one by one."""
    bare = argo_pods(template, Controller(release=controller.release))
    for name, pod in argo_pods(template, controller).items():
        before, after = settings(bare[name]), settings(pod)
        own = OF_A_CONTAINER if name == AGENT or name.endswith("/creator") else set()
        for key in sorted({*before, *after} - own):
            if before.get(key) != after.get(key):
                for change in of_setting(key, before.get(key), after.get(key)):
                    yield name, change


def settings(pod: Manifest) -> dict[str, Any]:
    """Return the settings of a pod, and what k8s.toml has no key for by Kubernetes' own name."""
    spec = pod["spec"]
    main = main_container(spec)
    found = read_pod(pod["metadata"], spec, main)
    found |= {key: spec[key] for key in MORE_OF_A_POD if spec.get(key)}
    variables = {each["name"]: each.get("value", "…") for each in main.get("env") or ()}
    context = (
        {"pod securityContext": spec["securityContext"]} if spec.get("securityContext") else {}
    )
    return {**found, **context, "env": variables}


def main_container(spec: Manifest) -> Manifest:
    """Return the container that runs the step; of a JobSet's pod it has another name."""
    containers: list[Manifest] = spec["containers"]
    return next((each for each in containers if each["name"] == "main"), containers[-1])


def of_setting(key: str, before: Any, after: Any) -> Iterator[Change]:
    """Yield what changes of one setting: of a table or list, item by item."""
    if all(value is None or isinstance(value, Mapping) for value in (before, after)):
        old, new = before or {}, after or {}
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                yield Change((key, name), new.get(name), old.get(name), name in old)
    elif isinstance(before or after, list):
        for item in after or ():
            if item not in (before or ()):
                yield Change((key,), item)
        for item in before or ():
            if item not in (after or ()):
                yield Change((key,), None, item, True)
    else:
        has_none = before is None or (key, before) in (
            ("service_account", "default"),
            ("timeout", DEFAULT_TIMEOUT),
            ("qos", "Burstable"),
        )
        yield Change((key,), after, before, not has_none)


def limits_too_low(template: Manifest, controller: Controller) -> Iterator[tuple[str, str]]:
    """Yield the name of a pod, and which limit of the controller's is below what it requests."""
    limits = (controller.main_container.get("resources") or {}).get("limits") or {}
    if not limits:
        return
    for name, pod in argo_pods(template, controller).items():
        resources = main_container(pod["spec"]).get("resources") or {}
        for resource, limit in limits.items():
            request = (resources.get("requests") or {}).get(resource)
            own = (resources.get("limits") or {}).get(resource)
            if request is None or own != limit:
                continue
            asked, allowed = parse_quantity(str(request)), parse_quantity(str(limit))
            if asked and allowed and asked > allowed:
                yield name, f"{resource} of {limit}, below the {request} that they request"


def of_the_workflow(template: Manifest, controller: Controller) -> list[str]:
    """Return the fields of a WorkflowSpec that the controller adds, but for what shapes pods."""
    shaping = {
        "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "executor",
        "hostAliases", "hostNetwork", "imagePullSecrets", "nodeSelector", "podMetadata",
        "podPriorityClassName", "podSpecPatch", "schedulerName", "securityContext",
        "serviceAccountName", "synchronization", "templateDefaults", "templates", "tolerations",
        "volumes",
    }  # fmt: skip
    bare, spec = whole_spec(template, Controller()), whole_spec(template, controller)
    return sorted(key for key in spec if spec[key] != bare.get(key) and key not in shaping)


def of_own_containers(controller: Controller) -> list[str]:
    """Return what Argo's own containers, init and wait, are given, as text."""
    executor = controller.executor
    fields = ("resources", "securityContext", "image")
    return [f"{key} {json.dumps(executor[key])}" for key in fields if executor.get(key)]
