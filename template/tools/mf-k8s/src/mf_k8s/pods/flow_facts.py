"""What the code of a flow and its steps says, as far as it shapes their pods."""

from typing import Any, NotRequired, TypedDict


class Override(TypedDict):
    """What one @k8s or @kubernetes of a step says, or what something else lays over it."""

    pool: str | None
    values: dict[str, Any]
    source: NotRequired[str]  # of what does not stand on the step: an option, another decorator


class StepFacts(TypedDict):
    """What a step's code says."""

    overrides: list[Override]
    resources: dict[str, Any]  # of @resources: cpu, memory and disk (MB), gpu, shared_memory (MiB)
    timeout: int | None  # of @timeout, in seconds
    parallel: bool
    next: list[str]
    foreach: NotRequired[str | None]  # the attribute that it makes a task of each item of


class FlowFacts(TypedDict):
    """What a flow's code says."""

    name: str
    derives: bool  # from BaseFlow
    start: str
    hooks: dict[str, str | None]  # the image of each pod of @exit_hook
    steps: dict[str, StepFacts]
    packages: dict[str, list[str] | None]  # of each step's @pypi or @conda; None: the image's
    sent_modules: list[str]  # that pods get with the code, by their first names
    # With `batch`: what AWS Batch gives each step, as parameters of @kubernetes.
    batch: NotRequired[dict[str, dict[str, Any]]]
