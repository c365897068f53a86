"""What the Pod Security Standards refuse of a pod.

The rules are those of kubernetes.io/docs/concepts/security/pod-security-standards/, without those
for Windows, AppArmor, SELinux and /proc, which no setting of Metaflow's or Argo's reaches.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .limits import containers_of
from .read_pods import Manifest

LEVELS = ("restricted", "baseline", "privileged")  # from the strictest
ENFORCE = "pod-security.kubernetes.io/enforce"  # a label of namespaces
CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
}  # fmt: skip
VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
PROFILES = ("RuntimeDefault", "Localhost")
Context = Mapping[str, Any]


@dataclass(frozen=True)
class Violation:
    """A field of a pod that a standard refuses."""

    field: str  # as in the manifest, with the value that it should have
    container: str = ""  # empty for the pod as a whole


def violations(pod: Manifest, level: str) -> list[Violation]:
    """Return what a standard refuses of a pod; `level` is one of LEVELS."""
    if level == "privileged":
        return []
    found = [*baseline_of_pod(pod["spec"]), *of_containers(pod, baseline)]
    if level == "restricted":
        found += [*restricted_volumes(pod["spec"]), *of_containers(pod, restricted)]
    else:
        found += of_containers(pod, more_capabilities)
    return found


def strictest_level(pods: list[Manifest]) -> str:
    """Return the strictest standard that admits all pods."""
    return next(level for level in LEVELS if not any(violations(pod, level) for pod in pods))


def of_containers(
    pod: Manifest, rule: Callable[[Context, Context, Manifest], Iterator[str]]
) -> Iterator[Violation]:
    whole = pod["spec"].get("securityContext") or {}
    for container in containers_of(pod):
        for field in rule(container.get("securityContext") or {}, whole, container):
            yield Violation(field, container["name"])


def baseline_of_pod(spec: Manifest) -> Iterator[Violation]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield Violation(f"{field}=false")
    for volume in spec.get("volumes") or ():
        if "hostPath" in volume:
            yield Violation(f"no hostPath in volume {volume['name']}")
    if profile(spec.get("securityContext") or {}) == "Unconfined":
        yield Violation("seccompProfile.type=RuntimeDefault")


def baseline(context: Context, whole: Context, container: Manifest) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged=false"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "no hostPort"
    if profile(context) == "Unconfined":
        yield "seccompProfile.type=RuntimeDefault"


def more_capabilities(context: Context, whole: Context, container: Manifest) -> Iterator[str]:
    return capabilities_beyond(CAPABILITIES, context)


def capabilities_beyond(allowed: set[str], context: Context) -> Iterator[str]:
    added = (context.get("capabilities") or {}).get("add") or ()
    if more := sorted({*added} - allowed):
        yield f"capabilities.add without {', '.join(more)}"


def restricted_volumes(spec: Manifest) -> Iterator[Violation]:
    for volume in spec.get("volumes") or ():
        if kinds := sorted({*volume} - VOLUMES - {"name", "hostPath"}):
            yield Violation(f"no {kinds[0]} in volume {volume['name']}")


def restricted(context: Context, whole: Context, container: Manifest) -> Iterator[str]:
    inherited = {**whole, **{key: value for key, value in context.items() if value is not None}}
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation=false"
    if "ALL" not in ((context.get("capabilities") or {}).get("drop") or ()):
        yield "capabilities.drop=[ALL]"
    yield from capabilities_beyond({"NET_BIND_SERVICE"}, context)
    if inherited.get("runAsNonRoot") is not True:
        yield "runAsNonRoot=true"
    if inherited.get("runAsUser") == 0:
        yield "runAsUser not 0"
    if profile(inherited) not in (*PROFILES, "Unconfined"):  # the last is of baseline
        yield "seccompProfile.type=RuntimeDefault"


def profile(context: Context) -> Any:
    return (context.get("seccompProfile") or {}).get("type")
