"""Pods keep an object in the datastore, with their own account, image and Secrets.

A pod's credentials are those of its Secrets, or of the role or identity that its service account
has; its network is the cluster's. Neither is known before a pod runs, so this is asked with
--probe-pod only. The doctor starts a Job with the account, image, pull secrets, Secrets, variables,
node selector and tolerations of the pods, small in CPU and memory and without their claims. It
installs what Metaflow's pods install when they start, writes one small object below the root of the
datastore, reads it, and removes it. (https://docs.metaflow.org/scaling/data)

For this you need the right to create, list and delete Jobs, which the role `edit` has and the
printed Roles have not: all else in the doctor only reads.

Pods that differ in account, image or Secrets are tried apart, five at most. The Jobs are deleted
when they have ended, and on Ctrl-C; should the doctor be killed, Kubernetes ends them after three
minutes and deletes them.
"""

from collections.abc import Iterator

from ...cluster.view import EVENTS, JOBS, PODS, SECRETS
from ..answers import Answer, FlowPod, cannot_tell
from ..datastore import datastore_of, flows_name_datastore
from ..examination import Examination
from ..probe_answers import probe_answer
from ..probe_pod import alike, run_probes

NEEDS = (
    *("admission", "image-pull", "pod-security", "secret-exists", "secret-keys"),
    *("node-cordoned", "node-ready", "node-selector", "node-taint"),
)
READS = (EVENTS.list, JOBS.list, PODS.list, SECRETS.get)

MOST_PROBES = 5


def examine(case: Examination) -> Iterator[Answer]:
    datastore = datastore_of(case)
    if not case.probe_pod or not datastore or flows_name_datastore(case):
        return
    groups = alike(case)
    if groups:
        for probe, probed in run_probes(case, groups[:MOST_PROBES], datastore):
            yield probe_answer(case, datastore, probe, probed)
    rest: list[FlowPod] = [pod for group in groups[MOST_PROBES:] for pod in group]
    if rest:
        what = f"not probed: these pods differ from the {MOST_PROBES} that were in account, image"
        yield cannot_tell(f"{what} or Secrets; name their flow alone to probe them", rest)
