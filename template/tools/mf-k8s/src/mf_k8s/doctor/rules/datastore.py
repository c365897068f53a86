"""The datastore keeps an object that is written from here, with the environment's credentials.

Metaflow's create uploads the code of the flows to the datastore from where `k8s deploy` runs. Pods
fetch it there, and keep in it all that steps hand on. The doctor writes one small object below the
root, reads it and removes it, as Metaflow would: with METAFLOW_DEFAULT_DATASTORE,
METAFLOW_DATASTORE_SYSROOT_S3, _GS or _AZURE, and the credentials that boto3, Google's or Azure's
library finds here (https://docs.metaflow.org/getting-started/infrastructure).

It cannot show what pods may do, which have other credentials and another network: --probe-pod does.
Metaflow never removes an object, so the right to do that may be missing; the doctor says then which
object it leaves.
"""

from collections.abc import Iterator

from ...deploy.datastore import datastore_findings
from ...metaflow.ask_datastore import LOG_IN
from ..answers import Answer, cannot_tell, ok, problem
from ..datastore import (
    Datastore,
    Failure,
    cause_of,
    datastore_of,
    flows_name_datastore,
    give_right,
    make_bucket,
    object_name,
    remains,
    try_from_here,
    what_failed,
)
from ..examination import Examination

NEEDS = ()
READS = ()


def examine(case: Examination) -> Iterator[Answer]:
    findings = list(datastore_findings(case.project, case.files, case.target))
    yield from (problem(finding.what, remedy=finding.remedy) for finding in findings)
    if flows_name_datastore(case):
        yield cannot_tell("an option of tests/kind.toml names another datastore for a flow")
    elif not findings and (datastore := datastore_of(case)):
        name = object_name()
        yield answer(case, datastore, name, try_from_here(case, datastore, name))


def answer(case: Examination, datastore: Datastore, name: str, failed: Failure) -> Answer:
    left = remains(case, datastore, name, failed)
    if not failed or failed.get("step") == "remove":
        done = f"{datastore.root}: an object was written and read from here"
        return ok(f"{done}{left or ', and removed'}")
    what = f"{what_failed(failed, datastore)}{failed.get('credentials', '')}{left}"
    cause = cause_of(failed)
    if cause == "busy":
        return cannot_tell(what, remedy="try again later")
    remedies = {
        "bucket": make_bucket(case, datastore),
        "login": LOG_IN if datastore.kind == "s3" else "log in to it again",
        "right": give_right(failed, datastore),
        "other": "check the network, and that the datastore's root and address are right",
    }
    return problem(what, remedy=remedies.get(cause, ""))
