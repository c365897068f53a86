"""What rules about the datastore share: which it is, and what to do about what failed in it."""

import json
import shlex
import subprocess
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..deploy.datastore import ROOTS, names_datastore, start_asking
from ..metaflow.ask_datastore import FATAL, NO_ANSWER
from ..metaflow.datastore_object import CLIENTS, split_root
from .examination import Examination

ANSWER_TIMEOUT_S = 60  # of three requests, with Metaflow's import
END_TIMEOUT_S = 25  # in which an interrupted script removes its object
Failure = Mapping[str, Any]

NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "NotFound"}  # of S3, Azure and Google
NO_LOGIN = {
    *(FATAL - NO_BUCKET),
    *("AuthenticationFailed", "ClientAuthenticationError", "CredentialRetrievalError"),
    *("CredentialUnavailableError", "DefaultCredentialsError", "NoCredentialsError"),
    *("PartialCredentialsError", "ProfileNotFound", "RefreshError", "SSOTokenLoadError"),
    *("TokenRetrievalError", "UnauthorizedSSOTokenError"),
    "XAdminUserNotFound",  # Versity, of a key that it does not know
}
BUSY = NO_ANSWER
RIGHTS = {  # of an account, to do a step
    "s3": {"write": "s3:PutObject", "read": "s3:GetObject"},
    "gs": dict.fromkeys(("write", "read"), "roles/storage.objectUser"),
    "azure": dict.fromkeys(("write", "read"), "Storage Blob Data Contributor"),
}


class Datastore(NamedTuple):
    """Where Metaflow keeps what flows make."""

    kind: str  # s3, gs or azure
    root: str

    def place(self, name: str) -> str:
        """Return the address of an object below the root."""
        container, key = split_root(self.root, name)
        scheme, separator, _ = self.root.rpartition("://")
        return f"{scheme}{separator}{container}/{key}"


def datastore_of(case: Examination) -> Datastore | None:
    """Return the datastore that the place is configured with; None for none that pods reach."""
    setting = case.target.configuration.setting
    kind = setting("DEFAULT_DATASTORE")
    root = setting(f"DATASTORE_SYSROOT_{kind.upper()}")
    return Datastore(kind, root.rstrip("/")) if kind in ROOTS and root else None


def flows_name_datastore(case: Examination) -> bool:
    return names_datastore(case.project, case.files)


def object_name() -> str:
    """Return a name that no other object has."""
    return f"k8s-doctor-{uuid.uuid4().hex}"


def try_from_here(case: Examination, datastore: Datastore, name: str) -> Failure:
    """Write, read and remove an object with the credentials of this place; return what failed.

    By a script: Metaflow reads its configuration once, when it is imported. If it is interrupted,
    it removes the object first.
    """
    with start_asking(case.target, case.project.root, *datastore, name) as process:
        try:
            output, _ = process.communicate(timeout=ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return {"code": "timeout", "text": f"no answer within {ANSWER_TIMEOUT_S} s"}
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(END_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
    ended = {"code": "no result", "text": "the script that asks it has ended"}
    result = read_result(output)
    return ended if result is None else result


def read_result(text: str) -> Failure | None:
    """Return the result of a script, which is the last line that it printed; None if there is none.

    An empty result says that nothing failed.
    """
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return found if isinstance(found, dict) and (not found or "code" in found) else None


def cause_of(failed: Failure) -> str:
    """Return of what kind a failure is: library, bucket, login, right, busy or other."""
    code, status = failed.get("code"), failed.get("status", 0)
    if failed.get("step") == "library":
        return "library"
    if code in NO_BUCKET and failed.get("step") == "write":
        return "bucket"
    if code in NO_LOGIN or status == 401:
        return "login"
    if status == 403:
        return "right"
    return "busy" if status in BUSY else "other"


def what_failed(failed: Failure, datastore: Datastore) -> str:
    """Return what is wrong, without where it was asked from."""
    bucket, _ = split_root(datastore.root, "")
    text, step = f"{failed.get('code')}: {failed.get('text')}", failed.get("step")
    cause = cause_of(failed)
    if cause == "library":
        return f"the image has no {CLIENTS[datastore.kind]}"
    if cause == "bucket":
        setting = f"METAFLOW_DATASTORE_SYSROOT_{datastore.kind.upper()}"
        return f"there is no bucket {bucket}: {setting} is {datastore.root}"
    if cause == "login":
        return f"{datastore.root} does not accept the credentials ({text})"
    if cause == "right":
        return f"the credentials may not {step} objects in {datastore.root} ({text})"
    return f"{datastore.root} cannot be used ({text})"


def make_bucket(case: Examination, datastore: Datastore) -> str:
    """Return the command that makes the bucket, to paste."""
    bucket, _ = split_root(datastore.root, "")
    if datastore.kind == "gs":
        return f"gcloud storage buckets create gs://{bucket}"
    if datastore.kind == "azure":
        return f"az storage container create --auth-mode login --account-name ACCOUNT -n {bucket}"
    return f"{login(case)}uvx --from awscli aws s3 mb s3://{bucket}{endpoint(case)}"


def remove_object(case: Examination, datastore: Datastore, name: str) -> str:
    """Return the command that removes an object that was left, to paste."""
    container, key = split_root(datastore.root, name)
    if datastore.kind == "gs":
        return f"gcloud storage rm gs://{container}/{key}"
    if datastore.kind == "azure":
        names = f"--account-name ACCOUNT -c {container} -n {key}"
        return f"az storage blob delete --auth-mode login {names}"
    return f"{login(case)}uvx --from awscli aws s3 rm s3://{container}/{key}{endpoint(case)}"


def login(case: Examination) -> str:
    """Return what gives a shell the credentials of the development cluster."""
    is_kind = case.target.environment.name == "kind"
    return 'eval "$(uv run k8s kind env)"; ' if is_kind else ""


def remains(case: Examination, datastore: Datastore, name: str, failed: Failure) -> str:
    """Return which object is left and how to remove it, if one is."""
    if "left" not in failed:
        return ""
    why = f"could not be removed ({failed['left']})"
    command = remove_object(case, datastore, name)
    return f"; {datastore.place(name)} {why}; `{command}` removes it"


def endpoint(case: Examination) -> str:
    """Return the option of the aws command for a server that is not Amazon's."""
    variables = case.target.variables
    address = variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL")
    address = case.target.configuration.setting("S3_ENDPOINT_URL") or address
    return f" --endpoint-url {shlex.quote(address)}" if address else ""


def give_right(failed: Failure, datastore: Datastore) -> str:
    """Return which right to add for a step that was refused."""
    right = RIGHTS[datastore.kind].get(str(failed.get("step")), "")
    if datastore.kind != "s3":
        return f"give their account {right} on {split_root(datastore.root, '')[0]}"
    statement = {
        "Effect": "Allow",
        "Action": [*RIGHTS["s3"].values(), "s3:DeleteObject", "s3:ListBucket"],
        "Resource": [
            f"arn:aws:s3:::{split_root(datastore.root, '')[0]}",
            f"arn:aws:s3:::{'/'.join(split_root(datastore.root, '*'))}",
        ],
    }
    return f"add to their policy: {json.dumps(statement)}"
