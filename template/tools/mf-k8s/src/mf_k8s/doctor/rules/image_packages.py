"""The images of the steps have the packages that Metaflow needs, so that pods install nothing.

Metaflow's pods begin with `python -m pip install` of the client of the datastore and requests
(https://docs.metaflow.org/scaling/dependencies), unless METAFLOW_SKIP_INSTALL_DEPENDENCIES is set:
by the image, as the template's Dockerfile does, or by a Secret of the pod. Where the image lacks
them, each pod waits for them, gets another version some day, and fails where it reaches no package
index or may not write.

Whether the image sets the variable is read from its registry, or from the Dockerfile. What is
installed in an image cannot be known without running it; a pod of --probe-pod installs them, too,
and shows whether that works. What @pypi and @conda install is not looked at.
"""

from collections.abc import Iterator

from ..answers import Answer, FlowPod, cannot_tell, ok
from ..examination import Examination
from ..images import READS_OF_IMAGES, Pull, is_built_here, pulls_by_pods, registry_answer
from ..probe_pod import main_container

NEEDS = ("image-pull",)
READS = READS_OF_IMAGES

SKIP = "METAFLOW_SKIP_INSTALL_DEPENDENCIES"


def examine(case: Examination) -> Iterator[Answer]:
    for pull, pods in pulls_by_pods(case):
        installing = [pod for pod in pods if main_container(pod).get("image") == pull.image]
        installing = [pod for pod in installing if installs(pod)]
        if not installing:
            continue
        sets = sets_variable(case, pull)
        if sets:
            yield ok(f"{pull.image}: sets {SKIP}", installing)
        elif sets is False:
            what = f"pods of {pull.image} install packages when they start: whether they reach an"
            remedy = f"install boto3 and requests in the image, and set {SKIP}=1 there"
            yield cannot_tell(f"{what} index", installing, remedy)


def installs(pod: FlowPod) -> bool:
    """Return whether a pod begins as Metaflow's do, and sets nothing against it."""
    container = main_container(pod)
    text = " ".join(map(str, (*(container.get("command") or ()), *(container.get("args") or ()))))
    names = {variable["name"] for variable in container.get("env") or ()}
    return SKIP in text and SKIP not in names


def sets_variable(case: Examination, pull: Pull) -> bool | None:
    """Return whether an image sets the variable; None where nobody says."""
    if is_built_here(case, pull):
        text = (case.project.root / "Dockerfile").read_text(encoding="utf-8", errors="replace")
        return SKIP in text
    if pull.is_of_localhost:
        return None
    said = registry_answer(case, pull).answer
    return SKIP in said.variables if said.state == "found" else None
