"""The rule datastore: an object is written, read and removed from here."""

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from cluster_manifests import healthy
from examinations import examination, line, shown
from mf_k8s.deploy.datastore import start_asking
from mf_k8s.doctor.datastore import Datastore, object_name
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.rules import datastore
from mf_k8s.metaflow.datastore_object import failure, in_a_pod, try_object
from mf_k8s.project.project import Project
from s3_server import Refusals, serve_objects
from simulated_cluster import Cluster, Simulate

KEYS = {"AWS_ACCESS_KEY_ID": "ann", "AWS_SECRET_ACCESS_KEY": "sesame", "METAFLOW_HOME": "/nowhere"}
ROOT = "s3://bucket/metaflow"


def case_of(cluster: Cluster, folder: Path, address: str, **more: str) -> Examination:
    """Return the examination of a place whose datastore is S3 at an address."""
    cluster.variables |= {
        **KEYS,
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": ROOT,
        "METAFLOW_S3_ENDPOINT_URL": address,
        **more,
    }
    return examination(cluster, project=Project(folder, "churn_model"))


def test_a_bucket_and_none(simulate: Simulate, s3: dict[str, str], tmp_path: Path) -> None:
    """Nothing is left in the bucket, and the printed command makes one that is missing."""
    address, cluster = s3["METAFLOW_S3_ENDPOINT_URL"], simulate(*healthy())
    case = case_of(cluster, tmp_path, address)
    assert shown(case, "datastore") == [
        f"ok: {ROOT}: an object was written and read from here, and removed"
    ]
    keys = {"aws_access_key_id": "ann", "aws_secret_access_key": "sesame"}
    client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)
    listed = client.list_objects_v2(Bucket="bucket", Prefix="metaflow/k8s-doctor")
    assert listed["KeyCount"] == 0
    case = case_of(cluster, tmp_path, address, METAFLOW_DATASTORE_SYSROOT_S3="s3://gone/metaflow/")
    by_key = " (credentials: AWS_ACCESS_KEY_ID)"
    assert shown(case, "datastore") == [
        "problem: there is no bucket gone: METAFLOW_DATASTORE_SYSROOT_S3 is s3://gone/metaflow"
        f"{by_key} | uvx --from awscli aws s3 mb s3://gone --endpoint-url {address}"
    ]
    assert not cluster.requests and not cluster.written


LEFT = (
    f"; {ROOT}/NAME could not be removed (No); `uvx --from awscli aws s3 rm {ROOT}/NAME"
    " --endpoint-url ADDRESS` removes it"
)
POLICY = (
    'add to their policy: {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject",'
    ' "s3:DeleteObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::bucket",'
    ' "arn:aws:s3:::bucket/metaflow/*"]}'
)
LOG_IN = "log in, name a profile in AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(
    ("refusals", "methods", "answer"),
    [
        (
            {"PUT": (403, "AccessDenied")},
            "PUT",
            f"problem: the credentials may not write objects in {ROOT} (AccessDenied: No)"
            f" | {POLICY}",
        ),
        (
            {"GET": (403, "AccessDenied")},
            "PUT GET DELETE",
            f"problem: the credentials may not read objects in {ROOT} (AccessDenied: No)"
            f" | {POLICY}",
        ),
        (
            {"DELETE": (403, "AccessDenied")},
            "PUT GET DELETE",
            f"ok: {ROOT}: an object was written and read from here{LEFT}",
        ),
        (
            {"GET": (403, "AccessDenied"), "DELETE": (403, "AccessDenied")},
            "PUT GET DELETE",
            f"problem: the credentials may not read objects in {ROOT} (AccessDenied: No)"
            f"{LEFT} | {POLICY}",
        ),
        (
            {"PUT": (403, "InvalidAccessKeyId")},
            "PUT",
            f"problem: {ROOT} does not accept the credentials (InvalidAccessKeyId: No) | {LOG_IN}",
        ),
        (
            {"PUT": (404, "XAdminUserNotFound")},
            "PUT",
            f"problem: {ROOT} does not accept the credentials (XAdminUserNotFound: No) | {LOG_IN}",
        ),
        (
            {"PUT": (501, "NotImplemented")},
            "PUT",
            f"cannot tell: {ROOT} cannot be used (NotImplemented: No) | try again later",
        ),
    ],
)
def test_what_is_refused(
    simulate: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    refusals: Refusals,
    methods: str,
    answer: str,
) -> None:
    with serve_objects(refusals) as (requests, address):
        case = case_of(simulate(*healthy()), tmp_path, address)
        for name in (*KEYS, "METAFLOW_S3_ENDPOINT_URL"):
            monkeypatch.setenv(name, case.target.variables[name])
        name = object_name()
        failed = in_a_pod("s3", ROOT, name)  # without Metaflow, whose import takes its time
    found = line(datastore.answer(case, Datastore("s3", ROOT), name, failed))
    assert found.replace(name, "NAME").replace(address, "ADDRESS") == answer
    assert requests[0].startswith("PUT /bucket/metaflow/k8s-doctor-")
    assert " ".join(dict.fromkeys(request.split()[0] for request in requests)) == methods
    assert len({request.split()[1] for request in requests}) == 1


