"""The pods of flows before and after adoption, and how they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..metaflow.compile_flows import CompiledFile
from ..plan.differences import Change, differences, planned_settings
from ..pods.configure_template import configure_template
from ..pods.expected_pods import FROM_FIRST_STEP, PLAIN_STEP, expected_pods, step_pod
from ..pods.flow_facts import FlowFacts
from ..pods.lay_pod import step_pods
from ..pods.metaflow_defaults import PYTHON_IMAGE
from ..pods.read_pods import WORKFLOW, normalized
from ..project.k8s_toml import Config
from ..project.merge_settings import shared_settings
from ..project.project import shown_path

# Settings of which AWS Batch has the same; the others are as of a step without a decorator.
OF_BATCH = (
    *("image", "cpu", "memory", "gpu", "extended_resources", "shared_memory", "use_tmpfs"),
    *("tmpfs_tempdir", "security_context"),
)


@dataclass(frozen=True)
class Proof:
    """What an adoption does to pods."""

    configured: list[Change]  # the old value was Metaflow's default or missing, or is still there
    changed: list[Change]  # somebody had asked for the old value
    unchanged: dict[str, list[str]]  # the other pods, by flow


def pods_of(result: CompiledFile, config: Config) -> dict[str, Any]:
    """Return a flow's planned settings; of a flow of BaseFlow those that `deploy` writes."""
    assert result.flow and result.template
    template, expected = result.template, dict[str, Any]()
    if result.flow["derives"]:
        workflow, own = config.get("workflow", {}), step_pods(config, result.flow)
        template = configure_template(template, shared_settings(config), workflow, own)
        expected = expected_pods(config, result.flow)
    return with_batch(planned_settings(template, result.flow["steps"], expected), result.flow)


def with_batch(pods: dict[str, Any], flow: FlowFacts) -> dict[str, Any]:
    """Return a flow's pods as if Kubernetes gave its steps what AWS Batch does."""
    changed = dict(pods)
    for name, pod in pods.items():
        step, _, job = name.partition(", ")[0].partition("/")
        values = flow.get("batch", {}).get(step)
        if values is None or job == "creator":
            continue
        batch = step_pod(values, {**flow["steps"][step], "resources": {}})
        settings = (*OF_BATCH, "disk") if "disk" in values else OF_BATCH
        rest = {key: value for key, value in pod.items() if key not in settings}
        changed[name] = rest | {key: batch[key] for key in settings if key in batch}
    return changed


def prove(
    before: Sequence[CompiledFile], after: Sequence[CompiledFile], old: Config, new: Config
) -> Proof:
    """Return how the pods of flows differ; `old` and `new` are what is in k8s.toml.

    The results are of the same files, in one order.
    """
    facts: dict[str, FlowFacts] = {}
    pods_before, pods_after = {}, {}
    for earlier, later in zip(before, after, strict=True):
        if earlier.flow and later.flow:
            name = earlier.flow["name"]
            if name in facts and facts[name] != earlier.flow:  # another file has that name, too
                name = f"{name} ({shown_path(earlier.file)})"
            facts[name] = earlier.flow
            pods_before[name], pods_after[name] = pods_of(earlier, old), pods_of(later, new)
    plan = differences(pods_before, pods_after, "before")
    gained = [change for change in plan["changes"] if only_adds(change, facts[change["flow"]])]
    changed = [change for change in plan["changes"] if change not in gained]
    return Proof(gained, changed, plan["unchanged"])


def only_adds(change: Change, flow: FlowFacts) -> bool:
    """Return whether a change only adds: it takes away nothing that the flow's code had asked for.

    That is so if the old value was Metaflow's default or missing, or if the new one contains it.
    A flow that derives from BaseFlow had asked for all that it has.
    """
    setting, old, new = change["setting"], change["old"], change["new"]
    if flow["derives"] or new is None:
        return False
    if change["pod"] == WORKFLOW:  # what k8s.toml has for the whole workflow
        return old is None
    if isinstance(old, dict) and isinstance(new, dict) and setting != "gpu":
        return old.items() <= new.items()
    if isinstance(old, list) and isinstance(new, list):
        return all(item in new for item in old)
    step = flow["steps"].get(change["pod"].partition("/")[0])
    if "batch" in flow and not step:  # AWS Batch has no such pod
        return True
    plain_pod = step_pod({}, PLAIN_STEP) if step else normalized({"image": PYTHON_IMAGE})
    overridden: set[str] = set()
    if step:
        overridden = {key for override in step["overrides"] for key in override["values"]}
        overridden |= {key for key, value in step["resources"].items() if value is not None}
    elif change["pod"] in flow["hooks"] or setting in FROM_FIRST_STEP:
        first = flow["steps"][flow["start"]]["overrides"]
        overridden = {key for override in first for key in override["values"]}
    return setting not in overridden and old == plain_pod.get(setting)
