"""What the probes of the datastore mean, and what to do about it."""

from ..cluster.view import SECRETS, NotAllowed
from .answers import Answer, FlowPod, cannot_tell, ok, problem
from .datastore import (
    Datastore,
    Failure,
    cause_of,
    give_right,
    make_bucket,
    remains,
    what_failed,
)
from .examination import Examination
from .probe_pod import PACKAGES, Probe, Probed, main_container, secret_names

KEY = "AWS_ACCESS_KEY_ID"
SKIP = "METAFLOW_SKIP_INSTALL_DEPENDENCIES"


def probe_answer(case: Examination, datastore: Datastore, probe: Probe, probed: Probed) -> Answer:
    """Return the answer for the pods of a probe."""
    if probed.result is not None:
        return answer_of_result(case, datastore, probe, probed.result)
    image = main_container(probe.pods[0]).get("image")
    if probed.packages:
        packages = PACKAGES[datastore.kind]
        what = f"pods of {image} cannot install {packages} when they start: {probed.packages}"
        return problem(what, probe.pods, f"install {packages} in the image, and set {SKIP}=1 there")
    if reason := probed.reason:
        what = f"the probe has not started: {reason.what}"
        if reason.code.startswith(("image-", "secret-")):
            return problem(what, probe.pods, reason.remedy)
        return cannot_tell(what, probe.pods, reason.remedy)
    return cannot_tell(f"the probe of {image} has no result: {probed.ended}", probe.pods)


def answer_of_result(
    case: Examination, datastore: Datastore, probe: Probe, failed: Failure
) -> Answer:
    pod = probe.pods[0]
    account = pod.account
    left = remains(case, datastore, probe.object_name, failed)
    if not failed or failed.get("step") == "remove":
        done = f"{datastore.root}: a pod of account {account} wrote and read an object"
        return ok(f"{done}{left or ', and removed it'}", probe.pods)
    what = f"in a pod of account {account}: {what_failed(failed, datastore)}{left}"
    cause = cause_of(failed)
    if cause == "busy":
        return cannot_tell(what, probe.pods, "try again later")
    return problem(what, probe.pods, remedy_in_pod(case, datastore, pod, failed))


def remedy_in_pod(case: Examination, datastore: Datastore, pod: FlowPod, failed: Failure) -> str:
    """Return what to do about a failure in a pod."""
    cause = cause_of(failed)
    if cause == "library":
        packages = PACKAGES[datastore.kind].removesuffix(" requests")
        image = main_container(pod).get("image")
        if (case.project.root / "Dockerfile").exists():
            return f"uv add {packages} && uv run k8s image --bump --push"
        return f"install {packages} in {image}, or unset {SKIP}, so that pods do it"
    if cause == "bucket":
        return make_bucket(case, datastore)
    if cause == "right":
        return give_right(failed, datastore)
    if cause == "login":
        return log_in(case, datastore, pod)
    address = "AWS_ENDPOINT_URL_S3 of their Secret, or METAFLOW_S3_ENDPOINT_URL,"
    address = address if datastore.kind == "s3" else "the datastore's address"
    return f"check the cluster's network, and that {address} is right inside the cluster"


def log_in(case: Examination, datastore: Datastore, pod: FlowPod) -> str:
    """Return the command that gives pods other credentials, to paste."""
    if datastore.kind != "s3":
        account = pod.account
        return f"bind the service account {account} to an identity that may use {datastore.root}"
    keys = "KEY and SECRET are those of the bucket"
    if secret := secret_of_keys(case, pod):
        patch = f'{{"stringData": {{"{KEY}": "KEY", "AWS_SECRET_ACCESS_KEY": "SECRET"}}}}'
        return f"{case.kubectl(f'patch secret {secret} --type=merge -p')} '{patch}'  # {keys}"
    values = f"--from-literal={KEY}=KEY --from-literal=AWS_SECRET_ACCESS_KEY=SECRET"
    create = case.kubectl(f"create secret generic datastore {values}")
    return f'{create}  # {keys}; then secrets = ["datastore"] in k8s.toml'


def secret_of_keys(case: Examination, pod: FlowPod) -> str:
    """Return the Secret of a pod that has the key of S3; empty if none has it."""
    names = secret_names(pod)
    try:
        for name in reversed(names):  # the last one wins
            found = case.view.get(SECRETS, name) or {}
            if KEY in (found.get("data") or {}):
                return name
    except NotAllowed:
        return names[-1] if names else ""
    return ""
