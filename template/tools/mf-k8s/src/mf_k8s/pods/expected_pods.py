"""The pods that a flow must have, worked out from k8s.toml and from what its steps say.

Where the user's own Metaflow configuration counts, its defaults are the layer below k8s.toml.

Metaflow's rules are written here a second time, from its source, so that a mistake in BaseFlow
shows as a difference.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..project.k8s_toml import camel_case
from ..project.merge_settings import shared_settings, step_settings
from ..project.pod_table import MAIN, POD, pod_spec
from ..project.workflow_table import METADATA_KINDS, POD_METADATA
from .flow_facts import FlowFacts, StepFacts
from .lay_pod import of_run, step_pods
from .metaflow_defaults import PYTHON_IMAGE, MetaflowDefault, with_defaults
from .pod_fields import main_fields
from .quantities import quantity
from .read_container import GPU_RESOURCES
from .read_pods import INHERITED, Pod, normalized
from .strategic_merge import POD as KEYS
from .strategic_merge import strategic_merge

DEADLINE_S = 5 * 24 * 60 * 60  # DEFAULT_RUNTIME_LIMIT in plugins/timeout_decorator.py
FROM_FIRST_STEP = ("image", "service_account", "secrets")  # all that Metaflow gives to hooks
METAFLOW_HOOKS = ("error-msg-capture-hook", "heartbeat-daemon")
AS_CONFIGURED = ("image_pull_policy", "persistent_volume_claims", "labels", "annotations")
DEFAULTS = {  # of KubernetesDecorator in metaflow/plugins/kubernetes/kubernetes_decorator.py
    "image": PYTHON_IMAGE,
    "cpu": 1,
    "memory": 4096,  # MB
    "disk": 10240,  # MB
    "gpu_vendor": "nvidia",
    "qos": "burstable",
    "tmpfs_path": "/metaflow_temp",
    "tmpfs_tempdir": True,
}
PLAIN_STEP: StepFacts = {
    "overrides": [],
    "resources": {},
    "timeout": None,
    "parallel": False,
    "next": [],
}


def expected_pods(
    config: Mapping[str, Any],
    flow: FlowFacts,
    defaults: Sequence[MetaflowDefault] = (),
    on_argo: bool = True,
) -> dict[str, Pod]:
    """Return the pods that a flow must have, by name.

    A pod is named `step`; of a @parallel step there are `step/control`, `step/worker` and
    `step/creator`. The creator, and the pods of hooks, which are named as by Metaflow, are helper
    pods: they run no step. One of a hook has the image, service account and secrets of the first
    step. Each has sizes of Metaflow's own (which are left out), and what configure_template adds.

    `on_argo` is false for the pods of `run --with kubernetes`, which have nothing of [workflow] and
    [pod].
    """
    if not on_argo:
        config, flow = of_run(config, flow)
    shared = with_defaults(shared_settings(config), defaults)
    of_all = {*INHERITED, *METADATA_KINDS}
    of_workflow = {key: value for key, value in shared.items() if key in of_all}
    pods: dict[str, Pod] = {}
    own, fields = step_pods(config, flow), shared.get(POD) or {}
    for name, step in flow["steps"].items():
        pod = step_pod(with_defaults(step_settings(config, step), defaults), step)
        if step["parallel"]:
            of_gang = with_fields(pod, pod_spec(own[name], argo=False), name)
            pods[f"{name}/control"] = pods[f"{name}/worker"] = of_gang
            creator = with_fields(normalized(of_workflow), pod_spec(fields, wait=False))
            creator.pop("security_context", None)  # Argo's own, but for what is in [pod]
            pods[f"{name}/creator"] = creator
        else:
            pods[name] = with_fields(pod, pod_spec(own[name]))
    first = with_defaults(step_settings(config, flow["steps"][flow["start"]]), defaults)
    hook = of_workflow | {key: first[key] for key in FROM_FIRST_STEP if key in first}
    hook.setdefault("image", DEFAULTS["image"])
    for name, image in {**dict.fromkeys(METAFLOW_HOOKS), **flow["hooks"]}.items():
        pod = normalized(hook | ({"image": image} if image else {}))
        pods[name] = with_fields(pod, pod_spec(fields))
    return {name: with_metadata(pod, config) for name, pod in pods.items()}


def with_fields(pod: Pod, fields: Mapping[str, Any], container: str = MAIN) -> Pod:
    """Return a pod with fields of [pod]: those that have settings of their own go there."""
    if not fields:
        return pod
    security = main_fields(fields).get("securityContext") or {}
    containers = [
        {**each, "name": container if each["name"] == MAIN else each["name"]}
        for each in fields.get("containers", ())
    ]
    tolerations = pod.get("tolerations", [])
    tolerations += [each for each in fields.get("tolerations", ()) if each not in tolerations]
    others = {key: value for key, value in fields.items() if key != "tolerations"}
    return normalized(
        {
            **pod,
            "tolerations": tolerations,
            "security_context": strategic_merge(pod.get("security_context", {}), security, KEYS),
            POD: others | ({"containers": containers} if containers else {}),
        }
    )


def with_metadata(pod: Pod, config: Mapping[str, Any]) -> Pod:
    """Return a pod with the labels and annotations of [workflow] over its own."""
    metadata = config.get("workflow", {}).get(POD_METADATA) or {}
    own = {kind: values for kind in METADATA_KINDS if (values := metadata.get(kind))}
    return pod | {kind: {**pod.get(kind, {}), **values} for kind, values in own.items()}


def plain_step_pod(config: Mapping[str, Any], defaults: Sequence[MetaflowDefault] = ()) -> Pod:
    """Return the pod of a step that overrides nothing."""
    pod = step_pod(with_defaults(shared_settings(config), defaults), PLAIN_STEP)
    return with_metadata(with_fields(pod, pod_spec(config.get(POD) or {})), config)


def step_pod(settings: Mapping[str, Any], step: StepFacts) -> Pod:
    """Return the pod of a step with these settings, by the rules of Metaflow's @kubernetes."""
    values = {**DEFAULTS, **settings}
    requested = with_resources(values, step["resources"])
    pod = {key: values.get(key) for key in (*FROM_FIRST_STEP, *INHERITED, *AS_CONFIGURED)}
    for key, unit in {"cpu": "", "memory": "M", "disk": "M"}.items():
        pod[key] = quantity(f"{requested[key]}{unit}")
    if size := requested["shared_memory"]:
        pod["shared_memory"] = f"{quantity(f'{size}Mi')} of Memory at /dev/shm"
    if values.get("compute_pool"):
        pool = {"outerbounds.co/compute-pool": values["compute_pool"]}
        pod["node_selector"] = {**(pod["node_selector"] or {}), **pool}
    security = values.get("security_context", {}).items()
    return normalized(
        {
            **pod,
            **tmpfs(values),
            **devices(values, requested["gpu"]),
            "qos": values["qos"].capitalize(),
            "security_context": {camel_case(key): value for key, value in security},
            "port": [values["port"]] if values.get("port") else None,
            "timeout": step["timeout"] or DEADLINE_S,
        }
    )


