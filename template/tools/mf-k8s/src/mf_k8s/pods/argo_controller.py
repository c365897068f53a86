"""Reads how Argo's workflow controller is configured: its Deployment, and its ConfigMap.

The fields of the ConfigMap are those of config/config.go in argo-workflows, the flags those of
cmd/workflow-controller/main.go.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from .read_pods import Manifest
from .read_yaml import read_yaml

CONFIG_MAP = "workflow-controller-configmap"  # unless --configmap names another
INSTANCE_ID = "workflows.argoproj.io/controller-instanceid"  # a label of what a controller watches
EXECUTOR_IMAGE = "quay.io/argoproj/argoexec"
SWITCHES = {"namespaced", "executor-plugins"}  # flags without a value


@dataclass(frozen=True)
class Controller:
    """A workflow controller; `Controller()` is as Argo's own manifest installs it."""

    namespace: str = "argo"  # where it runs
    release: str = ""  # like v4.0.5; empty where its image does not say
    config_map: str = CONFIG_MAP
    only_namespace: str = ""  # the one that it watches; empty for all
    deployment: str = "workflow-controller"
    selector: str = "app=workflow-controller"  # of its pods
    account: str = "argo"  # its service account
    replicas: int = 1
    available: int = 1  # replicas that run
    config: Mapping[str, Any] = field(default_factory=dict)  # the ConfigMap's, parsed
    config_error: str = ""  # why the ConfigMap cannot be read: the controller does not start, too
    has_config: bool = True  # False where the user may not read the ConfigMap
    data: Mapping[str, str] = field(default_factory=dict)  # the ConfigMap's, as it is
    container: Mapping[str, Any] = field(default_factory=dict)  # of the Deployment
    flags: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def watches(self, namespace: str) -> bool:
        return self.only_namespace in ("", namespace)

    def takes(self, namespace: str) -> bool:
        """Return whether it runs the workflows of a namespace that have no instance ID."""
        return self.watches(namespace) and not self.instance_id and self.available > 0

    @property
    def version(self) -> tuple[int, int, int] | None:
        """The release as numbers, or None if it is unknown."""
        match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", self.release)
        return (int(match[1]), int(match[2]), int(match[3])) if match else None

    @property
    def instance_id(self) -> str:
        """The value that INSTANCE_ID must have on what it watches; empty: it must not be there."""
        return str(self.config.get("instanceID") or "")

    def table(self, name: str) -> Manifest:
        """Return a table of the configuration; one that is not there, or is none, is empty."""
        found = self.config.get(name)
        return found if isinstance(found, dict) else {}

    @property
    def executor(self) -> Manifest:
        """What Argo's own containers have of a Container: resources, a security context, …"""
        return self.table("executor")

    @property
    def executor_image(self) -> str:
        default = f"{EXECUTOR_IMAGE}:{self.release or 'latest'}"
        return self.flags.get("executor-image") or self.executor.get("image") or default

    @property
    def executor_pull_policy(self) -> str:
        policy = self.flags.get("executor-image-pull-policy")
        return policy or self.executor.get("imagePullPolicy") or ""

    @property
    def main_container(self) -> Manifest:
        """What containers of steps have, unless their templates say otherwise."""
        return self.table("mainContainer")

    @property
    def workflow_defaults(self) -> Manifest:
        """A Workflow, whose values each has that says nothing else."""
        return self.table("workflowDefaults")

    @property
    def default_spec(self) -> Manifest:
        spec = self.workflow_defaults.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def has_initless_pods(self) -> bool:
        """Whether pods have `supervisor` instead of `init` and `wait`; known from 4.1 on."""
        return bool(self.table("initlessPod").get("enabled"))


def read_controller(deployment: Manifest, config_map: Manifest | None) -> Controller:
    """Return what a Deployment of the workflow controller, and its ConfigMap, say."""
    pod, status = deployment["spec"]["template"]["spec"], deployment.get("status") or {}
    labels = (deployment["spec"].get("selector") or {}).get("matchLabels") or {}
    container = next(filter(is_controller, pod["containers"]), pod["containers"][0])
    variables = {
        variable["name"]: variable.get("value") or "" for variable in container.get("env") or ()
    }
    flags = dict(read_flags(container)) | flags_by_variable(variables)
    config, error = read_config(config_map)
    namespace = deployment["metadata"].get("namespace") or ""
    only_namespace = config.get("namespace") or ""
    if flags.get("namespaced", "false") != "false":
        only_namespace = flags.get("managed-namespace") or namespace
    return Controller(
        release=read_release(container.get("image") or ""),
        namespace=namespace,
        only_namespace=only_namespace,
        config_map=flags.get("configmap") or CONFIG_MAP,
        deployment=deployment["metadata"]["name"],
        selector=",".join(f"{name}={value}" for name, value in labels.items()),
        account=pod.get("serviceAccountName") or "default",
        replicas=deployment["spec"].get("replicas", 1),
        available=status.get("availableReplicas") or 0,
        config=config,
        config_error=error,
        data=(config_map or {}).get("data") or {},
        container=container,
        flags=flags,
        variables=variables,
    )


def is_controller(container: Manifest) -> bool:
    return "workflow-controller" in (container.get("image") or "") + container["name"]


def read_release(image: str) -> str:
    """Return the release that an image's tag names, or an empty text."""
    name = image.partition("@")[0].rpartition("/")[2]
    match = re.match(r"v?\d+\.\d+\.\d+", name.partition(":")[2])
    return f"v{match[0].removeprefix('v')}" if match else ""


def read_flags(container: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the flags of a container's command: `--name value`, `--name=value` and `--switch`."""
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, has_value, value = word.removeprefix("--").partition("=")
        if word.startswith("--"):
            yield name, value if has_value else "true" if name in SWITCHES else following


def flags_by_variable(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the flags that variables set, like ARGO_MANAGED_NAMESPACE."""
    names = ("namespaced", "managed-namespace", "configmap", "executor-image")
    by_variable = {f"ARGO_{name.upper().replace('-', '_')}": name for name in names}
    return {flag: variables[name] for name, flag in by_variable.items() if variables.get(name)}


def read_config(config_map: Manifest | None) -> tuple[dict[str, Any], str]:
    """Return the configuration in a ConfigMap, and why it cannot be read, or an empty text.

    It is YAML, below one key `config` or with a key for each field. Argo puts the latter together
    as text, so that a table in one line is a mistake (config/controller.go in argo-workflows).
    """
    data: dict[str, str] = (config_map or {}).get("data") or {}
    if "config" in data and len(data) > 1:
        return {}, "it has `config` and other keys, and only one of both is allowed"
    text = data.get("config") or "".join(block(*item) for item in data.items())
    try:
        config = read_yaml(text) or {}
    except yaml.YAMLError as error:
        return {}, f"it is not valid YAML: {' '.join(str(error).split())}"
    return (config, "") if isinstance(config, dict) else ({}, "it is not a table")


def block(name: str, value: str) -> str:
    """Return a field as Argo makes YAML of it."""
    if "\n" not in value:
        return f"{name}: {value}\n"
    indented = value.strip("\n").replace("\n", "\n  ")
    return f"{name}:\n  {indented}\n"
