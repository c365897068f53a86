"""A workflow controller runs, and takes up the workflows of this namespace.

A workflow that no controller watches stays without any status: no pod, no event, no message. There
are four reasons. No controller runs. It was started with --namespaced, as the manifest
namespace-install.yaml does, and watches its own namespace alone, or the one that
--managed-namespace names. Its ConfigMap has an `instanceID`: then it takes up only what has the
label workflows.argoproj.io/controller-instanceid, and Metaflow's workflows have none. Or its
ConfigMap cannot be read, which ends a controller when it starts.
(https://argo-workflows.readthedocs.io/en/latest/managed-namespace/,
https://argo-workflows.readthedocs.io/en/latest/scaling/#instance-id)

Where its account may work in all namespaces, the command makes it do so; else it installs another
controller into the namespace of the runs. Without an `instanceID`, a controller also takes up the
workflows of others that have none: where that is not wanted, install another one.
"""

from collections.abc import Iterator

from ..answers import Answer, cannot_tell, ok, problem
from ..examination import Examination
from ..find_controller import READS as FIND_CONTROLLER
from ..find_controller import find_controller
from ..installing import install, watch_all_namespaces, without_setting

NEEDS = ("namespace-exists", "argo-installed")
READS = FIND_CONTROLLER


def examine(case: Examination) -> Iterator[Answer]:
    controller = find_controller(case.view)
    if not controller:
        yield problem("no workflow controller is on the cluster", remedy=install(case, "ARGO"))
        return
    place = f"-n {controller.namespace}"
    name = f"the workflow controller in namespace {controller.namespace}"
    if not controller.watches(case.namespace):
        what = f"{name} watches namespace {controller.only_namespace}, not {case.namespace}"
        yield problem(what, remedy=watch_all_namespaces(case, controller))
    elif controller.config_error:
        what = f"{name} cannot start: of its ConfigMap {controller.config_map}, "
        edit = case.kubectl(f"{place} edit configmap {controller.config_map}", False)
        yield problem(what + controller.config_error, remedy=edit)
    elif controller.instance_id:
        what = (
            f"{name} takes up only workflows with the instance ID {controller.instance_id},"
            " and those of Metaflow have none"
        )
        yield problem(what, remedy=without_setting(case, controller, "instanceID"))
    elif not controller.replicas:
        scale = f"{place} scale deployment {controller.deployment} --replicas=1"
        yield problem(f"{name} is scaled to 0", remedy=case.kubectl(scale, False))
    elif not controller.available:
        look = f"{place} describe pods -l {controller.selector}"
        yield problem(f"no pod of {name} is ready", remedy=case.kubectl(look, False))
    elif not controller.has_config:
        yield cannot_tell(
            f"{name} watches {case.namespace}, but whether only workflows with an instance ID:"
            f" for want of the right to get configmaps where Argo runs"
        )
    else:
        yield ok(f"{controller.release or 'a controller'} in namespace {controller.namespace}")