def test_nobody_answers(simulate: Simulate, tmp_path: Path) -> None:
    with serve_objects({}) as (_, address):
        pass
    case = case_of(simulate(*healthy()), tmp_path, address)
    (answer,) = shown(case, "datastore")
    assert answer.startswith(f"problem: {ROOT} cannot be used (EndpointConnectionError: Could not")
    assert "left" not in answer and "could not be removed" not in answer


def test_an_interruption_removes_the_object(simulate: Simulate, tmp_path: Path) -> None:
    with serve_objects({}, silent="GET") as (requests, address):
        case = case_of(simulate(*healthy()), tmp_path, address)
        name = object_name()
        with start_asking(case.target, tmp_path, *Datastore("s3", ROOT), name) as process:
            while not any(request.startswith("GET") for request in requests):
                time.sleep(0.05)
            process.terminate()
            process.wait(10)
    assert process.returncode == 128 + 15
    assert requests[-1] == f"DELETE /bucket/metaflow/{name}"


def test_no_datastore(simulate: Simulate, tmp_path: Path) -> None:
    cluster = simulate(*healthy())
    case = case_of(cluster, tmp_path, "", METAFLOW_DEFAULT_DATASTORE="local")
    (answer,) = shown(case, "datastore")
    assert answer.startswith(
        "problem: Metaflow's configuration has no datastore that pods can reach"
    )
    case = case_of(cluster, tmp_path, "", METAFLOW_DATASTORE_SYSROOT_S3="")
    (answer,) = shown(case, "datastore")
    assert "has no METAFLOW_DATASTORE_SYSROOT_S3 | set it, to a folder like s3://" in answer


class Blob:
    """An object of Google's or Azure's library, which keeps nothing."""

    def __init__(self, calls: list[str], key: str) -> None:
        self.calls, self.key = calls, key

    def __getattr__(self, name: str) -> Any:
        if name in ("bucket", "blob", "get_blob_client"):
            return lambda *keys: Blob(self.calls, "/".join(filter(None, (self.key, *keys))))

        def call(*_: Any, **__: Any) -> "Blob":
            self.calls.append(f"{name} {self.key}")
            return self

        return call


@pytest.mark.parametrize(
    ("kind", "root", "calls"),
    [
        ("gs", "gs://bucket/a/b", ["upload_from_string", "download_as_bytes", "delete"]),
        ("azure", "bucket/a/b", ["upload_blob", "download_blob", "readall", "delete_blob"]),
    ],
)
def test_other_clouds(kind: str, root: str, calls: list[str]) -> None:
    done: list[str] = []
    assert try_object(kind, Blob(done, ""), root, "name") == {}
    assert done == [f"{call} bucket/a/b/name" for call in calls]


def test_the_query_of_an_address_is_not_shown() -> None:
    """It may be signed, as of Azure."""
    error = OSError("no answer of https://a.example/c/name?sig=sesame&se=1 today")
    failed = failure("write", error)
    assert failed["text"] == "no answer of https://a.example/c/name today"
    assert "sesame" not in json.dumps(failed)
