"""What quotas have too little of, for each pod and for each gang."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ..cluster.view import QUOTAS
from ..pods.limits import quantity_of
from ..pods.pod_requests import spell
from ..pods.quotas import Excess, counts, excesses, usage_of_all
from ..pods.read_pods import Manifest
from .answers import Answer, FlowPod, problem
from .examination import Examination
from .limited_pods import completed_pods


def gangs(pods: Sequence[FlowPod]) -> Iterator[list[FlowPod]]:
    """Yield what has to run at once: the pods of a @parallel step, and else each pod alone.

    Of its workers, whose number only the run knows, at least one.
    """
    by_step: dict[tuple[str, str], list[FlowPod]] = {}
    for pod in pods:
        by_step.setdefault((pod.flow, pod.name.partition("/")[0]), []).append(pod)
    yield from by_step.values()


def quota_excesses(case: Examination) -> list[tuple[Manifest, dict[FlowPod, list[Excess]]]]:
    """Return for each quota what it has too little of, by the pods that this stops."""
    quotas = case.view.list(QUOTAS)
    whole = completed_pods(case) if quotas else {}
    return [(quota, of_quota(quota, whole)) for quota in quotas]


def of_quota(quota: Manifest, whole: Mapping[FlowPod, Manifest]) -> dict[FlowPod, list[Excess]]:
    found: dict[FlowPod, list[Excess]] = {}
    for gang in gangs([*whole]):
        counted = [pod for pod in gang if counts(quota, whole[pod])]
        usage = usage_of_all(quota, ((whole[pod], 1) for pod in counted)) + objects(gang)
        if missing := excesses(quota, usage):
            found |= dict.fromkeys(counted, missing)
    return found


def objects(gang: Sequence[FlowPod]) -> Counter[str]:
    """Return what else a run makes that a quota may count, which then has no scope."""
    makes = Counter({"count/workflows.argoproj.io": 1, "count/workflowtaskresults.argoproj.io": 1})
    if jobs := sum("/" in pod.name and not pod.name.endswith("/creator") for pod in gang):
        makes.update({"count/jobsets.jobset.x-k8s.io": 1, "count/jobs.batch": jobs})
        makes.update({"services": 1, "count/services": 1})  # by which the pods find each other
    return makes


def quota_problem(
    case: Examination, quota: Manifest, found: Mapping[FlowPod, Sequence[Excess]], final: bool
) -> Answer:
    """Return one problem with all that a quota has too little of, for ever or now."""
    name = quota["metadata"]["name"]
    largest: dict[str, Excess] = {}
    for excess in (excess for own in found.values() for excess in own):
        if excess.asked > largest.setdefault(excess.resource, excess).asked:
            largest[excess.resource] = excess
    texts = [text(excess, final) for excess in largest.values()]
    hard = {
        resource: quantity_of(plain(resource), excess.asked + (0 if final else excess.used))
        for resource, excess in largest.items()
    }
    patch = json.dumps({"spec": {"hard": hard}})
    command = case.kubectl(f"patch resourcequota {name} --type=merge -p '{patch}'")
    what = f"quota {name} is {'too small' if final else 'full now'}: {', '.join(texts)}"
    remedy = command if final else f"{command}  # or wait for other pods to end"
    return problem(what, found, remedy, passes=not final)


def plain(resource: str) -> str:
    return resource.removeprefix("requests.").removeprefix("limits.")


def text(excess: Excess, final: bool) -> str:
    """Return an excess in words, like `requests.memory 4096 MB of 2147 MB`."""
    asked, used, hard = (
        spell(plain(excess.resource), number) for number in (excess.asked, excess.used, excess.hard)
    )
    if final:
        return f"{excess.resource} {hard}, and {asked} are needed at once"
    return f"{used} of {hard} {excess.resource} are used, and {asked} are needed"
