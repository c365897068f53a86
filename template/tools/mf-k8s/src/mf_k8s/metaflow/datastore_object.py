"""Writes, reads and removes one object of a datastore. Also a script, of which pods get the text.

So it needs only the standard library, on Python 3.9, and the client that Metaflow's pods have. As
a script its arguments are the kind of datastore, the root and the object's name; it writes its
result, as JSON, to where Kubernetes takes the message of a container that has ended.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

CONTENT = b"Written by `k8s doctor`, which removes it.\n"
# Metaflow tries again for half an hour, 60 seconds each time (aws_retry in s3util.py).
BRIEFLY: dict[str, Any] = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}
Failure = dict[str, Any]
Action = Callable[[], Any]
MESSAGE_FILE = "/dev/termination-log"
CLIENTS = {"s3": "boto3", "gs": "google-cloud-storage", "azure": "azure-storage-blob"}


def split_root(root: str, name: str) -> tuple[str, str]:
    """Return the bucket or container, and the key of an object below its folder."""
    container, _, folder = root.partition("://")[2 if "://" in root else 0].partition("/")
    return container, "/".join(part for part in (folder.strip("/"), name) if part)


def actions(kind: str, client: Any, container: str, key: str) -> tuple[Action, Action, Action]:
    """Return functions that write, read and remove an object."""
    if kind == "s3":
        where = {"Bucket": container, "Key": key}
        return (
            lambda: client.put_object(Body=CONTENT, **where),
            lambda: client.get_object(**where)["Body"].read(),
            lambda: client.delete_object(**where),
        )
    if kind == "gs":
        blob = client.bucket(container).blob(key)
        brief = {"timeout": 10, "retry": None}
        return (
            lambda: blob.upload_from_string(CONTENT, **brief),
            lambda: blob.download_as_bytes(**brief),
            lambda: blob.delete(**brief),
        )
    blob = client.get_blob_client(container, key)
    return (
        lambda: blob.upload_blob(CONTENT, timeout=10),
        lambda: blob.download_blob(timeout=10).readall(),
        lambda: blob.delete_blob(timeout=10),
    )


def failure(step: str, error: Exception) -> Failure:
    """Return what is known of an error: an answer of the datastore has a status."""
    answer = getattr(error, "response", None)
    details = answer.get("Error", {}) if isinstance(answer, dict) else {}
    status = getattr(error, "status_code", getattr(error, "code", None))
    if details:
        status = (answer or {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = details.get("Code") or getattr(error, "error_code", None) or type(error).__name__
    # without the query of a URL, which may be signed
    text = " ".join(word.partition("?")[0] for word in str(error).split())[:500]
    return {
        "step": step,
        "code": str(code),
        "status": int(str(status)) if str(status).isdigit() else 0,
        "text": str(details.get("Message") or text),
    }


def attempt(step: str, action: Action) -> Failure:
    try:
        action()
    except Exception as error:
        return failure(step, error)
    return {}


def try_object(kind: str, client: Any, root: str, name: str) -> Failure:
    """Write, read and remove an object; return the first failure, or nothing.

    In `left` is why it could not be removed. It is removed also on an interruption, and where
    nobody has said whether it was written.
    """
    write, read, remove = actions(kind, client, *split_root(root, name))
    failed: Failure = {}
    answered = False
    try:
        failed = attempt("write", write)
        answered = bool(failed.get("status"))
        failed = failed or attempt("read", read)
    finally:
        left = {} if answered else attempt("remove", remove)
    if left and failed.get("step") != "write":
        failed = {**(failed or left), "left": left["text"]}
    return failed


def plain_client(kind: str) -> Any:
    """Return a client as what Metaflow's pods fetch their code with."""
    if kind == "s3":
        import boto3
        from botocore.config import Config

        address = os.environ.get("METAFLOW_S3_ENDPOINT_URL")
        return boto3.client("s3", config=Config(**BRIEFLY), endpoint_url=address or None)
    if kind == "gs":
        from google.cloud import storage

        return storage.Client()
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    address = os.environ["METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT"]
    return BlobServiceClient(address, credential=DefaultAzureCredential())


def in_a_pod(kind: str, root: str, name: str) -> Failure:
    try:
        client = plain_client(kind)
    except ImportError as error:
        return failure("library", error)
    except Exception as error:
        return failure("client", error)
    return try_object(kind, client, root, name)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    result = json.dumps(in_a_pod(*sys.argv[1:4]))
    try:
        with open(MESSAGE_FILE, "w") as file:
            file.write(result)
    except OSError:
        pass
    print(result)
