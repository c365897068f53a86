"""What each pod of a flow must have, worked out from k8s.toml and what the steps say.

Nothing of BaseFlow is used here: merging and Metaflow's rules are written a second time, so that a
mistake in either shows as a difference. A pod is a dictionary of settings, named as in k8s.toml; a
setting that the pod does not have is not in it.
"""

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import Problem
from .pods import GPU, SHARED, Pod, plain, size

DEADLINE = 5 * 24 * 60 * 60  # seconds; DEFAULT_RUNTIME_LIMIT in plugins/timeout_decorator.py
FROM_FIRST_STEP = ("image", "service_account", "secrets")  # all that Metaflow gives to hooks
METAFLOW_HOOKS = ("error-msg-capture-hook", "heartbeat-daemon")
SAME = ("image_pull_policy", "persistent_volume_claims", "labels", "annotations")
DEFAULTS = {  # of KubernetesDecorator in metaflow/plugins/kubernetes/kubernetes_decorator.py
    "image": f"python:{sys.version_info[0]}.{sys.version_info[1]}",
    "cpu": 1,
    "memory": 4096,
    "disk": 10240,
    "gpu_vendor": "nvidia",
    "qos": "burstable",
    "tmpfs_path": "/metaflow_temp",
    "tmpfs_tempdir": True,
}


def read_config(file: Path) -> dict[str, Any]:
    """Give what is in a k8s.toml; raise Problem if it is not there or not TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"{file.name}: {error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Problem(f"{file.name}: not TOML: {error}") from error


def shared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "pools"}


def step_settings(config: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    """Give a step's settings: k8s.toml, then its pools, then what it says itself."""
    settings, pools = shared_settings(config), config.get("pools", {})
    for layer in [pools.get(pool, {}) for pool, _ in step["overrides"]]:
        settings = lay_over(settings, layer)
    for _, said in step["overrides"]:
        settings = lay_over(settings, said)
    return settings


def lay_over(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    both = {key: value for key, value in low.items() if key not in high}
    for key, value in high.items():
        if isinstance(value, str) and key in ("secrets", "node_selector"):  # of @kubernetes
            pairs = dict(pair.split("=") for pair in value.split(",") if "=" in pair)
            value = [value] if key == "secrets" else pairs
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
    has, more = {**DEFAULTS, **settings}, step["resources"]
    pod = {key: has.get(key) for key in (*FROM_FIRST_STEP, *SHARED, *SAME)}
    if has.get("use_tmpfs") or has.get("tmpfs_size"):
        limit = has.get("tmpfs_size") or int(has["memory"]) // 2  # before @resources
        pod["use_tmpfs"] = f"{size(f'{limit}Mi')} of Memory at {has['tmpfs_path']}"
        pod["tmpfs_tempdir"] = has["tmpfs_path"] if has["tmpfs_tempdir"] else None
    for key, unit in {"cpu": "", "memory": "M", "disk": "M"}.items():
        pod[key] = size(f"{max(float(has[key]), float(more.get(key) or 0))}{unit}")
    for key in ("gpu", "shared_memory"):
        has[key] = has.get(key) if more.get(key) is None else more[key]
    if has["shared_memory"]:
        pod["shared_memory"] = size(f"{has['shared_memory']}Mi") + " of Memory at /dev/shm"
    pod["qos"] = has["qos"].capitalize()
    devices = dict(has.get("extended_resources", {}))
    if has["gpu"] is not None:
        devices[GPU[has["gpu_vendor"].lower()]] = str(has["gpu"])
    pod["gpu"] = {name: devices.pop(name) for name in GPU.values() if name in devices}
    pod["extended_resources"] = devices
    if has.get("compute_pool"):
        pool = {"outerbounds.co/compute-pool": has["compute_pool"]}
        pod["node_selector"] = {**(pod["node_selector"] or {}), **pool}
    pod["security_context"] = {
        re.sub("_(.)", lambda match: match[1].upper(), key): value
        for key, value in has.get("security_context", {}).items()
    }
    pod["port"] = [has["port"]] if has.get("port") else None
    return plain({**pod, "timeout": step["timeout"] or DEADLINE})


def expected_pods(config: Mapping[str, Any], flow: Mapping[str, Any]) -> dict[str, Pod]:
    """Give the pods that a flow must have, by name: `step`, or `step/control`, `step/worker` and
    `step/creator` for a @parallel one, and `hook` for each pod that runs none of its steps.

    A hook's pod has the image, service account and secrets of the first step, sizes of Metaflow's
    own (left out here) and, of the rest, what `pods.complete` adds.
    """
    shared = {key: value for key, value in config.items() if key in SHARED}
    pods = {}
    for name, step in flow["steps"].items():
        pods[name] = step_pod(step_settings(config, step), step)
        if step["parallel"]:
            pods[f"{name}/control"] = pods[f"{name}/worker"] = pods.pop(name)
            pods[f"{name}/creator"] = plain(shared)
    first = step_settings(config, flow["steps"][flow["start"]])
    hook = shared | {key: first[key] for key in FROM_FIRST_STEP if key in first}
    hook.setdefault("image", DEFAULTS["image"])
    for name, image in {**dict.fromkeys(METAFLOW_HOOKS), **flow["hooks"]}.items():
        pods[name] = plain(hook | ({"image": image} if image else {}))
    return pods
