"""JobSet is there for the steps with @parallel.

On Argo Workflows, a step with @parallel is a pod that creates a JobSet, whose controller makes the
step's pods. Where the cluster does not know the kind, that pod fails with `no matches for kind
"JobSet"`; without the controller it waits for ever, and no pod of the step is made. Metaflow writes
jobset.x-k8s.io/v1alpha2. (https://jobset.sigs.k8s.io/docs/installation/)

The command installs the release that the development cluster has; K8S_JOBSET_MANIFEST names another
file or URL. The right to create JobSets is another rule's: account-rights.
"""

from collections.abc import Iterator

from ...cluster.rights import EVERYWHERE
from ...cluster.view import DEPLOYMENTS, JOB_SETS
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination
from ..installing import install

NEEDS = ()
READS = (DEPLOYMENTS.list_everywhere,)
IMAGE = "/jobset"  # in the name of its image, whoever installed it


def examine(case: Examination) -> Iterator[Answer]:
    pods = [pod for pod in case.pods if is_of_jobset(pod)]
    if not pods:
        return
    if not case.view.serves(JOB_SETS):
        what = f"the cluster has no {JOB_SETS.plural} of {JOB_SETS.version}, which @parallel needs"
        yield problem(what, pods, install(case, "JOBSET"))
        return
    found = [
        deployment
        for deployment in case.view.list(DEPLOYMENTS, EVERYWHERE)
        if any(
            IMAGE in container.get("image", "")
            for container in deployment["spec"]["template"]["spec"]["containers"]
        )
    ]
    if not found:
        what = "the cluster knows JobSet, but has no controller of it"
        yield problem(what, pods, install(case, "JOBSET"))
    elif not any((each.get("status") or {}).get("availableReplicas") for each in found):
        metadata = found[0]["metadata"]
        name, place = metadata["name"], f"-n {metadata['namespace']}"
        what = f"no pod of JobSet's controller is ready: {name} in {metadata['namespace']}"
        words = f"{place} describe deployment {name}"
        if found[0]["spec"].get("replicas") == 0:
            words = f"{place} scale deployment {name} --replicas=1"
        yield problem(what, pods, case.kubectl(words, namespaced=False))
    else:
        yield ok(f"JobSet in namespace {found[0]['metadata']['namespace']}", pods)


def is_of_jobset(pod: FlowPod) -> bool:
    """Return whether a pod belongs to a step with @parallel: a job's, or the creator's."""
    labels = pod.manifest["metadata"].get("labels") or {}
    return "jobset.sigs.k8s.io/jobset-name" in labels or pod.name.endswith("/creator")
