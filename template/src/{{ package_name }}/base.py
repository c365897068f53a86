"""The shared Kubernetes configuration, on every step of every flow.

This file runs on laptops, in CI and inside pods, whose images may be old: it needs the
standard library, Metaflow and Python 3.9, nothing else.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from metaflow import Config, FlowMutator, FlowSpec, kubernetes
from metaflow._vendor.click import get_current_context  # type: ignore  # not in its stubs
from metaflow.exception import MetaflowException
from metaflow.user_configs.config_parameters import (
    resolve_delayed_evaluator,
    unpack_delayed_evaluator,
)

PACKAGE = Path(__file__).resolve().parent
CONFIG = os.path.normpath(PACKAGE / "../../k8s.toml")

# Metaflow reads these in the pod too, and a pod does not know what `run --with` said.
NOT_BY_WITH = ("hostname_resolution_timeout", "tmpfs_path", "tmpfs_tempdir")
OTHER_BACKENDS = ("airflow", "batch", "step-functions")

Step = TypeVar("Step", bound=Callable[..., Any])


class ConfigurationError(MetaflowException):
    """Says in one line where the configuration is wrong and what would be right."""

    headline = "Kubernetes configuration"


class SharedConfiguration(FlowMutator):
    """Gives every step its @kubernetes, in each command that makes pods of the steps."""

    def add_to_package(self) -> Any:
        """Ship this package beside Metaflow's own code, wherever the flow's file is."""
        for path in PACKAGE.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path), str(path.relative_to(PACKAGE.parent))

    def pre_mutate(self, mutable_flow: Any) -> None:
        """Take a step's own @kubernetes off it, and keep what it says for `mutate`.

        Left there, it would send the step to the cluster in a laptop's `run` as well, and Metaflow
        would drop `--with kubernetes:…` on it (metaflow/decorators.py, _attach_decorators).
        """
        for _, step in mutable_flow.steps:
            function = step._my_step
            for decorator in [one for one in function.decorators if one.name == "kubernetes"]:
                function.decorators.remove(decorator)
                keep(function, ("@kubernetes", None, decorator))

    def mutate(self, mutable_flow: Any) -> None:
        """Attach the merged configuration; raise ConfigurationError for what cannot be honoured."""
        context = get_current_context(silent=True)
        command = context and getattr(context.find_root(), "saved_args", None)
        if not command:  # private to Metaflow: rather no run than one without its configuration
            raise ConfigurationError("this Metaflow does not tell which of its commands is running")
        if command[0] in OTHER_BACKENDS:
            raise ConfigurationError(f"{command[0]}: BaseFlow configures Kubernetes and Argo only")
        on_argo = command[0] == "argo-workflows" and "create" in command
        in_pod = "METAFLOW_KUBERNETES_WORKLOAD" in os.environ
        config = dict(mutable_flow.configs)["k8s"].to_dict()
        for name, step in mutable_flow.steps:
            function = step._my_step
            where = f"{Path(function.__code__.co_filename).name}: step {name}"
            if any(one.name == "batch" for one in function.decorators):
                raise ConfigurationError(f"{where}: @batch: BaseFlow configures @kubernetes only")
            by_with = [one for one in function.decorators if one.name == "kubernetes"]
            settings = configure(config, function, by_with, where)
            if on_argo and "executable" in settings:
                raise ConfigurationError(
                    f"{where}: executable: Argo Workflows runs `python` whatever this says; "
                    "put the right one first on the image's PATH"
                )
            if by_with or on_argo or in_pod or command[0] == "kubernetes":
                step.add_decorator(kubernetes, deco_kwargs=settings, duplicates=step.OVERRIDE)
            elif command[0] == "run" and any(by == "@kubernetes" for by, *_ in kept(function)):
                print(f"{where}: its @kubernetes waits for a cluster", file=sys.stderr)


def k8s(pool: str | None = None, **settings: Any) -> Callable[[Step], Step]:
    """Say what differs from k8s.toml on one step.

    `pool` names a table `[pools.NAME]` of k8s.toml, `settings` are parameters of @kubernetes in
    its own units (memory and disk in MB, shared_memory and tmpfs_size in MiB). Tables merge by
    key, lists append, and None takes a shared value away.
    """

    def decorate(step: Step) -> Step:
        keep(getattr(step, "_my_step", step), ("@k8s", pool, settings))
        return step

    return decorate


def keep(function: Any, said: tuple[str, str | None, Any]) -> None:
    function.k8s = [*kept(function), said]


def kept(function: Any) -> list[tuple[str, str | None, Any]]:
    return getattr(function, "k8s", [])


def configure(
    config: dict[str, Any], function: Any, by_with: Iterable[Any], where: str
) -> dict[str, Any]:
    """Give a step's settings: k8s.toml, its pool, its own values, `--with`, each over the last."""
    pools = config.get("pools", {})
    settings = {key: value for key, value in config.items() if key != "pools"}
    for _, pool, _ in kept(function):
        if pool is not None and pool not in pools:
            nearest = "".join(difflib.get_close_matches(str(pool), pools, 1, 0)) or "no pool"
            raise ConfigurationError(f"{where}: no [pools.{pool}] in k8s.toml; there is {nearest}")
        settings = merge(settings, pools.get(pool, {}))
    own: dict[str, Any] = {}
    for by, _, said in kept(function):
        said = said if by == "@k8s" else written(said)
        validate(said, schema("#/$defs/settings"), f"{where}: {by}")
        for key in own.keys() & said.keys():
            if own[key] != said[key] and not isinstance(said[key], (dict, list)):
                raise ConfigurationError(f"{where}: {key}: {own[key]} and {said[key]}; keep one")
        own.update(said)
        settings = merge(settings, said)
    for said in map(written, by_with):
        validate(said, schema("#/$defs/settings"), f"{where}: --with kubernetes")
        for key in said.keys() & set(NOT_BY_WITH):
            raise ConfigurationError(f"{where}: --with kubernetes:{key} is lost in pods; use @k8s")
        settings = merge(settings, said)
    paths = sorted(settings.get("persistent_volume_claims", {}).values())
    if len(set(paths)) < len(paths):
        raise ConfigurationError(f"{where}: persistent_volume_claims: one path twice in {paths}")
    return settings


