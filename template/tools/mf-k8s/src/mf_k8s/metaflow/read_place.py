"""Reads an environment, and says which of its METAFLOW_KUBERNETES_… would have no effect."""

import json
from collections.abc import Iterator
from typing import Any

from ..errors import Finding, raise_if
from ..pods.metaflow_defaults import REGISTRY, TABLES, MetaflowDefault, names_registry
from ..project.environment_layer import merged_config
from ..project.environments import Environment, read_environment
from ..project.k8s_toml import Config
from ..project.merge_settings import Settings, shared_settings
from ..project.project import Project
from .configuration import Configuration
from .read_defaults import read_metaflow_defaults


def read_place(project: Project, name: str) -> Environment:
    """Return an environment; raise CommandError if it is unknown or something in it is wrong."""
    environment = read_environment(project, name)
    raise_if(ineffective_settings(environment, merged_config(project.at(name))))
    return environment


def ineffective_settings(environment: Environment, config: Config) -> Iterator[Finding]:
    """Yield each METAFLOW_KUBERNETES_… of an environment that a value for all steps lies over.

    `config` is k8s.toml with what the environment lays over it.
    """
    shared = shared_settings(config)
    own = Configuration(dict(environment.variables), reads_files=False)
    for default in read_metaflow_defaults(own, on_argo=True):
        for key, value in values_without_effect(default, shared).items():
            found = shared["image" if default.key == REGISTRY else default.key]
            yield Finding(
                "metaflow-setting-without-effect",
                f"{default.variable} has no effect, because {key} = {json.dumps(found)} of"
                " k8s.toml lies over it",
                environment.file,
                f'write "k8s": {json.dumps({key: value})} into that file instead',
            )


def values_without_effect(default: MetaflowDefault, shared: Settings) -> dict[str, Any]:
    """Return the values of a default that the shared settings replace by others."""
    key, value, own = default.key, default.value, shared.get(default.key)
    if key == REGISTRY:
        image, registry = shared.get("image", ""), value.rstrip("/")
        is_other = names_registry(image) and not image.startswith(f"{registry}/")
        return {"image": f"{registry}/{image.partition('/')[2]}"} if is_other else {}
    if not own or key == "secrets":  # which are added
        return {}
    if key in TABLES:
        hidden = {name: text for name, text in value.items() if own.get(name, text) != text}
        return {key: hidden} if hidden else {}
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {} if own == value else {key: value}
