"""This release of Argo Workflows knows all that the flows are written with.

A field that a release does not know is dropped without a message, or refused by its definitions: a
CronWorkflow whose `schedules` are unknown, as before 3.6, never starts anything; `semaphores` and
`mutexes` are lists, which an older Argo ignores, and 4 dropped `semaphore` and `mutex`;
`pendingTimeout` came with 4.1.
(https://argo-workflows.readthedocs.io/en/latest/upgrading/)

The release is read off the image of the controller; one with a tag of the organisation's own, or
with a digest alone, does not say it. Argo supports its two newest minor releases. The command
upgrades Argo to the release that the project has chosen for its development cluster, if that knows
the field.
"""

from collections.abc import Iterator

from ...kind.installs import INSTALLS, argo_release
from ...pods.argo_controller import Controller
from ...pods.argo_releases import GONE, SINCE, fields_of, first_release
from ...pods.project_labels import annotation
from ...pods.read_pods import Manifest
from ..answers import Answer, cannot_tell, ok, problem
from ..examination import Examination
from ..installing import install

NEEDS = ("argo-watches",)
READS = ()
NEVER = ((1000, 0, 0), "")


def examine(case: Examination) -> Iterator[Answer]:
    controller = case.controller
    if not controller:
        return
    version = controller.version
    if not version:
        image = controller.container.get("image") or "its image"
        yield cannot_tell(f"which release it is: {image} does not say it")
        return
    stopped: dict[str, set[str]] = {}
    for flow, item in written(case):
        for field in fields_of(item):
            if version < SINCE.get(field, version) or version >= GONE.get(field, NEVER)[0]:
                stopped.setdefault(field, set()).add(flow)
    for field, flows in stopped.items():
        pods = [pod for pod in case.pods if pod.flow in flows]
        if field in GONE:
            what = f"{controller.release} has dropped {field}"
            where = f"below [workflow] in {case.project.config_file.name}"
            yield problem(what, pods, f"write {GONE[field][1]}, {where}")
            continue
        first = first_release(field)
        what = f"{controller.release} does not know {field}, which Argo has from {first} on"
        upgrade = f"upgrade Argo Workflows in namespace {controller.namespace} to {first} or newer"
        chosen = Controller(release=argo_release(case.project)).version or version
        own = controller.namespace == INSTALLS["ARGO"][1] and chosen >= SINCE[field]
        yield problem(what, pods, install(case, "ARGO") if own else upgrade)
    if not stopped:
        yield ok(controller.release)


def written(case: Examination) -> Iterator[tuple[str, Manifest]]:
    """Yield each object of Argo's that is written, with its flow."""
    flows = {
        template["metadata"]["name"]: annotation(template, "flow_name")
        for template in case.templates
    }
    for plural in ("workflowtemplates", "cronworkflows"):
        for item in case.written(plural):
            yield flows.get(item["metadata"]["name"], ""), item["spec"]
