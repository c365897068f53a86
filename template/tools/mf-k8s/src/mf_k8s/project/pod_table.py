"""What [pod] of k8s.toml may say: the fields of a pod that @kubernetes has no parameter for."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Finding
from .api_types import POD_SPEC, fields_of, spelled, table_findings
from .merge_settings import merge

POD = "pod"  # the key of k8s.toml, of a pool and of @k8s
MAIN, WAIT, INIT = "main", "wait", "init"  # the step's own container, and Argo's
CONTAINERS = {"containers": (MAIN, WAIT), "init_containers": (INIT,)}
# Fields that Metaflow sets, and what says it in a project.
SAID_ELSEWHERE = {
    "active_deadline_seconds": "write @timeout above the step",
    "ephemeral_containers": "leave it out: they are added to pods that run",
    "image_pull_secrets": "write image_pull_secrets above the first [table]",
    "node_selector": "write node_selector above the first [table], into the pool or @k8s",
    "restart_policy": "leave it out, or write @retry above the step",
    "service_account": "write service_account above the first [table], into the pool or @k8s",
    "service_account_name": "write service_account above the first [table], into the pool or @k8s",
}
OF_MAIN = {
    "args": "leave it out: it runs the step",
    "command": "leave it out: it runs the step",
    "env_from": "write secrets above the first [table], into the pool or @k8s",
    "image": "write image above the first [table], into the pool or @k8s",
    "image_pull_policy": "write image_pull_policy above the first [table], into the pool or @k8s",
    "ports": "write port above the first [table], into the pool or @k8s",
    "resources": "write cpu, memory, disk, gpu or extended_resources, and qos",
}


def pod_findings(pod: Any, where: str) -> Iterator[Finding]:
    """Yield what is wrong with [pod] in a file, layer or decorator that messages call `where`."""
    if not isinstance(pod, Mapping):
        return  # which the schema refuses
    known = {key: value for key, value in pod.items() if key not in SAID_ELSEWHERE}
    for key in pod.keys() - known.keys():
        yield of_metaflow(f"pod.{key}", where, SAID_ELSEWHERE[key])
    wrong = [*table_findings(known, fields_of(POD_SPEC), where, POD)]
    yield from wrong
    if wrong:
        return  # of any type
    for key, names in CONTAINERS.items():
        for index, container in enumerate(pod.get(key) or ()):
            path = f"pod.{key}.{index}"
            name = container.get("name")
            if name not in names:
                what = f"{where}: {path}.name = {name!r} is no container of a step's pod"
                yield Finding("container-unknown", what, where, f"write {' or '.join(names)}")
            for field in OF_MAIN.keys() & container.keys() if name == MAIN else ():
                yield of_metaflow(f"{path}.{field}", where, OF_MAIN[field])
    for index, volume in enumerate(pod.get("volumes") or ()):
        if "persistent_volume_claim" in volume:
            path = f"pod.volumes.{index}.persistent_volume_claim"
            yield of_metaflow(path, where, "write persistent_volume_claims")


def of_metaflow(path: str, where: str, remedy: str) -> Finding:
    what = f"{where}: {path} is set by Metaflow"
    return Finding("field-of-kubernetes-decorator", what, where, remedy)


def pod_spec(pod: Mapping[str, Any], argo: bool = True, wait: bool = True) -> dict[str, Any]:
    """Return [pod] in Kubernetes' spelling, for a pod that Argo makes or another.

    Each pod of Argo's has a container `main` and one `init`; those of steps and hooks have `wait`,
    too. What is for a container that the pod does not have is left out. The organisation and a team
    may both say something of one: their lists append.
    """
    spec: dict[str, Any] = spelled(dict(pod), POD_SPEC)
    names = {MAIN} | ({INIT} if argo else set()) | ({WAIT} if argo and wait else set())
    for field in ("containers", "initContainers"):
        own: dict[str, Any] = {}
        for each in spec.pop(field, None) or ():
            own[each["name"]] = merge(own.get(each["name"], {}), each)
        if of_pod := [own[name] for name in own if name in names]:
            spec[field] = of_pod
    return spec
