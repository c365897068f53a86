"""BaseFlow and k8s: the shared Kubernetes configuration, on every step of every flow.

It runs in pods too, whose images may be old: it needs Metaflow and Python 3.9, nothing else.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from metaflow import FlowMutator, FlowSpec, StepMutator, kubernetes
from metaflow.flowspec import FlowStateItems
from metaflow.user_configs.config_parameters import ConfigValue
from metaflow.util import get_username

from .settings import (
    CONFIG_IN_PODS,
    LOCAL_RUN,
    PACKAGE,
    ConfigurationError,
    Override,
    current_command,
    is_backend,
    read_config,
    step_settings,
    without_pod,
)

Step = TypeVar("Step", bound=Callable[..., Any])


class SharedConfiguration(FlowMutator):
    """Gives every step its @kubernetes, in each command that makes pods of the steps."""

    package_suffixes: list[str] = []  # until `mutate`, which `spin --skip-decorators` leaves out

    def add_to_package(self) -> Any:
        """Ship this package beside Metaflow's own code, wherever the flow's file is.

        Of its files, the Python ones and the schema, and those with a suffix that
        METAFLOW_DEFAULT_PACKAGE_SUFFIXES or --package-suffixes adds; never hidden ones. And the
        configuration, as JSON, which Python 3.9 can read.
        """
        suffixes = (".py", ".schema.json", *self.package_suffixes)
        for path in PACKAGE.rglob("*"):
            parts = path.relative_to(PACKAGE.parent).parts
            hidden = any(part.startswith(".") for part in parts)
            wanted = path.name.endswith(suffixes) and path != PACKAGE / CONFIG_IN_PODS
            if path.is_file() and wanted and not hidden:
                yield str(path), str(Path(*parts))
        self.folder = tempfile.TemporaryDirectory()  # until this process ends
        shipped = Path(self.folder.name, CONFIG_IN_PODS)
        shipped.write_text(json.dumps(read_config()), encoding="utf-8")
        yield str(shipped), f"{PACKAGE.name}/{CONFIG_IN_PODS}"

    def pre_mutate(self, mutable_flow: Any) -> None:
        """Add StepConfiguration to each step, and put this mutator first, to `mutate` first."""
        for name, value in vars(mutable_flow._flow_cls).items():
            attributes = getattr(value, "__dict__", ())
            if "k8s_overrides" in attributes and "is_step" not in attributes:
                raise ConfigurationError(f"{name} has @k8s but no @step: write @step below @k8s")
        if hasattr(mutable_flow._flow_cls, "k8s_config"):
            raise ConfigurationError("k8s_config is BaseFlow's: give this attribute another name")
        mutators = mutable_flow._flow_cls._flow_state[FlowStateItems["FLOW_MUTATORS"]]
        if move_to_end(self, mutators):
            for _, step in mutable_flow.steps:
                step.add_decorator(StepConfiguration)
            mutators.insert(0, mutators.pop())

    def mutate(self, mutable_flow: Any) -> None:
        """Note the command and `--with`; put back the @kubernetes that `pre_mutate` set aside.

        It is called again where an extension initializes a flow's decorators a second time.
        """
        command = current_command()
        self.package_suffixes = command.package_suffixes
        if command.name in ("run", "resume", "spin"):
            os.environ[LOCAL_RUN] = "1"  # a flow that a pod starts runs its steps in that pod
        mutable_flow._flow_cls.k8s_config = ConfigValue(read_config())
        for _, step in mutable_flow.steps:
            function = step._my_step
            function.config_decorators.sort(key=lambda each: isinstance(each, StepConfiguration))
            configuration = function.config_decorators[-1]
            configuration.command = command
            if configuration.attached not in function.decorators:
                configuration.of_command = take_kubernetes(function)
                function.decorators += configuration.own


class StepConfiguration(StepMutator):
    """Replaces a step's @kubernetes by one with the merged settings, after a team's own mutators.

    Those see the step's own @kubernetes, and may change it, as on a plain FlowSpec.
    """

    # Metaflow mutates once, and too early in a flow with @pypi_base: this lets it mutate again.
    _mutate_called = property(lambda _: False, lambda *_: None)
    command: Any = None
    of_command: list[Any] = []  # by `--with`, or by a command that makes pods
    own: list[Any] = []
    attached: Any = None

    def pre_mutate(self, mutable_step: Any) -> None:
        """Set the step's @kubernetes aside: with it, Metaflow would drop `--with kubernetes:…`.

        It attaches that before `mutate` (_attach_decorators_to_step in metaflow/decorators.py).
        """
        function = mutable_step._my_step
        if not issubclass(flow := mutable_step.flow._flow_cls, BaseFlow):
            raise ConfigurationError(f"@k8s needs BaseFlow: write class {flow.__name__}(BaseFlow)")
        if move_to_end(self, function.config_decorators):
            self.own = take_kubernetes(function)

    def mutate(self, mutable_step: Any) -> None:
        """Attach @kubernetes with the merged settings, where the command needs it.

        It is called again when Metaflow has added a decorator (_process_late_attached_decorator).
        Raise ConfigurationError for a setting that would have no effect.
        """
        function = mutable_step._my_step
        if not self.command:
            self.own = take_kubernetes(function) or self.own
            return
        where = f"{Path(function.__code__.co_filename).name}: step {function.__name__}"
        for name in (each.name for each in function.decorators if is_backend(each)):
            raise ConfigurationError(f"{where}: remove @{name}: BaseFlow configures @kubernetes")
        if [each for each in function.decorators if each.name == "kubernetes"] == [self.attached]:
            return  # as it is, because other decorators may have written into it
        found = [each for each in take_kubernetes(function) if each is not self.attached]
        if found and not (found[0].statically_defined or found[0].inserted_by):
            self.of_command = found
        else:
            self.own = found
        overrides = [Override("@kubernetes", None, decorator) for decorator in self.own]
        overrides += getattr(function, "k8s_overrides", [])
        overrides += self.command.options(self.of_command)
        settings = step_settings(read_config(), overrides, where)
        if self.command.creates_on_argo and "executable" in settings:
            raise ConfigurationError(
                f"{where}: executable: Argo Workflows runs `python` whatever this says; "
                "put the right one first on the image's PATH"
            )
        if self.of_command or self.command.needs_kubernetes:
            mutable_step.add_decorator(kubernetes, deco_kwargs=without_pod(settings, self.command))
            self.attached = function.decorators[-1]
        elif self.command.name == "run" and self.own:
            print(f"{where}: @kubernetes is ignored in a local run", file=sys.stderr)


class BaseFlow(FlowSpec):
    """The base of every flow: its steps get k8s.toml, and a plain `run` stays on this machine."""

    k8s_config: Any  # what is in k8s.toml, for steps to read; an artifact of each run

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a flow define `__init__(self)`, though Metaflow also calls it with use_cli=False."""
        super().__init_subclass__(**options)
        own = cls.__init__
        if "use_cli" not in inspect.signature(own).parameters:

            @functools.wraps(own)
            def initialize(self: Any, use_cli: bool = True) -> None:
                self.__dict__.setdefault("_use_cli", use_cli)
                own(self)

            cls.__init__ = initialize  # type: ignore

    def __init__(self, use_cli: bool = True) -> None:
        use_cli = self.__dict__.pop("_use_cli", use_cli)
        anonymous = not (get_username() or os.environ.get("METAFLOW_PRODUCTION_TOKEN"))
        if use_cli and anonymous and "--help" not in sys.argv:  # Metaflow stops without a remedy
            sys.exit("$USER is not set, or is root: type export METAFLOW_USER=your-name")
        super().__init__(use_cli)