def with_resources(values: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return cpu, memory and disk, gpu and shared_memory of a step with @resources.

    @resources raises cpu, memory and disk, never lowers them, and replaces gpu and shared_memory
    (step_init in metaflow/plugins/kubernetes/kubernetes_decorator.py).
    """
    sizes = ("cpu", "memory", "disk")
    requested: dict[str, Any] = {
        key: max(float(values[key]), float(resources.get(key) or 0)) for key in sizes
    }
    for key in ("gpu", "shared_memory"):
        own = resources.get(key)
        requested[key] = values.get(key) if own is None else own
    return requested


def tmpfs(values: Mapping[str, Any]) -> Pod:
    """Return use_tmpfs and tmpfs_tempdir; the size is in MiB, by default half of memory's MB."""
    if not (values.get("use_tmpfs") or values.get("tmpfs_size")):
        return {}
    size = values.get("tmpfs_size") or int(values["memory"]) // 2  # before @resources
    path = values["tmpfs_path"]
    return {
        "use_tmpfs": f"{quantity(f'{size}Mi')} of Memory at {path}",
        "tmpfs_tempdir": path if values["tmpfs_tempdir"] else None,
    }


def devices(values: Mapping[str, Any], gpu: Any) -> Pod:
    """Return gpu and extended_resources, which may hold GPUs too."""
    extended = dict(values.get("extended_resources", {}))
    if gpu is not None:
        extended[GPU_RESOURCES[values["gpu_vendor"].lower()]] = gpu
    extended = {name: quantity(count) for name, count in extended.items()}
    gpus = {name: extended.pop(name) for name in GPU_RESOURCES.values() if name in extended}
    return {"gpu": gpus, "extended_resources": extended}
