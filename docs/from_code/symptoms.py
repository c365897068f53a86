"""What Kubernetes, Argo and Docker print, and what `k8s` makes of it.

Each message is an example, from a cluster or a source. What it means and what to do is what the
code answers to it; a rule of the code without an example stops `make docs`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mf_k8s.doctor.rules import all_rules
from mf_k8s.pods import container_reasons, failure_rules, refusals, scheduling_message
from mf_k8s.pods.reasons import Reason, Rule, first_reason
from mf_k8s.pods.workflow_reasons import OF_NODES, OF_WORKFLOWS
from mf_k8s.programs import remedies

from .examples import BUILDS, NODES, PROGRAMS, PULLS, REFUSED, STEPS, WAITS, WORKFLOWS
from .markdown import code, table

FACTS = {  # of a pod, in place of those of an example
    "account": "ACCOUNT",
    "claims": "CLAIM",
    "gpus": "none",
    "image": "IMAGE",
    "limit": "",
    "memory": "4096M",
    "name": "WORKFLOW",
    "namespace": "NAMESPACE",
    "pod": "POD",
    "pull_secrets": "none",
    "secrets": "SECRET",
}
POD: Mapping[str, Any] = {
    "metadata": {},
    "spec": {
        "nodeSelector": {"pool": "gpu"},
        "volumes": [{"persistentVolumeClaim": {"claimName": "CLAIM"}}],
    },
}


def no_node() -> str:
    patterns = [each.pattern for each in scheduling_message.FILTERS]
    patterns += [each.pattern for each in scheduling_message.OF_ALL_NODES]
    complete(patterns, NODES)
    return reasons(NODES, lambda text: scheduling_message.why_unschedulable(text, POD))


def no_image() -> str:
    return of_rules(container_reasons.PULL, PULLS)


def no_container() -> str:
    crash = {"name": "main", "lastState": {"terminated": {"reason": "Error", "exitCode": 1}}}

    def why(text: str) -> Reason | None:
        state, _, message = text.partition(": ")
        if state == "CrashLoopBackOff":
            waiting = {"reason": state, "message": message}
            return container_reasons.why_container_waits(waiting, crash, (), FACTS)
        return first_reason(container_reasons.CONTAINER, text, FACTS)

    complete([rule.pattern for rule in container_reasons.CONTAINER], WAITS)
    return reasons(WAITS, why)


def refused() -> str:
    patterns = [rule.pattern for rule in refusals.RULES]
    complete([*patterns, refusals.EXCEEDED.pattern, refusals.RIGHT], REFUSED)
    return reasons(REFUSED, lambda text: refusals.why_refused(text, FACTS))


def failed() -> str:
    return of_rules(failure_rules.RULES, STEPS)


def workflows() -> str:
    return of_rules((*OF_WORKFLOWS, *OF_NODES), WORKFLOWS)


def of_rules(rules: Sequence[Rule], examples: Sequence[str]) -> str:
    complete([rule.pattern for rule in rules], examples)
    return reasons(examples, lambda text: first_reason(rules, text, FACTS))


def reasons(examples: Iterable[str], why: Callable[[str], Reason | None]) -> str:
    """Return a table of messages, what they mean, and what to do."""
    rows = []
    for text in examples:
        if not (reason := why(text)):
            raise SystemExit(f"docs/from_code/examples.py: no rule knows {text}")
        page = f"doctor.md#{reason.code if reason.code in all_rules() else 'only-of-runs'}"
        rows.append([code(" ".join(text.split())), reason.what, as_typed(reason.remedy)])
        rows[-1].append(f"[{reason.code}]({page})")
    return table(["message", "what it means", "what to do", "more"], rows)


def as_typed(remedy: str) -> str:
    """Return a remedy; one that is a command alone has no backticks yet."""
    return code(remedy) if re.match("(kubectl|uv|echo) ", remedy) else remedy


def programs() -> str:
    """Return what docker, kind and a build print, and what to do."""
    complete([words for _, words, _ in remedies.REMEDIES], [output for _, output in PROGRAMS])
    complete([words for words, _ in remedies.BUILD_REMEDIES], BUILDS)
    rows = [[code(command), code(text), remedy_of(command, text)] for command, text in PROGRAMS]
    # what a command of a build prints begins with the number of the step, and the seconds
    rows += [
        ["a build", code(text), remedy_of("docker build", f"#9 1.8 {text}")] for text in BUILDS
    ]
    return table(["command", "message", "what to do"], rows)


def remedy_of(command: str, output: str) -> str:
    words = [*command.split(), "ghcr.io/acme/churn:0.1.0"]
    for remedy in remedies.remedies(words, output):
        return remedy
    raise SystemExit(f"docs/from_code/examples.py: no remedy is known for {output}")


def complete(patterns: Iterable[str], examples: Iterable[str]) -> None:
    """Stop if a pattern of the code finds no example."""
    texts = [*examples]
    for pattern in patterns:
        if not any(re.search(pattern, text, re.I | re.M) for text in texts):
            raise SystemExit(f"docs/from_code/examples.py has no message for {pattern}")