SharedConfiguration()(BaseFlow)  # not as @SharedConfiguration(), whose type hides the class


def k8s(pool: Any = None, **settings: Any) -> Callable[[Step], Step]:
    """Override k8s.toml on one step.

    `pool` names a table `[pools.NAME]` of k8s.toml. `settings` are parameters of @kubernetes in its
    own units: memory and disk in MB, shared_memory and tmpfs_size in MiB. Tables merge by key,
    lists append, and None removes a shared value.
    """

    def decorate(step: Step) -> Step:
        function: Any = getattr(step, "_my_step", step)
        earlier = getattr(function, "k8s_overrides", [])  # `k8s check` reads it too
        function.k8s_overrides = [*earlier, Override("@k8s", pool, settings)]
        if hasattr(function, "is_step") and not earlier:
            StepConfiguration()(function)  # which finds out whether the flow derives from BaseFlow
        return step

    if getattr(getattr(pool, "_my_step", pool), "is_step", None) is True:
        return pool  # type: ignore  # @k8s without parentheses: Metaflow would drop the step
    return decorate


def move_to_end(mutator: Any, mutators: list[Any]) -> bool:
    """Return whether a mutator is last in its list; if not, append it, to be called again.

    Metaflow is iterating over the list, and other mutators may still append more.
    """
    if mutators[-1] is mutator:
        mutators[:] = [*(each for each in mutators if each is not mutator), mutator]
        return True
    mutators.append(mutator)
    return False


def take_kubernetes(function: Any) -> list[Any]:
    """Return the @kubernetes decorators of a step, and take them off it."""
    found = [decorator for decorator in function.decorators if decorator.name == "kubernetes"]
    # in place, because the flow's graph has the same list
    function.decorators[:] = [each for each in function.decorators if each not in found]
    return found
