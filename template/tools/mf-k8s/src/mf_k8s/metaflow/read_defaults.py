"""What Metaflow's own configuration gives to pods: the lowest layer, below k8s.toml.

A company sets it for everybody, in Metaflow's configuration file or by METAFLOW_KUBERNETES_…
variables. The rules are those of KubernetesDecorator.init, in
metaflow/plugins/kubernetes/kubernetes_decorator.py, written here a second time.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import CommandError, Finding
from ..pods.flow_facts import FlowFacts
from ..pods.metaflow_defaults import REGISTRY, MetaflowDefault
from ..programs.run import lent_variables
from .configuration import Configuration
from .read_flow_facts import overrides_by, with_options

WITH = "METAFLOW_DECOSPECS"  # click's variable for Metaflow's `--with`


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


def read_metaflow_defaults(
    configuration: Configuration, on_argo: bool
) -> tuple[MetaflowDefault, ...]:
    """Return what Metaflow's configuration gives to steps.

    `on_argo` is for Argo Workflows, else it is for `run --with kubernetes`. Raise CommandError for
    a value that cannot be read.
    """
    defaults = []
    for key, settings, reader in (*READERS, *(ARGO_READERS if on_argo else ())):
        variable, text = first_that_is_set(configuration, settings)
        if text:
            try:
                defaults.append(MetaflowDefault(variable, key, reader(text)))
            except ValueError as error:
                what = f"{variable} of Metaflow's configuration is not valid: {error}"
                raise CommandError(Finding("metaflow-setting-not-valid", what, variable)) from None
    return tuple(defaults)


def with_default_decorators(
    flow: FlowFacts, options: Sequence[str], configuration: Configuration
) -> FlowFacts:
    """Return a flow whose steps have the `kubernetes:…` of Metaflow's configuration, too.

    It lies over what stands on a step, and below a `--with` of the flow's options.
    """
    default = configuration.setting("DEFAULT_DECOSPECS")
    by_variable = configuration.variables.get(WITH, "")
    with lent_variables(configuration.variables):  # Metaflow reads its files when it is imported
        given = overrides_by(default.split(), "METAFLOW_DEFAULT_DECOSPECS")
        if not any(with_options(options)):  # for which click ignores its variable
            given += overrides_by(by_variable.split(), WITH)
    steps = dict(flow["steps"])
    for name, step in steps.items():
        on_step = [override for override in step["overrides"] if "source" not in override]
        others = [override for override in step["overrides"] if "source" in override]
        steps[name] = {**step, "overrides": [*on_step, *given, *others]}
    return {**flow, "steps": steps}


def first_that_is_set(configuration: Configuration, settings: Iterable[str]) -> tuple[str, str]:
    """Return the name and text of the first setting that is set; an empty variable is set too."""
    variable, text = "", ""
    for setting in settings:
        variable, text = f"METAFLOW_{setting}", configuration.setting(setting)
        if text or variable in configuration.variables:
            break
    return variable, text
