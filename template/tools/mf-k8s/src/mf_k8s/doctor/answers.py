"""What a rule answers: ok, a problem, or that it cannot tell."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..pods.read_pods import Manifest

State = Literal["ok", "problem", "accepted", "cannot tell", "not asked"]
OK: State = "ok"
PROBLEM: State = "problem"
ACCEPTED: State = "accepted"  # a problem that the environment says is none there
CANNOT_TELL: State = "cannot tell"
NOT_ASKED: State = "not asked"


@dataclass(frozen=True)
class FlowPod:
    """A pod of a flow, as the cluster will get it."""

    flow: str  # the class
    name: str  # the step, or as in expected_pods
    manifest: Manifest = field(compare=False, repr=False)  # a Pod of v1, with Argo's containers
    # how many may run at once in one run; None for a foreach, whose width the code does not say
    side_by_side: int | None = 1

    def __str__(self) -> str:
        return f"{self.flow}/{self.name}"

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.manifest["spec"]
        return spec

    @property
    def account(self) -> str:
        """Return the name of its service account."""
        return self.spec.get("serviceAccountName") or "default"


@dataclass(frozen=True)
class Answer:
    """One line of the result."""

    state: State
    what: str
    pods: tuple[FlowPod, ...] = ()  # that it is about; all of them if it names none
    remedy: str = ""  # a command to paste, or the line to write
    passes: bool = False  # the problem mends itself when other pods end
    code: str = ""  # of the rule


def ok(what: str, pods: Iterable[FlowPod] = ()) -> Answer:
    """Return that a statement holds. `what` is short: it documents the cluster."""
    return Answer(OK, what, tuple(pods))


def problem(
    what: str, pods: Iterable[FlowPod] = (), remedy: str = "", passes: bool = False
) -> Answer:
    """Return what is wrong, which pods it stops, and the command or line that mends it."""
    return Answer(PROBLEM, what, tuple(pods), remedy, passes)


def cannot_tell(what: str, pods: Iterable[FlowPod] = (), remedy: str = "") -> Answer:
    """Return for want of what a question has no answer."""
    return Answer(CANNOT_TELL, what, tuple(pods), remedy)


def shown_pods(pods: Iterable[FlowPod], every: Collection[FlowPod]) -> str:
    """Return pods by flow, like `TrainFlow: start, train; HelloFlow: every pod`.

    `every` are all pods of the examination.
    """
    pods = tuple(pods)
    if not pods or {*pods} == {*every}:
        return "every pod"
    texts = []
    for flow in dict.fromkeys(pod.flow for pod in pods):
        names = [pod.name for pod in pods if pod.flow == flow]
        whole = {*names} == {pod.name for pod in every if pod.flow == flow}
        texts.append(f"{flow}: {'every pod' if whole else ', '.join(dict.fromkeys(names))}")
    return "; ".join(texts)