def merge(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Lay `own` on `shared`: tables merge by key, lists append, None takes a value away."""
    merged = {key: dict(old) if isinstance(old, dict) else old for key, old in shared.items()}
    for key, value in own.items():
        old = merged.pop(key, None)
        if isinstance(value, dict):
            merged[key] = merge(old or {}, value)
        elif isinstance(value, list):
            merged[key] = [*(old or []), *(item for item in value if item not in (old or []))]
        elif value is not None:
            merged[key] = value
    return merged


def written(decorator: Any) -> dict[str, Any]:
    """Give only what somebody wrote in a @kubernetes or a `--with kubernetes:…`.

    Its `attributes`, and so Metaflow's public `decorator_specs`, hold all the defaults as well,
    and those would wipe out the shared values (metaflow/decorators.py, Decorator.__init__).
    """
    attributes, unpacked = unpack_delayed_evaluator(decorator.attributes)
    names = decorator._user_defined_attributes.union(unpacked)
    said = resolve_delayed_evaluator({name: attributes[name] for name in names}, to_dict=True)
    if isinstance(said.get("node_selector"), str):
        pairs = [pair.partition("=") for pair in said["node_selector"].split(",")]
        said["node_selector"] = {name: value for name, _, value in pairs}
    if isinstance(said.get("secrets"), str):
        said["secrets"] = [said["secrets"]]
    return said


def parse(text: str) -> dict[str, Any]:
    """Give the configuration in the text of a k8s.toml, or raise ConfigurationError."""
    import tomllib  # not in Python 3.9; a pod never gets here, Metaflow ships it the result

    chosen = re.search(r"--config[ =]k8s (\S+)", " ".join(sys.argv))
    where = chosen[1] if chosen else "k8s.toml"
    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: not TOML: {error}") from None
    validate(config, schema("#"), where)
    return config


@functools.cache
def schema(pointer: str) -> dict[str, Any]:
    """Give the part of k8s.schema.json at a JSON pointer."""
    root = json.loads((PACKAGE / "k8s.schema.json").read_text(encoding="utf-8"))
    return functools.reduce(lambda node, name: node[name], pointer.split("/")[1:], root)


def validate(value: Any, rule: dict[str, Any], where: str, key: str = "") -> None:
    """Raise ConfigurationError unless `value` fits `rule`, in the keywords of k8s.schema.json.

    A few lines of our own because a pod has no JSON Schema library.
    """
    rule = schema(rule["$ref"]) if "$ref" in rule else rule
    kinds = {"array": list, "boolean": bool, "integer": int, "number": (int, float)}
    kind: Any = {**kinds, "object": dict, "string": str}[rule["type"]]
    if (
        not isinstance(value, kind)
        or isinstance(value, bool) != (kind is bool)
        or value not in rule.get("enum", [value])
        or ("minimum" in rule and not value >= rule["minimum"])
        or ("maximum" in rule and not value <= rule["maximum"])
        or ("pattern" in rule and not re.search(rule["pattern"], value))
    ):
        found = json.dumps(value, default=str, ensure_ascii=False)
        raise ConfigurationError(f"{where}: {key} = {found}: {rule['description']}")
    for index, item in enumerate(value if kind is list else ()):
        validate(item, rule["items"], where, f"{key}[{index}]")
    for name, item in value.items() if kind is dict else ():
        path = f"{key}.{name}" if key else name
        known, other = rule.get("properties", {}), rule["additionalProperties"]
        if name not in known and other is False:
            nearest = difflib.get_close_matches(name, known, 1, 0)[0]
            raise ConfigurationError(f"{where}: no key {path}; did you mean {nearest}?")
        if item is not None:  # TOML has no null: only a step's own None, which takes a value away
            validate(item, known.get(name, other), where, path)


class BaseFlow(FlowSpec):
    """The base of every flow: its steps get k8s.toml, and a plain `run` stays on this machine."""

    k8s_config = Config("k8s", default=CONFIG, parser=parse, help="TOML file to use for k8s.toml")


SharedConfiguration()(BaseFlow)  # not as @SharedConfiguration(), whose type hides the class
