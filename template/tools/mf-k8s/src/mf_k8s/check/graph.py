"""Makes the graph of a checked flow: each step with what its pod has, and what of it is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..pods.flow_facts import StepFacts
from ..show.mermaid import Box, Graph
from ..show.tables import as_text
from .report import Comparison, Report

SIZES = ("cpu", "memory", "gpu")


def graph_of(report: Report) -> Graph:
    """Return the graph of a report's flow, without helper pods."""
    return {
        step: checked_box(step, step_pods(report.pods, step), facts)
        for step, facts in report.steps.items()
    }


def checked_box(step: str, pods: Sequence[Mapping[str, Comparison]], facts: StepFacts) -> Box:
    """Return the box of a step; the sizes are those of its first pod."""
    found = dict(pods[0]) if pods else {}
    for pod in pods[1:]:  # the other of @parallel differs in what is wrong, if at all
        found |= {key: setting for key, setting in pod.items() if not setting["equal"]}
    wrong = {key for key, setting in found.items() if not setting["equal"]}
    special = wrong | {key for key, setting in found.items() if setting["override"]}
    texts = {
        key: checked_text(key, found[key])
        for key in (*SIZES, "image")
        if key in special or (key in SIZES and key in found and found[key]["found"])
    }
    other = sorted(special - texts.keys() - ({"qos"} - wrong))  # it follows from the sizes
    rest = [f"{key} does not match" if key in wrong else f"{key} *" for key in other]
    mark = "wrong" if wrong else "override" if special else ""
    lines = box_lines(step, texts, pools(facts), [", ".join(rest)])
    return Box(lines, arrows(facts), mark)


def checked_text(key: str, comparison: Comparison) -> str:
    """Return a setting for a box: marked as in tables, or with what was expected."""
    expected, found = (setting_text(key, comparison[each]) for each in ("expected", "found"))
    if comparison["equal"]:
        return f"{found} *" if comparison["override"] else found
    if expected == found:  # of images with the same last part
        expected, found = as_text(comparison["expected"]), as_text(comparison["found"])
    return f"{found} (expected {expected})"


def step_pods(pods: Mapping[str, Any], step: str) -> list[Any]:
    """Return the pods that run a step: one, or two of @parallel."""
    return [pods[name] for name in (step, f"{step}/worker", f"{step}/control") if name in pods]


def box_lines(step: str, texts: Mapping[str, str], pool: str, rest: Iterable[str]) -> list[str]:
    """Return the lines of a step's box; `texts` are those of its settings."""
    shown = {key: f"{key} {text}" for key, text in texts.items()}
    first = ", ".join(shown[key] for key in ("cpu", "memory") if key in shown)
    lines = [first, shown.get("gpu"), shown.get("image"), pool and f"pool {pool}", *rest]
    return [step, *(line for line in lines if line)]


def setting_text(key: str, value: Any) -> str:
    """Return a setting as short as a box needs it: `1` for one GPU of NVIDIA, no registry."""
    if not value:
        return "none"
    if key == "gpu":
        return ", ".join(
            f"{count}" if resource == "nvidia.com/gpu" else f"{count} {resource}"
            for resource, count in value.items()
        )
    text = as_text(value, ", ")
    return text.rpartition("/")[2] if key == "image" else text


def pools(facts: StepFacts) -> str:
    """Return the pools of k8s.toml that a step names."""
    return ", ".join(dict.fromkeys(each["pool"] for each in facts["overrides"] if each["pool"]))


def arrows(facts: StepFacts) -> dict[str, str]:
    """Return the steps after a step, with what stands at the arrow to each."""
    text = f"foreach {facts['foreach']}" if facts.get("foreach") else ""
    return dict.fromkeys(facts["next"], text)
