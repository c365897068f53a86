"""Runs the rules, each after those that must hold first."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..cluster.view import NotAllowed
from ..errors import CommandError, Finding, findings_of
from ..project.environments import Environment
from .answers import ACCEPTED, NOT_ASKED, OK, PROBLEM, Answer, FlowPod, cannot_tell
from .examination import Examination
from .rules import Rule, all_rules


@dataclass
class Examined:
    """What came of an examination."""

    answers: list[Answer] = field(default_factory=list)
    errors: list[Finding] = field(default_factory=list)  # what ended it early


def examine(case: Examination, rules: Mapping[str, Rule] | None = None) -> Iterator[Answer]:
    """Yield the answers of all rules, as soon as each is known.

    Raise CommandError if the cluster does not answer any more.
    """
    # of each rule, the pods that it or one before it stops, and the code of the one that does
    stopped: dict[str, dict[FlowPod, str]] = {}
    for code, rule in (rules or all_rules()).items():
        blocked = {pod: by for need in rule.needs for pod, by in stopped.get(need, {}).items()}
        pods = tuple(pod for pod in case.pods if pod not in blocked)
        stopped[code] = dict(blocked)
        if blocked and not pods:
            first = ", ".join(dict.fromkeys(blocked.values()))
            yield Answer(NOT_ASKED, f"{first} comes first", case.pods, code=code)
            continue
        for answer in answers_of(rule, replace(case, pods=pods)):
            for part in without_accepted(answer, case.target.environment.accepted, pods):
                if part.state == PROBLEM and not part.passes:
                    stopped[code] |= dict.fromkeys(part.pods or case.pods, code)
                yield part


def without_accepted(
    answer: Answer, accepted: Collection[str], pods: Iterable[FlowPod]
) -> Iterator[Answer]:
    """Yield an answer in parts: the problem, and what of it the environment accepts.

    `accepted` has codes, alone or with a flow: `queue`, `queue=TrainFlow`.
    """
    names = {answer.code, *(f"{answer.code}={pod.flow}" for pod in answer.pods or pods)}
    if answer.state != PROBLEM or not names & {*accepted}:
        yield answer
    elif answer.code in accepted:
        yield replace(answer, state=ACCEPTED)
    else:
        for state in (ACCEPTED, PROBLEM):
            part = [
                pod
                for pod in answer.pods or pods
                if (f"{answer.code}={pod.flow}" in accepted) == (state == ACCEPTED)
            ]
            if part:
                yield replace(answer, state=state, pods=tuple(part))


def accepted_findings(environment: Environment, rules: Iterable[str]) -> Iterator[Finding]:
    """Yield the codes that an environment accepts and that no rule has."""
    known = sorted(rules)
    for entry in environment.accepted:
        code = entry.partition("=")[0]
        if code not in known:
            near = difflib.get_close_matches(code, known, 1)
            what = f"doctor_accepts has {entry}, but no rule is called {code}"
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            yield Finding("accepted-unknown", what, environment.file, remedy)


def answers_of(rule: Rule, case: Examination) -> Iterator[Answer]:
    """Yield the answers of one rule; what the user may not see, it cannot tell."""
    answered: set[FlowPod] = set()
    case = replace(case, view=case.view.only(rule.reads))
    try:
        for answer in rule.examine(case):
            answered |= {*answer.pods}
            yield replace(answer, code=rule.code)
    except NotAllowed as refusal:
        rest = [pod for pod in case.pods if pod not in answered]
        what = f"for want of the right to {refusal.right}"
        yield replace(cannot_tell(what, rest), code=rule.code)


def examine_all(case: Examination, rules: Mapping[str, Rule] | None = None) -> Examined:
    """Return all answers; where the cluster goes away, those until then and why."""
    examined = Examined()
    alike: dict[Answer, dict[FlowPod, None]] = {}  # the pods of answers that differ in them only
    try:
        for answer in examine(case, rules):
            alike.setdefault(replace(answer, pods=()), {}).update(dict.fromkeys(answer.pods))
    except CommandError as error:
        examined.errors += findings_of(error)
    examined.answers += (replace(answer, pods=tuple(pods)) for answer, pods in alike.items())
    return examined


def exit_code(answers: Iterable[Answer], strict: bool) -> int:
    """Return 1 if there is a problem, and, if `strict`, 2 for what cannot be told."""
    states = {answer.state for answer in answers}
    if PROBLEM in states:
        return 1
    return 2 if strict and states - {OK, ACCEPTED} else 0
