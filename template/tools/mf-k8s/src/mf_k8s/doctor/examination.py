"""What a rule is given: the pods of the flows, and a view of the cluster."""

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cluster.dry_run import Refusal, dry_run
from ..cluster.target import Target
from ..cluster.view import NotAllowed, View
from ..metaflow.record_requests import Request
from ..pods.argo_controller import Controller
from ..pods.read_pods import Manifest
from ..project.project import Project
from .answers import FlowPod

DRY_RUNS_AT_ONCE = 8


@dataclass(frozen=True)
class Examination:
    """What the rules work with. `pods` are those that nothing stops by an earlier rule."""

    project: Project
    target: Target
    view: View
    pods: tuple[FlowPod, ...] = ()
    requests: Sequence[Request] = ()  # what `deploy` would write
    controller: Controller | None = None  # of Argo Workflows; None where it was not found
    files: Sequence[Path] = ()  # of the flows
    probe_pod: bool = False  # a pod may be started to ask the datastore
    found: dict[Any, Any] = field(default_factory=dict, repr=False)  # what rules find out together

    @property
    def namespace(self) -> str:
        return self.target.namespace

    @property
    def templates(self) -> list[Manifest]:
        """Return the WorkflowTemplates as `deploy` would write them."""
        return self.written("workflowtemplates")

    def written(self, plural: str) -> list[Any]:
        """Return the objects of a kind that `deploy` would write."""
        return [
            request["body"]
            for _, request in self.requests
            if request["plural"] == plural and "body" in request
        ]

    def pods_by(self, names: Callable[[FlowPod], Iterable[str]]) -> list[tuple[str, list[FlowPod]]]:
        """Return each name of what pods need, in order, and its pods."""
        by_name: dict[str, list[FlowPod]] = {}
        for pod in self.pods:
            for name in names(pod):
                by_name.setdefault(name, []).append(pod)
        return sorted(by_name.items())

    def tried(self, pod: FlowPod) -> Manifest | Refusal | None:
        """Return a pod as the server would make it, or why not; None where it may not be asked."""
        answers: dict[FlowPod, Manifest | Refusal | None] = self.found.setdefault("tried", {})
        if pod not in answers:
            rest = [each for each in self.pods if each not in answers and each != pod]
            answers[pod] = self.try_pod(pod)  # asks once whether it may
            with ThreadPoolExecutor(DRY_RUNS_AT_ONCE) as pool:
                answers |= zip(rest, pool.map(self.try_pod, rest), strict=True)
        return answers[pod]

    def try_pod(self, pod: FlowPod) -> Manifest | Refusal | None:
        try:
            return dry_run(self.view, pod.manifest)
        except NotAllowed:
            return None

    def admitted(self, pod: FlowPod) -> Manifest:
        """Return a pod as the server would make it; as it is, where that cannot be known."""
        answer = self.tried(pod)
        return pod.manifest if answer is None or isinstance(answer, Refusal) else answer

    def kubectl(self, words: str, namespaced: bool = True) -> str:
        """Return a command of kubectl's for this cluster, to paste."""
        file = self.target.variables.get("KUBECONFIG", "")
        own = f" --kubeconfig {shlex.quote(file)}" if self.target.environment.name == "kind" else ""
        place = f" -n {self.namespace}" if namespaced else ""
        return f"kubectl{own}{place} {words}"

    def apply(self, manifest: Mapping[str, Any], namespaced: bool = True) -> str:
        """Return a command that applies an object to this cluster, to paste."""
        text = shlex.quote(json.dumps(manifest))
        return f"echo {text} | {self.kubectl('apply -f -', namespaced)}"
