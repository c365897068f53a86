"""A reason why a pod is pending or has failed, and the rules that find one in a message.

The codes are those of the rules of `k8s doctor`, which say the same before a run, and some of what
only a run shows, like `out-of-memory`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from .read_pods import Manifest

GIVE = "in k8s.toml or by @k8s({0}=…) on the step"
UNKNOWN_IMAGE = "of its container"


@dataclass(frozen=True)
class Reason:
    """Why a pod has not started, or has failed."""

    code: str  # it never changes: for programs, and for `k8s doctor --explain`
    what: str  # what is wrong, without the pod
    remedy: str = ""
    passes: bool = False  # it mends itself when other pods end

    def __str__(self) -> str:
        part = "; " if ": " in self.what else ": "
        return f"{self.what}{part}{self.remedy}" if self.remedy else self.what


class Rule(NamedTuple):
    """Texts that a pattern finds, as `re.search`, and what they mean.

    `what` and `remedy` may name the pattern's groups and the facts of `facts_of`.
    """

    code: str
    pattern: str
    what: str
    remedy: str = ""
    passes: bool = False


class Braces(dict[str, Any]):
    """Facts in which one that is not known stays as it is written."""

    def __missing__(self, name: str) -> str:
        return name.upper()


def first_reason(rules: Iterable[Rule], text: str, facts: Mapping[str, str]) -> Reason | None:
    """Return what the first rule says whose pattern is in a text."""
    for rule in rules:
        if found := re.search(rule.pattern, text):
            known = Braces({**facts, **found.groupdict()})
            what, remedy = rule.what.format_map(known), rule.remedy.format_map(known)
            return Reason(rule.code, what, remedy, rule.passes)
    return None


def facts_of(pod: Manifest) -> dict[str, str]:
    """Return what a pod is and asks for, in the words of the rules."""
    containers = pod["spec"].get("containers") or [{}]
    main = next((item for item in containers if item.get("name") == "main"), containers[0])
    resources = main.get("resources") or {}
    requests, limits = ((resources.get(key) or {}) for key in ("requests", "limits"))
    sources = [(source.get("secretRef") or {}).get("name") for source in main.get("envFrom") or ()]
    gpus = [f"{name}: {count}" for name, count in limits.items() if "/" in name]
    limit = limits.get("memory")
    selector = pod["spec"].get("nodeSelector") or {}
    return {
        "pod": pod["metadata"].get("name", "POD"),
        "namespace": pod["metadata"].get("namespace", "NAMESPACE"),
        "account": pod["spec"].get("serviceAccountName") or "default",
        "memory": requests.get("memory", "of any size"),
        "limit": f", its limit is {limit}" if limit else " and has no limit but the node's memory",
        "image": main.get("image", UNKNOWN_IMAGE),
        "secrets": ", ".join(filter(None, sources)) or "none",
        "gpus": ", ".join(gpus) or "none",
        "selector": ", ".join(f"{key}={value}" for key, value in selector.items()),
        "selector_option": ",".join(f"{key}={value}" for key, value in selector.items()),
        "deadline": str(pod["spec"].get("activeDeadlineSeconds") or "some"),
        "pull_secrets": ", ".join(
            secret["name"] for secret in pod["spec"].get("imagePullSecrets") or ()
        ),
    }
