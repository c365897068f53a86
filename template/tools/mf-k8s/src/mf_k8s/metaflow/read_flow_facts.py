"""Reads what the code of a flow says: the facts that compile_flows returns.

Loaded by compile_worker, whose interpreter may be another revision's: it imports Metaflow only.
"""

import copy
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

BASE_FLOW = ".StepConfiguration"  # the mutator of base.py that attaches @kubernetes
OVERRIDES = "k8s_overrides"  # the attribute of a step's function in which base.py's k8s() records
AS_WRITTEN = "k8s_as_written"  # of a @kubernetes: its attributes before Metaflow fills in defaults

PACKAGES = ("libraries", "packages", "pip_packages")  # attributes of a @conda or @pypi


def step_facts(flow: Any, name: str, written: list[tuple[str | None, Any]]) -> dict[str, Any]:
    """Return a step's StepFacts."""
    node = flow._graph[name]
    decorators = {decorator.name: decorator for decorator in node.decorators}
    return {
        "overrides": [
            {"pool": resolved(pool), "values": explicit_values(values_or_decorator)}
            for pool, values_or_decorator in written
        ],
        "resources": decorators["resources"].attributes if "resources" in decorators else {},
        "timeout": decorators["timeout"].secs if "timeout" in decorators else None,
        "parallel": node.parallel_step,
        "next": node.out_funcs,
        "foreach": node.foreach_param,
    }


def own_packages(node: Any) -> list[str] | None:
    """Return the packages of a step's @pypi and @conda, or None for a step that has the image's.

    With --environment=pypi Metaflow gives a @conda to each step, which may have no packages. The
    @conda of an extension may have other attributes.
    """
    own = [decorator for decorator in node.decorators if decorator.name in ("conda", "pypi")]
    if not own or any(str(each.attributes.get("disabled")).lower() == "true" for each in own):
        return None
    tables = [each.attributes.get(key) or () for each in own for key in PACKAGES]
    return sorted({name for table in tables for name in table})


def modules_in(packages: Iterable[bytes]) -> list[str]:
    """Return the first names of the modules in code packages."""
    names: set[str] = set()
    for content in packages:
        names.update(tarfile.open(fileobj=io.BytesIO(content)).getnames())
    first = {name.removeprefix(".mf_code/").partition("/")[0] for name in names}
    return sorted(name.removesuffix(".py") for name in first if not name.startswith("."))


def hook_images(flow: Any) -> dict[str, str | None]:
    """Return the image of each pod of @exit_hook, None for the default.

    They are named as by _lifecycle_hook_from_deco in metaflow/plugins/argo/argo_workflows.py.
    """
    return {
        f"{outcome}-{function.replace('_', '-')}": hook.attributes["options"].get("image")
        for hook in flow._flow_decorators.get("exit_hook", ())
        for outcome in ("success", "error")
        for function in getattr(hook, f"{outcome}_hooks")
    }


