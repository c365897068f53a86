"""Asks the datastore that Metaflow is configured with for one name in it. A script.

It prints why the datastore cannot be used, and ends with code 3 then. Where it cannot tell, as
without the right to list or the code of an MFA device, it ends with 0: Metaflow's create finds out.

With a third argument it writes, reads and removes an object of this name below the root, and prints
as JSON what datastore_object.try_object returns.
"""

import json
import re
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .datastore_object import BRIEFLY, Failure, failure, try_object

CANNOT_BE_USED = 3
# Of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: no other try helps.
FATAL = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NoSuchBucket",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}
# Not implemented, by a server that can do little more than S3's objects; too many requests, or too
# busy (SlowDown), which passes.
NO_ANSWER = (429, 501, 503)
LOG_IN = "log in, name a profile in AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
CLIENTS = ("azure.", "google.", "requests.")  # whose errors say why there is no answer


def s3_client() -> Any:
    """Return Metaflow's own client of S3, which gives up soon."""
    from botocore.config import Config
    from metaflow.metaflow_config import DATATOOLS_CLIENT_PARAMS, DATATOOLS_SESSION_VARS
    from metaflow.plugins.aws.aws_client import get_aws_client

    own = DATATOOLS_CLIENT_PARAMS.get("config") or {}
    config = (Config(**own) if isinstance(own, Mapping) else own).merge(Config(**BRIEFLY))
    parameters = {**DATATOOLS_CLIENT_PARAMS, "config": config}
    return get_aws_client("s3", session_vars=DATATOOLS_SESSION_VARS, client_params=parameters)


def gs_client() -> Any:
    from metaflow.plugins.gcp.gs_storage_client_factory import get_gs_storage_client

    return get_gs_storage_client()


def azure_client() -> Any:
    from metaflow.plugins.azure.blob_service_client_factory import get_azure_blob_service_client

    return get_azure_blob_service_client()


CLIENT: dict[str, Callable[[], Any]] = {"s3": s3_client, "gs": gs_client, "azure": azure_client}


def ask_s3(bucket: str, folder: str) -> str:
    """Return why a bucket of S3 cannot be used, with the credentials that were; empty if it can."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        s3_client().list_objects_v2(Bucket=bucket, Prefix=folder, MaxKeys=1)
    except NoCredentialsError:
        return f"there are no AWS credentials{credentials()}: {LOG_IN}"
    except BotoCoreError as error:
        return re.sub(r'\?[^"]*', "", str(error)) + credentials()  # without a URL's query
    except ClientError as error:
        details = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if details["Code"] in FATAL or (status >= 500 and status not in NO_ANSWER):
            return f"{details['Code']}: {details.get('Message', '')}{credentials()}"
    return ""


def credentials() -> str:
    """Return which credentials boto3 uses, in brackets; never themselves."""
    from boto3 import Session
    from botocore.exceptions import BotoCoreError

    try:
        session = Session()
        found = session.get_credentials()
    except BotoCoreError:
        return ""  # the profile is what was wrong
    if found and found.method == "env":
        return " (credentials: AWS_ACCESS_KEY_ID)"
    return f" (credentials: {found.method if found else 'none'}, profile {session.profile_name})"


def ask_gs(bucket: str, folder: str) -> str:
    next(
        iter(gs_client().list_blobs(bucket, prefix=folder, max_results=1, timeout=10, retry=None)),
        None,
    )
    return ""


def ask_azure(container: str, _folder: str) -> str:
    azure_client().get_container_client(container).get_container_properties(timeout=5)
    return ""


ASK: dict[str, Callable[[str, str], str]] = {"s3": ask_s3, "gs": ask_gs, "azure": ask_azure}


def ask(kind: str, root: str) -> str:
    """Return why a datastore cannot be used; empty if it can, or if that cannot be told."""
    container, _, folder = root.partition("://")[2].partition("/")
    if "://" not in root:  # as of Azure
        container, _, folder = root.partition("/")
    try:
        return ASK[kind](container, folder)
    except Exception as error:
        status = getattr(error, "status_code", getattr(error, "code", None))
        is_answer = type(error).__module__.startswith(CLIENTS) and status not in (403, *NO_ANSWER)
        return " ".join(f"{type(error).__name__}: {error}".split()) if is_answer else ""


def write_read_remove(kind: str, root: str, name: str) -> Failure:
    """Return what failed, with the credentials that were used; nothing if all succeeded."""
    try:
        failed = try_object(kind, CLIENT[kind](), root, name)
    except Exception as error:
        failed = failure("client", error)
    return {**failed, "credentials": credentials()} if failed and kind == "s3" else failed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if len(sys.argv) > 3:
        print(json.dumps(write_read_remove(*sys.argv[1:])))
        sys.exit()
    if problem := ask(*sys.argv[1:]):
        print(problem)
        sys.exit(CANNOT_BE_USED)
