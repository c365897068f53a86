"""What each pod of a flow must have, worked out from k8s.toml and what the steps say.

Nothing of BaseFlow is used here: merging and Metaflow's rules are written a second time, so that a
mistake in either shows as a difference. A pod is a dictionary of settings, named as in k8s.toml and
in the plain values of `pods.plain`; a setting that the pod does not have is not in it.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import Problem
from .pods import GPU, SHARED, Pod, plain, size

DEADLINE = 5 * 24 * 60 * 60  # seconds; DEFAULT_RUNTIME_LIMIT in plugins/timeout_decorator.py
FROM_FIRST_STEP = ("image", "service_account", "secrets")
METAFLOW_HOOKS = ("error-msg-capture-hook", "heartbeat-daemon")
DEFAULTS = {  # of KubernetesDecorator in metaflow/plugins/kubernetes/kubernetes_decorator.py
    "cpu": 1,
    "memory": 4096,
    "disk": 10240,
    "gpu_vendor": "nvidia",
    "qos": "Burstable",
    "tmpfs_path": "/metaflow_temp",
    "tmpfs_tempdir": True,
}


def read_config(file: Path) -> dict[str, Any]:
    """Give what is in a k8s.toml; raise Problem if it is not there or not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Problem(f"{file.name}: {error}") from error


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "pools"}


def step_settings(config: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Give a step's settings: k8s.toml, then its pools, then what it says itself."""
    settings = shared_settings(config)
    pools = [pool for pool, _ in step["overrides"] if pool is not None]
    layers = [config.get("pools", {}).get(pool, {}) for pool in pools]
    for layer in layers + [said for _, said in step["overrides"]]:
        settings = lay_over(settings, layer)
    return settings


def lay_over(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: value for key, value in low.items() if key not in high}
    for key, value in high.items():
        if key == "secrets" and isinstance(value, str):
            value = [value]
        if key == "node_selector" and isinstance(value, str):
            value = dict(pair.split("=", 1) for pair in value.split(","))
        if isinstance(value, dict):
            both[key] = lay_over(low.get(key, {}), value)
        elif isinstance(value, list):
            both[key] = low.get(key, []) + [one for one in value if one not in low.get(key, [])]
        elif value is not None:
            both[key] = value
    return both


def step_pod(settings: Mapping[str, Any], step: Mapping[str, Any]) -> Pod:
    """Give the pod of a step with these settings, by the rules of Metaflow's @kubernetes.

    @resources raises cpu, memory and disk, never lowers them, and replaces gpu and shared_memory
    (step_init in metaflow/plugins/kubernetes/kubernetes_decorator.py).
    """
    has, by_resources = {**DEFAULTS, **settings}, step["resources"]
    largest = {
        key: max(float(has[key]), float(by_resources.get(key) or 0))
        for key in ("cpu", "memory", "disk")
    }
    for key in ("gpu", "shared_memory"):
        if by_resources.get(key) is not None:
            has[key] = int(by_resources[key])
    pod = {key: has.get(key) for key in ("image", "image_pull_policy", *SHARED, "secrets")}
    pod["cpu"] = size(str(largest["cpu"]))
    pod["memory"], pod["disk"] = (size(f"{largest[key]}M") for key in ("memory", "disk"))
    pod["qos"] = "Guaranteed" if has["qos"].lower() == "guaranteed" else "Burstable"
    extended = dict(has.get("extended_resources", {}))
    if has.get("gpu") is not None:
        extended[GPU[has["gpu_vendor"].lower()]] = str(has["gpu"])
    pod["gpu"] = {name: extended.pop(name) for name in GPU.values() if name in extended}
    pod["extended_resources"] = extended
    if has.get("shared_memory"):
        pod["shared_memory"] = f"{mebibytes(has['shared_memory'])} at /dev/shm"
    if has.get("use_tmpfs") or has.get("tmpfs_size"):
        limit = has.get("tmpfs_size") or int(has["memory"]) // 2  # before @resources
        pod["use_tmpfs"] = f"{mebibytes(limit)} at {has['tmpfs_path']}"
        pod["tmpfs_tempdir"] = has["tmpfs_path"] if has["tmpfs_tempdir"] else None
    if has.get("compute_pool"):
        own = pod["node_selector"] or {}
        pod["node_selector"] = {**own, "outerbounds.co/compute-pool": has["compute_pool"]}
    for key in ("persistent_volume_claims", "labels", "annotations"):
        pod[key] = has.get(key)
    security = has.get("security_context", {})
    pod["security_context"] = {camel(key): value for key, value in security.items()}
    pod["port"] = [has["port"]] if has.get("port") else None
    pod["timeout"] = step["timeout"] or DEADLINE
    return plain(pod)


def mebibytes(number: int) -> str:
    return size(f"{number}Mi")


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def expected_pods(config: Mapping[str, Any], flow: Mapping[str, Any]) -> dict[str, Pod]:
    """Give the pods that a flow must have, by name: `step`, or `step/control`, `step/worker` and
    `step/creator` for a @parallel one, and `hook` for each pod that runs none of its steps.

    A hook's pod has the image, service account and secrets of the first step, sizes of Metaflow's
    own (left out here) and, of the rest, what `pods.complete` adds.
    """
    shared = {key: value for key, value in shared_settings(config).items() if key in SHARED}
    steps = {name: step_settings(config, step) for name, step in flow["steps"].items()}
    pods = {}
    for name, step in flow["steps"].items():
        pod = step_pod(steps[name], step)
        if step["parallel"]:
            pods |= {f"{name}/control": pod, f"{name}/worker": pod}
            pods[f"{name}/creator"] = plain(shared)
        else:
            pods[name] = pod
    first = {key: value for key, value in steps[flow["start"]].items() if key in FROM_FIRST_STEP}
    for name, image in {**dict.fromkeys(METAFLOW_HOOKS), **flow["hooks"]}.items():
        pods[name] = plain({**shared, **first, **({"image": image} if image else {})})
    return pods
