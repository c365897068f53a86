"""Finds the controller of Argo Workflows, which makes the pods of the runs."""

from collections.abc import Iterator
from dataclasses import replace

from ..cluster.rights import EVERYWHERE, Scope
from ..cluster.view import CONFIG_MAPS, DEPLOYMENTS, NotAllowed, View
from ..pods.argo_controller import Controller, read_controller
from ..pods.read_pods import Manifest

READS = (
    DEPLOYMENTS.list_everywhere,
    DEPLOYMENTS.list,
    DEPLOYMENTS.right("list", "argo"),
    CONFIG_MAPS.get_of_argo,
)
CONTROLLER = "workflow-controller"  # in the name of its image, whoever installed it
NAMESPACES = ("argo", "argo-workflows")  # where its manifest and its chart put it


def find_controller(view: View) -> Controller | None:
    """Return the controller that takes the runs, or else one that watches, or another, or None.

    Raise NotAllowed where the user may not look for it.
    """
    found, namespace = [*controllers(view)], view.target.namespace
    taking = [each for each in found if each.takes(namespace)]
    watching = [each for each in found if each.watches(namespace)]
    return next(iter([*taking, *watching, *found]), None)


def controllers(view: View) -> Iterator[Controller]:
    """Yield all controllers of the cluster, or of the namespaces that the user may look into."""
    for deployment in deployments(view):
        controller = read_controller(deployment, None)
        try:
            place = controller.namespace
            config_map = view.get(CONFIG_MAPS, controller.config_map, place, scope="argo")
            yield read_controller(deployment, config_map)
        except NotAllowed:
            yield replace(controller, has_config=False)


def deployments(view: View) -> list[Manifest]:
    """Return the Deployments of controllers. Raise NotAllowed if there may be others unseen."""
    try:
        return [*filter(is_controller, view.list(DEPLOYMENTS, EVERYWHERE))]
    except NotAllowed as refusal:
        found: list[Manifest] = []
        for namespace in dict.fromkeys((view.target.namespace, *NAMESPACES)):
            own: Scope = "namespace" if namespace == view.target.namespace else "argo"
            try:
                found += filter(is_controller, view.list(DEPLOYMENTS, namespace, scope=own))
            except NotAllowed:
                continue
        if not found:
            raise refusal from None
        return found


def is_controller(deployment: Manifest) -> bool:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return any(CONTROLLER in container.get("image", "") for container in containers)