def watch_overrides(flow: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Return each step's overrides, in a dictionary that fills while the flow is compiled.

    An override is a pool, and the values of a @k8s or the decorator of a @kubernetes. BaseFlow's
    mutator, a step's last, replaces @kubernetes, so a step's overrides are read again just before
    it: the team's own mutators may have changed them.
    """
    from metaflow import decorators

    written = {node.name: overrides_on(getattr(flow, node.name)) for node in flow._graph}
    run_mutator = decorators._run_step_mutator

    def note(cls: Any, step: Any, mutator: Any, message: str) -> Any:
        on_step = [decorator for decorator in step.decorators if decorator.name == "kubernetes"]
        if mutator.decorator_name.endswith(BASE_FLOW):
            makers = [maker for of_step in on_step for maker in of_step.inserted_by or ()]
            if not any(maker.endswith(BASE_FLOW) for maker in makers):
                written[step.name] = overrides_on(step)
        return run_mutator(cls, step, mutator, message)

    decorators._run_step_mutator = note
    return written


def record_written_attributes() -> None:
    """Note the attributes of each @kubernetes before Metaflow changes them.

    On a plain FlowSpec that decorator makes the pod: Metaflow gives it an image, and the sizes of
    @resources. BaseFlow takes it off its step.
    """
    from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator

    initialize = KubernetesDecorator.init

    def init(decorator: Any) -> None:
        setattr(decorator, AS_WRITTEN, dict(decorator.attributes))
        initialize(decorator)

    KubernetesDecorator.init = init


def watch_other_decorators() -> dict[str, dict[str, dict[str, Any]]]:
    """Return what other decorators write into @kubernetes, by step and by their names.

    The dictionary fills while the flow is compiled. @deepspeed, for one, writes a port.
    """
    from metaflow.plugins import STEP_DECORATORS

    written: dict[str, dict[str, dict[str, Any]]] = {}

    def watched(initialize: Any) -> Any:
        def step_init(
            writer: Any, flow: Any, graph: Any, step: str, decos: Any, *rest: Any, **named: Any
        ) -> None:
            found = [each.attributes for each in decos if each.name == "kubernetes"]
            before = copy.deepcopy(found)
            initialize(writer, flow, graph, step, decos, *rest, **named)
            for old, new in zip(before, found, strict=True):
                if values := {key: value for key, value in new.items() if value != old.get(key)}:
                    written.setdefault(step, {}).setdefault(writer.name, {}).update(values)

        return step_init

    for kind in STEP_DECORATORS:
        if kind.name != "kubernetes" and "step_init" in vars(kind):
            kind.step_init = watched(kind.step_init)
    return written


def with_options(options: Sequence[str]) -> Iterator[str]:
    """Yield what each `--with` of a command line gives to every step, like `kubernetes:cpu=2`."""
    for index, option in enumerate(options):
        if option == "--with":
            yield from options[index + 1 : index + 2]
        elif option.startswith("--with="):
            yield option.removeprefix("--with=")


def overrides_by(decospecs: Iterable[str], source: str) -> list[Any]:
    """Return the overrides in the `kubernetes:…` among decorators that `source` gives to steps.

    Metaflow attaches the first and ignores the others; BaseFlow lays the first over the others.
    """
    named = [spec.partition(":") for spec in decospecs]
    texts = [text for name, _, text in named if name == "kubernetes"]
    if not texts:
        return []
    from metaflow.decorators import StepDecorator

    read = StepDecorator.extract_args_kwargs_from_decorator_spec
    values = [read(text)[1] for text in texts]
    return [{"pool": None, "values": each, "source": source} for each in [*values, *values[:1]]]


def overrides_on(step: Any) -> list[tuple[Any, Any]]:
    by_k8s = [(pool, values) for _, pool, values in getattr(step, OVERRIDES, ())]
    return by_k8s + [
        (None, decorator) for decorator in step.decorators if decorator.name == "kubernetes"
    ]


def resolved(value: Any) -> Any:
    """Return a value that a Config may hold."""
    from metaflow.user_configs.config_parameters import resolve_delayed_evaluator

    return resolve_delayed_evaluator(value)


def explicit_values(values_or_decorator: Any) -> dict[str, Any]:
    """Return what is written in a @k8s or @kubernetes, with the values of the flow's Configs."""
    from metaflow.user_configs import config_parameters as configs

    values = values_or_decorator
    if not isinstance(values, dict):
        values = attributes(values)
    values, unpacked = configs.unpack_delayed_evaluator(values)
    if not isinstance(values_or_decorator, dict):  # the others are Metaflow's defaults
        names = given_names(values_or_decorator).union(unpacked)
        values = {name: values[name] for name in names if name in values}  # not `**config`
    return dict(configs.resolve_delayed_evaluator(values, to_dict=True))


def attributes(decorator: Any) -> dict[str, Any]:
    found: dict[str, Any] = getattr(decorator, AS_WRITTEN, decorator.attributes)
    return found


def given_names(decorator: Any) -> set[str]:
    """Return which attributes of a decorator are not Metaflow's defaults.

    A mutator may have given all of them, or changed some without Metaflow's notice.
    """
    defaults = decorator.defaults
    changed = {key for key, value in attributes(decorator).items() if value != defaults.get(key)}
    explicit: set[str] = decorator._user_defined_attributes
    return changed if explicit >= defaults.keys() else explicit | changed
