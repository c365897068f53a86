"""What Metaflow's own configuration gives to pods: the lowest layer, below k8s.toml.

A company sets it for everybody, in Metaflow's configuration file or by METAFLOW_KUBERNETES_…
variables. The rules are those of KubernetesDecorator.init, in
metaflow/plugins/kubernetes/kubernetes_decorator.py, written here a second time.
"""

import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .compile_flows import FlowFacts
from .config import Settings
from .environments import metaflow_setting
from .errors import CommandError
from .flow_facts import overrides_by, with_options

PYTHON_IMAGE = f"python:{sys.version_info[0]}.{sys.version_info[1]}"  # where nothing names an image
TABLES = ("labels", "annotations")  # merged by key, below the step's own
WITH = "METAFLOW_DECOSPECS"  # click's variable for Metaflow's `--with`
REGISTRY = "registry"  # is put before the image; it is no parameter of @kubernetes


@dataclass(frozen=True)
class MetaflowDefault:
    """A value that a setting of Metaflow's configuration gives to steps."""

    variable: str
    key: str  # the parameter of @kubernetes, or REGISTRY
    value: Any


def key_values(text: str) -> dict[str, str | None]:
    """Return the table in `a=1,b=2`, as parse_kube_keyvalue_list of Metaflow reads it."""
    pairs = (item.partition("=") for item in text.split(","))
    return {name: value if equals else None for name, equals, value in pairs}


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


Reader = Callable[[str], Any]
# The parameter of @kubernetes, the settings that give it (the first that is set counts), and how
# their text is read. The image comes before the registry, which is put before whichever image
# is used.
READERS: Sequence[tuple[str, tuple[str, ...], Reader]] = (
    ("service_account", ("KUBERNETES_SERVICE_ACCOUNT",), str),
    ("gpu_vendor", ("KUBERNETES_GPU_VENDOR",), str),
    ("node_selector", ("KUBERNETES_NODE_SELECTOR",), key_values),
    ("tolerations", ("KUBERNETES_TOLERATIONS",), json.loads),
    ("persistent_volume_claims", ("KUBERNETES_PERSISTENT_VOLUME_CLAIMS",), json.loads),
    ("image_pull_policy", ("KUBERNETES_IMAGE_PULL_POLICY",), str),
    ("image_pull_secrets", ("KUBERNETES_IMAGE_PULL_SECRETS",), json.loads),
    ("cpu", ("KUBERNETES_CPU",), float),
    ("memory", ("KUBERNETES_MEMORY",), float),
    ("disk", ("KUBERNETES_DISK",), float),
    ("labels", ("KUBERNETES_LABELS",), key_values),
    ("annotations", ("KUBERNETES_ANNOTATIONS",), key_values),
    ("qos", ("KUBERNETES_QOS",), str),
    ("image", ("KUBERNETES_CONTAINER_IMAGE", "DEFAULT_CONTAINER_IMAGE"), str),
    (REGISTRY, ("KUBERNETES_CONTAINER_REGISTRY", "DEFAULT_CONTAINER_REGISTRY"), str),
    ("shared_memory", ("KUBERNETES_SHARED_MEMORY",), int),
    ("port", ("KUBERNETES_PORT",), int),
    ("secrets", ("KUBERNETES_SECRETS",), names),
)
# Steps and hooks on Argo Workflows have these as well.
ARGO_READERS = (("secrets", ("ARGO_WORKFLOWS_KUBERNETES_SECRETS",), names),)


def read_metaflow_defaults(on_argo: bool) -> tuple[MetaflowDefault, ...]:
    """Return what Metaflow's configuration gives to steps now.

    `on_argo` is for Argo Workflows, else it is for `run --with kubernetes`. Raise CommandError for
    a value that cannot be read.
    """
    defaults = []
    for key, settings, reader in (*READERS, *(ARGO_READERS if on_argo else ())):
        variable, text = first_that_is_set(settings)
        if text:
            try:
                defaults.append(MetaflowDefault(variable, key, reader(text)))
            except ValueError as error:
                raise CommandError(
                    f"{variable} of Metaflow's configuration is not valid: {error}"
                ) from None
    return tuple(defaults)


def with_default_decorators(flow: FlowFacts, options: Sequence[str]) -> FlowFacts:
    """Return a flow whose steps have the `kubernetes:…` of Metaflow's configuration, too.

    It lies over what stands on a step, and below a `--with` of the flow's options.
    """
    default = metaflow_setting("DEFAULT_DECOSPECS")
    given = overrides_by(default.split(), "METAFLOW_DEFAULT_DECOSPECS")
    if not any(with_options(options)):  # for which click ignores its variable
        given += overrides_by(os.environ.get(WITH, "").split(), WITH)
    steps = dict(flow["steps"])
    for name, step in steps.items():
        on_step = [override for override in step["overrides"] if "source" not in override]
        others = [override for override in step["overrides"] if "source" in override]
        steps[name] = {**step, "overrides": [*on_step, *given, *others]}
    return {**flow, "steps": steps}


def sources(flow: FlowFacts) -> list[str]:
    """Return a line for each setting that something else than its step's own code gives a step."""
    return sorted(
        {
            f"{key}: from {override['source']}"
            for step in flow["steps"].values()
            for override in step["overrides"]
            if "source" in override
            for key in override["values"]
        }
    )


def first_that_is_set(settings: Iterable[str]) -> tuple[str, str]:
    """Return the name and text of the first setting that is set; an empty variable is set too."""
    variable, text = "", ""
    for setting in settings:
        variable, text = f"METAFLOW_{setting}", metaflow_setting(setting)
        if text or variable in os.environ:
            break
    return variable, text


def with_defaults(settings: Mapping[str, Any], defaults: Iterable[MetaflowDefault]) -> Settings:
    """Return a step's settings with Metaflow's defaults laid under them."""
    return functools.reduce(lay_under, defaults, dict(settings))


def lay_under(settings: Settings, default: MetaflowDefault) -> Settings:
    """Return a step's settings with one default under them: the same if it has no effect."""
    key, value = default.key, default.value
    own = settings.get(key)
    if key in TABLES:
        value = {**value, **(own or {})}
    elif key == "secrets":
        value = [*(own or ()), *(name for name in value if name not in (own or ()))]
    elif key == REGISTRY:
        key, image = "image", settings.get("image") or PYTHON_IMAGE
        value = image if names_registry(image) else f"{value.rstrip('/')}/{image}"
    elif own:
        # also a size that equals Metaflow's default: Metaflow compares text, k8s.toml has numbers
        value = own
    return {**settings, key: value}


def names_registry(image: str) -> bool:
    """Return whether Metaflow sees a registry in an image's name (get_docker_registry)."""
    return bool(re.match(r".+?[:.].+?/", image))


def origins(steps: Iterable[Mapping[str, Any]], defaults: Sequence[MetaflowDefault]) -> list[str]:
    """Return a line for each default that changes the settings of one of the steps."""
    lines = set()
    for settings in map(dict, steps):
        for default in defaults:
            below, settings = settings, lay_under(settings, default)
            if settings != below:
                key = "image" if default.key == REGISTRY else default.key
                lines.add(f"{key}: from {default.variable}")
    return sorted(lines)
