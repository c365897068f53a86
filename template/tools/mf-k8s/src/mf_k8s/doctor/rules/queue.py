"""The queues of Kueue that pods name are there, and take pods.

A pod with the label kueue.x-k8s.io/queue-name is held back by Kueue, with a scheduling gate, until
its queue admits it: without such a LocalQueue in the namespace, or with one that is stopped or
whose ClusterQueue is not ready, it stays pending with the reason SchedulingGated. The label is in
`labels` of k8s.toml, or one that the workflow controller gives to all pods.
(https://kueue.sigs.k8s.io/docs/tasks/run/plain_pods/)

In the command, CLUSTER_QUEUE is one that `kubectl get clusterqueues` lists. Where Kueue is not
installed, the label does nothing, and pods start at once.
"""

from collections.abc import Iterator

from ...cluster.view import LOCAL_QUEUES
from ...pods.read_pods import Manifest
from ..answers import Answer, FlowPod, ok, problem
from ..examination import Examination

NEEDS = ("namespace-exists",)
READS = (LOCAL_QUEUES.get,)
LABEL = "kueue.x-k8s.io/queue-name"


def examine(case: Examination) -> Iterator[Answer]:
    for name, pods in case.pods_by(queue):
        if not case.view.serves(LOCAL_QUEUES):
            yield ok(f"{name}: pods do not wait, because Kueue is not installed", pods)
            continue
        found = case.view.get(LOCAL_QUEUES, name)
        if not found:
            what = f"there is no LocalQueue {name} in namespace {case.namespace}"
            manifest = {
                "apiVersion": LOCAL_QUEUES.version,
                "kind": "LocalQueue",
                "metadata": {"name": name},
                "spec": {"clusterQueue": "CLUSTER_QUEUE"},
            }
            yield problem(what, pods, case.apply(manifest))
        elif found["spec"].get("stopPolicy", "None") != "None":
            patch = """patch localqueue {} --type=merge -p '{{"spec": {{"stopPolicy": "None"}}}}'"""
            what = f"the LocalQueue {name} is stopped: stopPolicy is {found['spec']['stopPolicy']}"
            yield problem(what, pods, case.kubectl(patch.format(name)))
        elif reason := inactive(found):
            cluster_queue = found["spec"].get("clusterQueue", "")
            what = f"the LocalQueue {name} admits no pods: {reason}"
            describe = f"describe clusterqueue {cluster_queue}"
            yield problem(what, pods, case.kubectl(describe, namespaced=False))
        else:
            yield ok(f"{name} of {found['spec'].get('clusterQueue', '')}", pods)


def queue(pod: FlowPod) -> list[str]:
    name = (pod.manifest["metadata"].get("labels") or {}).get(LABEL)
    return [name] if name else []


def inactive(found: Manifest) -> str:
    """Return why a LocalQueue is not active, or an empty text."""
    for condition in (found.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Active" and condition["status"] == "False":
            return condition.get("message") or condition.get("reason") or "it is not active"
    return ""
