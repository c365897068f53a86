"""Rules of Argo about the templates of a workflow."""

import re
from collections.abc import Iterator
from typing import Any

from .read_pods import Manifest
from .strategic_merge import WORKFLOW, strategic_merge

TYPES = {"container", "containerSet", "script", "resource", "data", "dag", "steps", "suspend"}
TYPES |= {"http", "plugin"}  # what a template can be, of which it is one


def has_agent(spec: Manifest) -> bool:
    """Return whether a workflow has HTTP templates that run.

    Metaflow adds a hook `exit` to every flow with other hooks. Argo does not run it where the
    workflow has `onExit`, too (GetExitHook in workflow_types.go), which Metaflow writes by default.
    """
    hooks = spec.get("hooks") or {}
    used = {hook["template"] for name, hook in hooks.items() if name != "exit"}
    hidden = {hooks["exit"]["template"]} if spec.get("onExit") and "exit" in hooks else set()
    names = {template["name"] for template in spec["templates"] if template.get("http")}
    return bool(names - (hidden - used))


def time_limits(item: Manifest) -> Iterator[int]:
    """Yield how long a template or workflow, and so a pod of it, may take, in seconds."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    for text in (item.get("activeDeadlineSeconds"), item.get("timeout")):
        parts = re.findall(r"([\d.]+)(h|ms|m|s)?", str(text or ""))
        if parts:
            yield int(sum(float(number) * units[unit or "s"] for number, unit in parts))


def with_template_defaults(template: Manifest, defaults: Manifest) -> dict[str, Any]:
    """Return a template over templateDefaults, of which those for other types do not count."""
    other = TYPES - template.keys()
    own = {name: value for name, value in defaults.items() if name not in other}
    merged: dict[str, Any] = strategic_merge(own, template, WORKFLOW)
    return merged
