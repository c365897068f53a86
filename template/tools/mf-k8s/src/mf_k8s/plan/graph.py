"""Makes the graph of a flow that changes: each step with what its pod will have, and had."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..check.graph import SIZES, arrows, box_lines, pools, setting_text, step_pods
from ..pods.flow_facts import StepFacts
from ..show.mermaid import Box, Graph
from ..show.tables import as_text
from .differences import Pods


@dataclass(frozen=True)
class PlannedFlow:
    """A flow in one of the two states that a plan compares."""

    settings: Pods  # by pod
    steps: Mapping[str, StepFacts]

    def settings_of(self, step: str) -> Mapping[str, Any]:
        """Return the settings of a step's first pod: @parallel gives all of its pods the same."""
        return next(iter(step_pods(self.settings, step)), {})


def graph_of_change(before: PlannedFlow | None, after: PlannedFlow) -> Graph:
    """Return the graph of a flow; nothing is marked where the whole flow is new.

    Steps and arrows that are no longer there are in it, too.
    """
    images = Counter(after.settings_of(step).get("image") for step in after.steps)
    usual = images.most_common(1)[0][0]
    old = before.steps if before else {}
    return {
        step: changed_box(step, before, after, usual)
        for step in [*after.steps, *(step for step in old if step not in after.steps)]
    }


def changed_box(step: str, before: PlannedFlow | None, after: PlannedFlow, usual: Any) -> Box:
    """Return the box of a step. Its image is there only if it is not the `usual` one."""
    old, new = (flow.settings_of(step) if flow else {} for flow in (before, after))
    was, will_be = (flow.steps.get(step) if flow else None for flow in (before, after))
    if not will_be:
        assert was
        lines = box_lines(step, texts_of(old, old, usual), pools(was), ["removed"])
        return Box(lines, {}, "removed", tuple(was["next"]))
    if not was:
        mark = "added" if before else ""
        lines = box_lines(step, texts_of(new, new, usual), pools(will_be), [mark])
        return Box(lines, arrows(will_be), mark)
    texts = texts_of(old, new, usual)
    changed = [key for key in {**new, **old} if old.get(key) != new.get(key)]
    other = [key for key in changed if key not in texts and key != "qos"]  # it follows from sizes
    pool = change_text(pools(was) or "none", pools(will_be) or "none")
    rest = [f"changed: {', '.join(other)}"] if other else []
    lines = box_lines(step, texts, "" if pool == "none" else pool, rest)
    gone = tuple(each for each in was["next"] if each not in will_be["next"])
    return Box(lines, arrows(will_be), "changed" if changed else "", gone)


def texts_of(old: Mapping[str, Any], new: Mapping[str, Any], usual: Any) -> dict[str, str]:
    """Return what a box says of sizes and image, by key."""
    keys = [key for key in SIZES if old.get(key) or new.get(key)]
    keys += ["image"] if new.get("image") != usual else []
    texts = {}
    for key in keys:
        values = [settings.get(key) for settings in (old, new)]
        short = [setting_text(key, value) for value in values]
        if short[0] == short[1] and values[0] != values[1]:  # of images with the same last part
            short = [as_text(value, ", ") for value in values]
        texts[key] = change_text(*short)
    return texts


def change_text(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"
