"""BaseFlow and k8s: the shared Kubernetes configuration, on every step of every flow.

This runs on laptops, in CI and inside pods, whose images may be old: it needs the standard
library, Metaflow and Python 3.9, nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from metaflow import Config, FlowMutator, FlowSpec, kubernetes
from metaflow._vendor.click import get_current_context  # type: ignore  # not in its stubs
from metaflow.user_configs.config_parameters import (
    resolve_delayed_evaluator,
    unpack_delayed_evaluator,
)

from .settings import CONFIG, PACKAGE, ConfigurationError, merge, parse, schema, validate

# Metaflow reads these in the pod too, and a pod does not know what `run --with` said.
NOT_BY_WITH = ("hostname_resolution_timeout", "tmpfs_path", "tmpfs_tempdir")
OTHER_BACKENDS = ("airflow", "batch", "step-functions")

Step = TypeVar("Step", bound=Callable[..., Any])


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

    if hasattr(pool, "is_step"):  # @k8s without parentheses; Metaflow would drop the step
        return pool  # type: ignore
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
            there = ", ".join(pools) or "no pool"
            raise ConfigurationError(f"{where}: no [pools.{pool}] in k8s.toml; there is {there}")
        settings = merge(settings, pools.get(pool, {}))
    own: dict[str, Any] = {}
    for by, _, said in kept(function):
        said = written(said)
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


def written(said: Any) -> dict[str, Any]:
    """Give only what somebody wrote in a @k8s, a @kubernetes or a `--with kubernetes:…`.

    A decorator's `attributes`, and so Metaflow's public `decorator_specs`, hold all the defaults as
    well, and those would wipe out the shared values (metaflow/decorators.py, Decorator.__init__).
    """
    values = said if isinstance(said, dict) else said.attributes
    names = list(values if isinstance(said, dict) else said._user_defined_attributes)
    values, unpacked = unpack_delayed_evaluator(values)
    values = {name: values[name] for name in [*names, *unpacked] if name in values}
    values = resolve_delayed_evaluator(values, to_dict=True)
    if isinstance(values.get("node_selector"), str):
        pairs = [pair.partition("=") for pair in values["node_selector"].split(",")]
        values["node_selector"] = {name: value for name, _, value in pairs}
    if isinstance(values.get("secrets"), str):
        values["secrets"] = [values["secrets"]]
    return values


class BaseFlow(FlowSpec):
    """The base of every flow: its steps get k8s.toml, and a plain `run` stays on this machine."""

    k8s_config = Config("k8s", default=CONFIG, parser=parse, help="TOML file to use for k8s.toml")


SharedConfiguration()(BaseFlow)  # not as @SharedConfiguration(), whose type hides the class
