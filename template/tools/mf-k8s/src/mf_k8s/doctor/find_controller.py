"""Finds the controller of Argo Workflows, which makes the pods of the runs."""

from collections.abc import Iterator

from ..cluster.view import CONFIG_MAPS, DEPLOYMENTS, EVERYWHERE, NotAllowed, View
from ..pods.argo_controller import Controller, read_controller
from ..pods.read_pods import Manifest

READS = (DEPLOYMENTS.list_everywhere, DEPLOYMENTS.list, CONFIG_MAPS.get_of_argo)
CONTROLLER = "workflow-controller"  # in the name of its image, whoever installed it
NAMESPACES = ("argo", "argo-workflows")  # where its manifest and its chart put it


def find_controller(view: View) -> Controller | None:
    """Return the controller that watches the namespace of the runs, or else another, or None.

    Raise NotAllowed where the user may not look for it.
    """
    found = [*controllers(view)]
    watching = [each for each in found if each.watches(view.target.namespace)]
    return next(iter([*watching, *found]), None)


def controllers(view: View) -> Iterator[Controller]:
    """Yield all controllers of the cluster, or of the namespaces that the user may look into."""
    for deployment in deployments(view):
        if is_controller(deployment):
            namespace = deployment["metadata"]["namespace"]
            name = read_controller(deployment, None).config_map
            try:
                config_map = view.get(CONFIG_MAPS, name, namespace, scope="argo")
            except NotAllowed:
                config_map = None
            yield read_controller(deployment, config_map)


def deployments(view: View) -> list[Manifest]:
    try:
        return view.list(DEPLOYMENTS, EVERYWHERE)
    except NotAllowed as refusal:
        found = []
        for namespace in dict.fromkeys((view.target.namespace, *NAMESPACES)):
            try:
                found += view.list(DEPLOYMENTS, namespace, scope="argo")
            except NotAllowed:
                continue
        if not found:
            raise refusal from None
        return found


def is_controller(deployment: Manifest) -> bool:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return any(CONTROLLER in container.get("image", "") for container in containers)
