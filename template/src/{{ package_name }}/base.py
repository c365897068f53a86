"""BaseFlow and k8s: the shared Kubernetes configuration, on every step of every flow.

This runs on laptops, in CI and inside pods, whose images may be old: it needs the standard
library, Metaflow and Python 3.9, nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from metaflow import Config, FlowMutator, FlowSpec, kubernetes
from metaflow._vendor.click import get_current_context  # type: ignore  # not in its stubs
from metaflow.user_configs.config_parameters import (
    resolve_delayed_evaluator,
    unpack_delayed_evaluator,
)

from .settings import CONFIG, PACKAGE, SCHEMA, ConfigurationError, merge, parse, schema, validate

# Metaflow reads these in the pod too, and a pod does not know the options of `run --with`.
LOST_BY_WITH = ("hostname_resolution_timeout", "tmpfs_path", "tmpfs_tempdir")
LOCAL_RUN = "K8S_LOCAL_RUN"  # set for the steps that such a run starts as processes
OTHER_BACKENDS = ("airflow", "batch", "step-functions")

Step = TypeVar("Step", bound=Callable[..., Any])


class Override(NamedTuple):
    """What one decorator on a step overrides."""

    source: str  # @k8s or @kubernetes
    pool: str | None
    values: Any  # a dictionary of @k8s, or the decorator of @kubernetes


class Command(NamedTuple):
    """What Metaflow was asked to do."""

    name: str
    creates_on_argo: bool
    package_suffixes: str  # of the files beside a flow that travel with it

    @property
    def needs_kubernetes(self) -> bool:
        """Return whether steps must carry @kubernetes: it makes their pods, or runs in one."""
        in_pod = "METAFLOW_KUBERNETES_WORKLOAD" in os.environ and LOCAL_RUN not in os.environ
        return (
            self.creates_on_argo
            or self.name == "kubernetes"
            or (in_pod and self.name in ("init", "step"))
        )


class SharedConfiguration(FlowMutator):
    """Gives every step its @kubernetes, in each command that makes pods of the steps."""

    def add_to_package(self) -> Any:
        """Ship this package beside Metaflow's own code, wherever the flow's file is.

        Of its files, the Python ones and the schema, and those with a suffix that
        METAFLOW_DEFAULT_PACKAGE_SUFFIXES or --package-suffixes adds; never hidden ones.
        """
        for path in PACKAGE.rglob("*"):
            hidden = any(part.startswith(".") for part in path.relative_to(PACKAGE).parts)
            if (
                path.is_file()
                and not hidden
                and path.name.endswith((".py", SCHEMA, *self.suffixes))
            ):
                yield str(path), str(path.relative_to(PACKAGE.parent))

    def pre_mutate(self, mutable_flow: Any) -> None:
        """Take a step's own @kubernetes off it, and record what it says for `mutate`.

        Left there, it would send the step to the cluster in a laptop's `run` as well, and Metaflow
        would drop `--with kubernetes:…` on it (metaflow/decorators.py, _attach_decorators).
        """
        for _, step in mutable_flow.steps:
            function = step._my_step
            for decorator in named_kubernetes(function):
                function.decorators.remove(decorator)
                record_override(function, Override("@kubernetes", None, decorator))

    def mutate(self, mutable_flow: Any) -> None:
        """Attach the merged configuration; raise ConfigurationError for what cannot be honoured."""
        command = current_command()
        if command.name in ("run", "resume", "spin"):
            os.environ[LOCAL_RUN] = "1"  # a pod that runs another flow runs its steps in itself
        self.suffixes = command.package_suffixes.split(",")
        config = dict(mutable_flow.configs)["k8s"].to_dict()
        for name, step in mutable_flow.steps:
            function = step._my_step
            where = f"{Path(function.__code__.co_filename).name}: step {name}"
            if any(decorator.name == "batch" for decorator in function.decorators):
                raise ConfigurationError(f"{where}: @batch: BaseFlow configures @kubernetes only")
            with_options = named_kubernetes(function)  # of --with: its own are taken off
            settings = step_settings(config, function, with_options, where)
            if command.creates_on_argo and "executable" in settings:
                raise ConfigurationError(
                    f"{where}: executable: Argo Workflows runs `python` whatever this says; "
                    "put the right one first on the image's PATH"
                )
            if with_options or command.needs_kubernetes:
                step.add_decorator(kubernetes, deco_kwargs=settings, duplicates=step.OVERRIDE)
            elif command.name == "run" and any(
                override.source == "@kubernetes" for override in overrides_of(function)
            ):
                print(f"{where}: @kubernetes is ignored in a local run", file=sys.stderr)


class BaseFlow(FlowSpec):
    """The base of every flow: its steps get k8s.toml, and a plain `run` stays on this machine."""

    k8s_config = Config("k8s", default=CONFIG, parser=parse, help="TOML file to use for k8s.toml")


SharedConfiguration()(BaseFlow)  # not as @SharedConfiguration(), whose type hides the class


def k8s(pool: str | None = None, **settings: Any) -> Callable[[Step], Step]:
    """Override k8s.toml on one step.

    `pool` names a table `[pools.NAME]` of k8s.toml. `settings` are parameters of @kubernetes in its
    own units: memory and disk in MB, shared_memory and tmpfs_size in MiB. Tables merge by key,
    lists append, and None removes a shared value.
    """

    def decorate(step: Step) -> Step:
        record_override(getattr(step, "_my_step", step), Override("@k8s", pool, settings))
        return step

    if hasattr(pool, "is_step"):  # @k8s without parentheses; Metaflow would drop the step
        return pool  # type: ignore
    return decorate


def record_override(function: Any, override: Override) -> None:
    function.k8s_overrides = [*overrides_of(function), override]  # `k8s check` reads it too


def overrides_of(function: Any) -> list[Override]:
    return getattr(function, "k8s_overrides", [])


def named_kubernetes(function: Any) -> list[Any]:
    """Return the @kubernetes decorators that are on a step now."""
    return [decorator for decorator in function.decorators if decorator.name == "kubernetes"]


def current_command() -> Command:
    """Return what Metaflow was asked to do; raise ConfigurationError for another back end.

    Its arguments are private to Metaflow. If it no longer keeps them, rather no run than one
    without its configuration.
    """
    context = get_current_context(silent=True)
    arguments = context and getattr(context.find_root(), "saved_args", None)
    if not arguments:
        raise ConfigurationError("this version of Metaflow hides which of its commands is running")
    name = arguments[0]
    if name in OTHER_BACKENDS:
        raise ConfigurationError(f"{name}: BaseFlow configures Kubernetes and Argo only")
    creates_on_argo = name == "argo-workflows" and "create" in arguments
    return Command(name, creates_on_argo, context.find_root().params["package_suffixes"])


def step_settings(
    config: dict[str, Any], function: Any, with_options: Iterable[Any], where: str
) -> dict[str, Any]:
    """Return a step's settings: k8s.toml, its pool, its own values, `--with`, each over the last.

    Raise ConfigurationError, which begins with `where`, for a value that is not valid.
    """
    pools = config.get("pools", {})
    settings = {key: value for key, value in config.items() if key != "pools"}
    for override in overrides_of(function):
        if override.pool is not None and override.pool not in pools:
            known = f"its pools are {', '.join(pools)}" if pools else "k8s.toml has no pools"
            raise ConfigurationError(f"{where}: no [pools.{override.pool}] in k8s.toml; {known}")
        settings = merge(settings, pools.get(override.pool, {}))
    own: dict[str, Any] = {}
    for override in overrides_of(function):
        values = explicit_values(override.values)
        validate(values, schema("#/$defs/settings"), f"{where}: {override.source}")
        for key in own.keys() & values.keys():
            if own[key] != values[key] and not isinstance(values[key], (dict, list)):
                raise ConfigurationError(
                    f"{where}: {key} is {own[key]} and {values[key]}; keep one"
                )
        own.update(values)
        settings = merge(settings, values)
    for values in map(explicit_values, with_options):
        validate(values, schema("#/$defs/settings"), f"{where}: --with kubernetes")
        for key in values.keys() & set(LOST_BY_WITH):
            raise ConfigurationError(f"{where}: --with kubernetes:{key} is lost in pods; use @k8s")
        settings = merge(settings, values)
    paths = sorted(settings.get("persistent_volume_claims", {}).values())
    if len(set(paths)) < len(paths):
        raise ConfigurationError(f"{where}: persistent_volume_claims: one path twice in {paths}")
    return settings


def explicit_values(values_or_decorator: Any) -> dict[str, Any]:
    """Return only what is written in a @k8s, a @kubernetes or a `--with kubernetes:…`.

    A decorator's `attributes`, and so Metaflow's public `decorator_specs`, hold all the defaults as
    well, and those would wipe out the shared values (metaflow/decorators.py, Decorator.__init__).
    """
    if isinstance(values_or_decorator, dict):
        values, names = values_or_decorator, list(values_or_decorator)
    else:
        values = values_or_decorator.attributes
        names = list(values_or_decorator._user_defined_attributes)
    values, unpacked = unpack_delayed_evaluator(values)
    values = {name: values[name] for name in [*names, *unpacked] if name in values}
    values = resolve_delayed_evaluator(values, to_dict=True)
    if isinstance(values.get("node_selector"), str):
        pairs = [pair.partition("=") for pair in values["node_selector"].split(",")]
        values["node_selector"] = {name: value for name, _, value in pairs}
    if isinstance(values.get("secrets"), str):
        values["secrets"] = [values["secrets"]]
    return values
