"""Reads what the code of a flow says: the facts that compile_flows returns.

Loaded by compile_worker, whose interpreter may be another revision's: it imports Metaflow only.
"""

from typing import Any

OVERRIDES = "k8s_overrides"  # the attribute of a step's function in which base.py's k8s() records


def step_facts(flow: Any, name: str, written: list[tuple[str | None, Any]]) -> dict[str, Any]:
    """Return a step's StepFacts."""
    node = flow._graph[name]
    decorators = {decorator.name: decorator for decorator in node.decorators}
    return {
        "overrides": [{"pool": pool, "values": explicit_values(by)} for pool, by in written],
        "resources": decorators["resources"].attributes if "resources" in decorators else {},
        "timeout": decorators["timeout"].secs if "timeout" in decorators else None,
        "parallel": node.parallel_step,
        "next": node.out_funcs,
    }


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


def written_overrides(step: Any) -> list[tuple[str | None, Any]]:
    """Return the pool of each @k8s and @kubernetes of a step, with its values or decorator."""
    by_k8s = [(pool, values) for _, pool, values in getattr(step, OVERRIDES, ())]
    return by_k8s + [
        (None, decorator) for decorator in step.decorators if decorator.name == "kubernetes"
    ]


def explicit_values(values_or_decorator: Any) -> dict[str, Any]:
    """Return what is written in a @k8s or @kubernetes, with the values of the flow's Configs."""
    from metaflow.user_configs import config_parameters as configs

    values = getattr(values_or_decorator, "attributes", values_or_decorator)
    values, unpacked = configs.unpack_delayed_evaluator(values)
    if not isinstance(values_or_decorator, dict):  # the others are Metaflow's defaults
        names = values_or_decorator._user_defined_attributes.union(unpacked)
        values = {name: values[name] for name in names}
    return dict(configs.resolve_delayed_evaluator(values, to_dict=True))
