"""Good answers reach the project's files; bad ones are refused with what would be right."""

import ast
import json
import keyword
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import EXAMPLE, QUESTIONS

ADVANCED_QUESTIONS = {
    "image_pull_secrets",
    "secrets",
    "node_selector",
    "tolerations",
    "metadata_service_url",
}
COMPUTED = {"organisation", "schema", "package_name", "environments"}
DIGEST = "sha256:" + "0123456789abcdef" * 4
NAMED = "lower-case letters, digits"
MOUNTED = "Like /cache: an absolute path"
CLAIMED = "Like data:/data, not "
VOLUME = "at most 63 lower-case letters, digits and hyphens"
ROOT_FORMS = "s3://bucket/folder, gs://bucket/folder or, for Azure, container/folder"
TAINT = "key:effect or key=value:effect"
LABEL = "Like pool=gpu, not "
URL = "Like https://example.com"


def exists(key: str, effect: str) -> dict[str, str]:
    return {"key": key, "operator": "Exists", "effect": effect}


def equal(key: str, value: str, effect: str) -> dict[str, str]:
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}


# question: (answer, what the project's file then says; None if the file does not mention it)
GOOD: dict[str, list[tuple[Any, Any]]] = {
    "project_name": [
        ("churn", "churn"),
        ("churn-model", "churn-model"),
        ("a", "a"),
        ("x1", "x1"),
        ("v2-1-0", "v2-1-0"),
        ("a" * 40, "a" * 40),
        ("json-flows", "json-flows"),
        ("true", "true"),
        ("null", "null"),
    ],
    "image": [
        ("churn:1", "churn:1"),
        ("ghcr.io/acme/churn:1.2.3", "ghcr.io/acme/churn:1.2.3"),
        ("localhost:5000/churn:2024-01-31", "localhost:5000/churn:2024-01-31"),
        ("registry.example.com:443/a/b/c:v1_0", "registry.example.com:443/a/b/c:v1_0"),
        ("library/python:3.13-slim", "library/python:3.13-slim"),
        ("my_team/my__model-a.b:latest-1", "my_team/my__model-a.b:latest-1"),
        ("ghcr.io/acme/churn:SHA-AbC", "ghcr.io/acme/churn:SHA-AbC"),
        (f"ghcr.io/acme/churn@{DIGEST}", f"ghcr.io/acme/churn@{DIGEST}"),
        (f"ghcr.io/acme/churn:1.2.3@{DIGEST}", f"ghcr.io/acme/churn:1.2.3@{DIGEST}"),
    ],
    "gpu": [
        (0, None),
        ("0", None),
        (1, 1),
        ("1", 1),
        ("03", 3),
        (2, 2),
        (8, 8),
        (16, 16),
        (1024, 1024),
    ],
    "service_account": [
        ("metaflow", "metaflow"),
        ("trainer.team-a", "trainer.team-a"),
        ("a", "a"),
        ("0", "0"),
        ("123", "123"),
        ("1.5", "1.5"),
        ("true", "true"),
        ("a" * 63, "a" * 63),
        ("a-b-c", "a-b-c"),
    ],
    "shared_memory": [
        (0, None),
        ("0", None),
        (1, 1),
        (64, 64),
        ("8192", 8192),
        (8196, 8196),
        ("65536", 65536),
        (100_000_000, 100_000_000),
    ],
    "persistent_volume_claims": [
        ("", None),
        ("data:/data", {"data": "/data"}),
        ("metaflow-training:/cache", {"metaflow-training": "/cache"}),
        ("a:/x,b:/y", {"a": "/x", "b": "/y"}),
        (" a:/x ,  b:/y\n", {"a": "/x", "b": "/y"}),
        ("a:/cache,b:/cache2", {"a": "/cache", "b": "/cache2"}),
        ("a:/mnt/data,b:/tmp/data", {"a": "/mnt/data", "b": "/tmp/data"}),
        ("0:/metaflow2", {"0": "/metaflow2"}),
        ("data:/srv/Models_v2.1/a-b", {"data": "/srv/Models_v2.1/a-b"}),
    ],
    "cpu": [
        (1, 1),
        ("1", 1),
        ("03", 3),
        (0.5, 0.5),
        ("0.25", 0.25),
        (0.001, 0.001),
        (2.0, 2.0),
        (64, 64),
        (1024, 1024),
    ],
    "memory": [
        (1, 1),
        (512, 512),
        ("4096", 4096),
        ("04096", 4096),
        (4096, 4096),
        (8000, 8000),
        (1_000_000, 1_000_000),
        (100_000_000, 100_000_000),
    ],
    "namespace": [
        ("default", "default"),
        ("team-a", "team-a"),
        ("a", "a"),
        ("1", "1"),
        ("123", "123"),
        ("0a", "0a"),
        ("true", "true"),
        ("a" * 63, "a" * 63),
    ],
    "datastore_root": [
        ("", None),
        ("s3://bucket", ("s3", "s3://bucket")),
        ("s3://my.bucket-1/metaflow", ("s3", "s3://my.bucket-1/metaflow")),
        ("s3://bucket/a/b=c/D_e.f", ("s3", "s3://bucket/a/b=c/D_e.f")),
        ("gs://bucket/metaflow", ("gs", "gs://bucket/metaflow")),
        ("gs://my_bucket", ("gs", "gs://my_bucket")),
        ("container", ("azure", "container")),
        ("my-container/metaflow", ("azure", "my-container/metaflow")),
        ("s3x/gs", ("azure", "s3x/gs")),
    ],
    "image_pull_secrets": [
        ("", None),
        ("regcred", ["regcred"]),
        ("a,b", ["a", "b"]),
        (" a , b\n", ["a", "b"]),
        ("registry.example.com", ["registry.example.com"]),
        ("1", ["1"]),
        ("a-b", ["a-b"]),
        ("a" * 63, ["a" * 63]),
    ],
    "secrets": [
        ("", None),
        ("db-password", ["db-password"]),
        ("a, b, c", ["a", "b", "c"]),
        ("a\n", ["a"]),
        ("team-a.db", ["team-a.db"]),
        ("0", ["0"]),
        ("true", ["true"]),
        ("a.b.c", ["a.b.c"]),
    ],
    "node_selector": [
        ("", None),
        ("pool=gpu", {"pool": "gpu"}),
        ("pool=", {"pool": ""}),
        ("Pool=GPU_1.x", {"Pool": "GPU_1.x"}),
        ("a=1, b=true\n", {"a": "1", "b": "true"}),
        ("example.com/zone=eu-1", {"example.com/zone": "eu-1"}),
        ("a.b=c", {"a.b": "c"}),
        (
            "cloud.google.com/gke-accelerator=nvidia-l4,pool=gpu",
            {"cloud.google.com/gke-accelerator": "nvidia-l4", "pool": "gpu"},
        ),
    ],
    "tolerations": [
        ("", None),
        ("nvidia.com/gpu:NoSchedule", [exists("nvidia.com/gpu", "NoSchedule")]),
        ("gpu:NoExecute", [exists("gpu", "NoExecute")]),
        ("gpu:PreferNoSchedule\n", [exists("gpu", "PreferNoSchedule")]),
        ("team=vision:NoExecute", [equal("team", "vision", "NoExecute")]),
        ("gpu=:NoSchedule", [equal("gpu", "", "NoSchedule")]),
        ("team=true:NoSchedule", [equal("team", "true", "NoSchedule")]),
        (
            "gpu:NoSchedule, team=vision:NoSchedule",
            [exists("gpu", "NoSchedule"), equal("team", "vision", "NoSchedule")],
        ),
    ],
    "metadata_service_url": [
        ("", None),
        ("https://metadata.example.com", ("service", "https://metadata.example.com")),
        ("http://metadata:8080", ("service", "http://metadata:8080")),
        ("http://10.0.0.1:80", ("service", "http://10.0.0.1:80")),
        ("https://example.com/metadata", ("service", "https://example.com/metadata")),
        ("https://example.com/a/b_c~d.e/", ("service", "https://example.com/a/b_c~d.e/")),
        ("http://localhost", ("service", "http://localhost")),
        ("http://meta.ns:8080/", ("service", "http://meta.ns:8080/")),
    ],
}

# What each message says first: in a terminal of 80 columns Copier shows no more than that.
REMEDIES: dict[str, tuple[str, ...]] = {
    "project_name": ("Like ",),
    "image": ("A fixed tag: ghcr.io/acme/churn:1.2.3", "Lower case before the tag"),
    "gpu": ("Whole number, like 1, or 0 for none",),
    "service_account": ("Like metaflow or team-a",),
    "shared_memory": ("Whole number of MiB, like 8192",),
    "persistent_volume_claims": (
        *("Like data:/data", "Like /cache", "Like my-claim"),
        *("Name a claim once", "Separate paths", "Not /"),
    ),
    "cpu": ("Number above 0, like 2 or 0.5",),
    "memory": ("Whole number of MB, like 16000",),
    "namespace": ("Like team-a",),
    "datastore_root": ("Like s3://bucket/folder",),
    "image_pull_secrets": ("Like team-a",),
    "secrets": ("Like team-a",),
    "node_selector": ("Like pool=gpu", "Name a label once"),
    "tolerations": ("Like nvidia.com/gpu:NoSchedule",),
    "metadata_service_url": ("Like https://example.com",),
}
# question: (answer, what its message says would be right)
BAD: dict[str, list[tuple[Any, str]]] = {
    "project_name": [
        ("", "Like my-flows:"),
        ("Churn", "Like churn:"),
        ("churn_model", "Like churn-model:"),
        ("Bad_Name", "lower-case letters, digits and single hyphens"),
        ("2churn", "Like churn:"),
        ("-churn", "Like churn:"),
        ("churn-", "Like churn:"),
        ("churn--model", "Like churn-model:"),
        ("a" * 41, "at most 40"),
        ("churn\n", "Like churn:"),
        ("churn model", "Like churn-model:"),
        ("churn/model", "Like churn-model:"),
        ("chürn", "lower-case letters"),
        ("class", "a Python keyword or module"),
        ("lambda", "Like lambda-flows:"),
        ("json", "Like json-flows:"),
        ("py-compile", "Like py-compile-flows:"),
        ("metaflow", "Like metaflow-flows:"),
        ("scikit-learn", "which the project's own package would hide"),
        ("flows", "Like flows-flows:"),
        ("tests", "something that the project needs"),
    ],
    "image": [
        ("", "A fixed tag"),
        ("churn", "latest, or no tag, is refused"),
        ("ghcr.io/acme/churn", "ghcr.io/acme/churn:1.2.3"),
        ("localhost:5000/churn", "latest, or no tag, is refused"),
        ("churn:latest", "a node keeps the stale image, and kind cannot load it"),
        ("ghcr.io/acme/churn:latest\n", "latest, or no tag, is refused"),
        ("churn:", "fixed tag"),
        ("churn:1\n", "ghcr.io/acme/churn:1.2.3"),
        ("churn:1 ", "ghcr.io/acme/churn:1.2.3"),
        ("churn:-1", "ghcr.io/acme/churn:1.2.3"),
        ("Image:With Caps", "lower case"),
        ("ghcr.io/Acme/churn:1", "Lower case before the tag"),
        ("https://ghcr.io/acme/churn:1", "ghcr.io/acme/churn:1.2.3"),
        ("churn:" + "1" * 129, "fixed tag"),
        ("a" * 260 + ":1", "ghcr.io/acme/churn:1.2.3"),
        (f"churn@{DIGEST[:-1]}", "a whole sha256 digest"),
        (f"churn@{DIGEST}0", "a whole sha256 digest"),
        (f"churn@{DIGEST.upper()}", "a whole sha256 digest"),
        (f"churn:1@{DIGEST}\n", "a whole sha256 digest"),
        (f"churn:latest@{DIGEST[:20]}", "a whole sha256 digest"),
        ("churn@sha512:" + "0" * 64, "a whole sha256 digest"),
    ],
    "gpu": [
        (-1, "Whole number, like 1"),
        ("-1", "Whole number, like 1"),
        (0.5, "A GPU cannot be split: a MIG slice goes into"),
        ("1.0", "Whole number"),
        (True, "Whole number"),
        ("true", "Whole number"),
        ("two", "Whole number"),
        ("", "Whole number"),
        ("1 gpu", "Whole number"),
        ("[1]", "Whole number"),
        ("{nvidia: 1}", "Whole number"),
        (1025, "Whole number"),
    ],
    "service_account": [
        ("Meta_Flow", NAMED),
        ("", "Like metaflow or team-a"),
        ("meta_flow", NAMED),
        ("-metaflow", "beginning and ending with a letter or digit"),
        ("metaflow-", "beginning and ending with a letter or digit"),
        (".metaflow", "beginning and ending with a letter or digit"),
        ("team..a", NAMED),
        ("metaflow\n", NAMED),
        ("meta flow", NAMED),
        ("system:serviceaccount:metaflow", NAMED),
        ("a" * 64, NAMED),
        (".".join(["a" * 63] * 4), NAMED),
    ],
    "shared_memory": [
        ("8Gi", "Whole number of MiB, like 8192"),
        ("64M", "MiB"),
        (-1, "Whole number of MiB"),
        ("-8192", "Whole number of MiB"),
        (0.5, "Whole number of MiB"),
        ("8192.0", "Whole number of MiB"),
        (True, "Whole number of MiB"),
        ("", "or 0 for the node's default"),
        ("1,024", "Whole number of MiB"),
        ("none", "or 0 for the node's default"),
        (100_000_001, "Whole number of MiB"),
    ],
    "persistent_volume_claims": [
        ("data", CLAIMED),
        ("data:", CLAIMED),
        ("data=/data", CLAIMED),
        (":/data", CLAIMED),
        ("a:/x,", CLAIMED),
        ("a:/x,,b:/y", CLAIMED),
        ("data:data", MOUNTED),
        ("data:./data", MOUNTED),
        ("data: /data", MOUNTED),
        ("data:/data:ro", MOUNTED),
        ("data:/data/", MOUNTED),
        ("data:/a//b", MOUNTED),
        ("data:/a/../b", MOUNTED),
        ("data:/a b", MOUNTED),
        ("data:/a\n/b", MOUNTED),
        ("a:/x;b:/y", MOUNTED),
        ("data:/", "not /tmp, /dev/shm, /usr or a folder that Metaflow or Argo uses"),
        ("data:/tmp", "not /tmp"),
        ("data:/dev/shm", "Not /dev/shm. Like /cache"),
        ("data:/dev", "Not /dev. Like /cache"),
        ("data:/metaflow", "a folder that Metaflow or Argo uses"),
        ("data:/metaflow/cache", "a folder that Metaflow or Argo uses"),
        ("data:/mnt/out", "a folder that Metaflow or Argo uses"),
        ("data:/mnt", "a folder that Metaflow or Argo uses"),
        ("data:/var/run/argo", "a folder that Metaflow or Argo uses"),
        ("Data:/data", VOLUME),
        ("my_data:/data", VOLUME),
        ("a" * 64 + ":/data", VOLUME),
        ("a:/x,b:/x", "Separate paths: /x and /x lie inside one another"),
        ("a:/x,b:/x/y", "/x/y and /x lie inside one another"),
        ("a:/x/y/z,b:/w,c:/x", "/x and /x/y/z lie inside one another"),
        ("a:/x,a:/y", "a is given twice, and Metaflow mounts it at one path"),
    ],
    "cpu": [
        (0, "Number above 0, like 2 or 0.5"),
        (-1, "Number above 0"),
        ("-0.5", "Number above 0"),
        (0.0001, "Number above 0"),
        ("500m", "like 2 or 0.5"),
        ("1,5", "like 2 or 0.5"),
        ("two", "Number above 0"),
        (True, "Number above 0"),
        ("", "Number above 0"),
        (".inf", "Number above 0"),
        (".nan", "Number above 0"),
        (1025, "Number above 0"),
    ],
    "memory": [
        (0, "Whole number of MB"),
        (-1, "Whole number of MB"),
        (0.5, "Whole number of MB"),
        ("4096.5", "Whole number of MB"),
        ("8Gi", "like 16000"),
        ("8 GB", "like 16000"),
        (True, "Whole number of MB"),
        ("", "Whole number of MB"),
        ("lots", "Whole number of MB"),
        (100_000_001, "Whole number of MB"),
    ],
    "namespace": [
        ("", NAMED),
        ("Team", NAMED),
        ("team_a", NAMED),
        ("team.a", NAMED),
        ("-team", "a letter or digit at both ends"),
        ("team-", "a letter or digit at both ends"),
        ("team a", NAMED),
        ("team/a", NAMED),
        ("team\n", NAMED),
        ("a" * 64, "at most 63"),
    ],
    "datastore_root": [
        ("s3://", ROOT_FORMS),
        ("s3://b", ROOT_FORMS),
        ("s3:/bucket/metaflow", ROOT_FORMS),
        ("S3://bucket", ROOT_FORMS),
        ("s3://Bucket/metaflow", ROOT_FORMS),
        ("s3://bucket/", "without a slash at the end"),
        ("s3://bucket//metaflow", ROOT_FORMS),
        ("s3://bucket/metaflow\n", ROOT_FORMS),
        ("gs://bucket/a b", ROOT_FORMS),
        ("https://bucket.s3.amazonaws.com", ROOT_FORMS),
        ("/mnt/metaflow", ROOT_FORMS),
        ("ab", ROOT_FORMS),
        ("a--b/metaflow", ROOT_FORMS),
        ("Container/metaflow", ROOT_FORMS),
        ("a-" * 32 + "b/metaflow", ROOT_FORMS),
        ("container/", "without a slash at the end"),
        (" ", "empty"),
    ],
    "image_pull_secrets": [
        ("RegCred", NAMED),
        ("reg_cred", NAMED),
        ("reg cred", NAMED),
        ("regcred,", NAMED),
        ("a,,b", NAMED),
        ("a;b", NAMED),
        ("a\nb", NAMED),
        ("-a", "a letter or digit at both ends"),
        ("a, b-", "a letter or digit at both ends"),
        ("a..b", NAMED),
        (".".join(["a" * 63] * 4), "at most 253"),
    ],
    "secrets": [
        ("DB_PASSWORD", NAMED),
        ("db_password", NAMED),
        ("db password", NAMED),
        ("a,", NAMED),
        (",", NAMED),
        ("a/b", NAMED),
        ("arn:aws:secretsmanager:eu-1:1:secret:x", NAMED),
        ("a, B", NAMED),
        ("a\nb", NAMED),
        (".a", "a letter or digit at both ends"),
    ],
    "node_selector": [
        ("pool", LABEL),
        ("pool:gpu", LABEL),
        ("=gpu", LABEL),
        ("pool=gpu,", LABEL),
        ("pool=a b", LABEL),
        ("pool=a\nb", LABEL),
        ("pool=-a", LABEL),
        ("_pool=a", LABEL),
        ("/pool=a", LABEL),
        ("a/b/c=d", LABEL),
        ("Example.com/zone=a", LABEL),
        ("a" * 64 + "=b", LABEL),
        ("a=" + "b" * 64, LABEL),
        ("pool=a, pool=b", "pool is given twice, and a node has one value of it"),
    ],
    "tolerations": [
        ("gpu", TAINT),
        ("gpu:", "the effect is NoSchedule, PreferNoSchedule or NoExecute"),
        ("gpu:noschedule", "the effect is NoSchedule, PreferNoSchedule or NoExecute"),
        ("gpu=NoSchedule", TAINT),
        (":NoSchedule", TAINT),
        ("=a:NoSchedule", TAINT),
        ("gpu=a b:NoSchedule", TAINT),
        ("gpu=a:NoSchedule:60", TAINT),
        ("gpu:NoSchedule-", TAINT),
        ("-gpu:NoSchedule", TAINT),
        ("a/b/c:NoSchedule", TAINT),
        ("gpu:NoSchedule,", "Like nvidia.com/gpu:NoSchedule"),
        ("gpu:NoSchedule, team", TAINT),
        ("gpu:No\nSchedule", TAINT),
    ],
    "metadata_service_url": [
        ("metadata.example.com", URL),
        ("ftp://metadata.example.com", URL),
        ("https://", URL),
        ("https:/metadata", URL),
        ("HTTPS://metadata", URL),
        ("https://meta data", URL),
        ("https://metadata\n", URL),
        ("https://metadata:port", URL),
        ("https://-metadata", URL),
        ("https://user:password@metadata", URL),
        ("https://metadata?token=1", URL),
        (" ", "empty"),
    ],
}


def load(project: Path, name: str) -> dict[str, Any]:
    """Parse one file of a project by a parser that is not the template's."""
    parsers = {".toml": tomllib.loads, ".json": json.loads, ".yml": yaml.safe_load}
    return parsers[Path(name).suffix]((project / name).read_text())


def said(project: Path, question: str) -> Any:
    """Give what the file of a question's answer says, or None if it does not mention it."""
    if question == "project_name":
        return load(project, "pyproject.toml")["project"]["name"]
    if question not in ("namespace", "datastore_root", "metadata_service_url"):
        return load(project, "k8s.toml").get(question)
    prod = load(project, "environments/prod.json")
    if question == "namespace":
        return prod["METAFLOW_KUBERNETES_NAMESPACE"]
    if question == "datastore_root":
        kind = prod.get("METAFLOW_DEFAULT_DATASTORE")
        return kind and (kind, prod[f"METAFLOW_DATASTORE_SYSROOT_{kind.upper()}"])
    kind = prod.get("METAFLOW_DEFAULT_METADATA")
    return kind and (kind, prod["METAFLOW_SERVICE_URL"])


@pytest.fixture(scope="session")
def plain(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the template as a plain folder: no clone for each of a few hundred copies."""
    folder = tmp_path_factory.mktemp("plain") / "mf-template"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    return folder


@pytest.fixture(scope="session")
def answer(plain: Path) -> Callable[..., Path]:
    """Give a function that copies the template with some answers, opening `advanced` for them."""

    def answer(destination: Path, source: Path = plain, **answers: Any) -> Path:
        assert answers.keys() <= QUESTIONS.keys()
        if answers.keys() & ADVANCED_QUESTIONS:
            answers = {"advanced": True, **answers}
        copier.run_copy(
            str(source), destination, data=answers, defaults=True, quiet=True, unsafe=False
        )
        return destination

    return answer


@pytest.mark.parametrize("row", range(max(map(len, GOOD.values()))))
def test_good_answers(answer, tmp_path, row):
    """One copy takes a whole row of the table: good answers do not exclude one another."""
    cells = {question: rows[row] for question, rows in GOOD.items() if row < len(rows)}
    project = answer(tmp_path / "new", **{question: cell[0] for question, cell in cells.items()})
    expected = {question: cell[1] for question, cell in cells.items()}
    assert {question: said(project, question) for question in cells} == expected


@pytest.mark.parametrize(
    ("question", "value", "right"),
    [
        pytest.param(question, *row, id=f"{question}-{repr(row[0])[:40]}")
        for question, rows in BAD.items()
        for row in rows
    ],
)
def test_bad_answer(answer, tmp_path, question, value, right):
    with pytest.raises(ValueError) as refusal:
        answer(tmp_path / "new", **{question: value})
    message = str(refusal.value).partition(f"question '{question}': ")[2]
    remedy = next(remedy for remedy in REMEDIES[question] if message.startswith(remedy))
    assert len(f"Validation error for question '{question}': {remedy}") < 80
    assert right in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, "build"),
        ({"image_source": "build"}, "build"),
        ({"image_source": "existing"}, "existing"),
        ({"image": "a:1"}, "build"),
        ({"image": "a:1", "image_source": "existing"}, "existing"),
        ({"image": f"a@{DIGEST}"}, "existing"),
        ({"image": f"a:1@{DIGEST}"}, "existing"),
        ({"image": f"a@{DIGEST}", "image_source": "existing"}, "existing"),
    ],
)
def test_good_image_source(answer, tmp_path, answers, expected):
    """An image named by its digest exists already, so that is the default for it."""
    project = answer(tmp_path / "new", **answers)
    assert load(project, ".copier-answers.yml")["image_source"] == expected
    assert (project / "Dockerfile").exists() == (expected == "build")


@pytest.mark.parametrize(
    ("answers", "right"),
    [
        ({"image": f"a@{DIGEST}", "image_source": "build"}, "Choose existing"),
        ({"image": f"a:1@{DIGEST}", "image_source": "build"}, "or give the image a tag"),
        ({"image": f"ghcr.io/a/b@{DIGEST}", "image_source": "build"}, "Choose existing"),
        ({"image_source": ""}, "nvalid choice"),
        ({"image_source": "Build"}, "nvalid choice"),
        ({"image_source": "build\n"}, "nvalid choice"),
        ({"image_source": "pull"}, "nvalid choice"),
        ({"image_source": "true"}, "nvalid choice"),
    ],
)
def test_bad_image_source(answer, tmp_path, answers, right):
    with pytest.raises(ValueError) as refusal:
        answer(tmp_path / "new", **answers)
    assert right in str(refusal.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("gpu_vendor", "intel"),
        ("gpu_vendor", "NVIDIA"),
        ("ci", "travis"),
        ("ci", "github\n"),
        ("python_version", "3.10"),
        ("python_version", "3.1"),
        ("python_version", "3.13\n"),
    ],
)
def test_bad_choice(answer, tmp_path, question, value):
    gpu = {"gpu": 1} if question == "gpu_vendor" else {}
    with pytest.raises(ValueError, match=r"(?i)invalid choice"):  # Copier's own words
        answer(tmp_path / "new", **{question: value}, **gpu)
    assert not list(tmp_path.iterdir())


def test_every_bad_item_of_a_list_is_named(answer, tmp_path):
    """Several wrong items are corrected in one go, so their messages must not run together."""
    with pytest.raises(ValueError, match=r'not "A": .*ends\. +Like team-a, not "B": '):
        answer(tmp_path / "new", image_pull_secrets="A, b, B")


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("churn-model", "churn-model"),
        ("Bad_Name", "bad-name"),
        ("2024 model", "model"),
        ("Modèle de prix", "mod-le-de-prix"),
        ("ÄÖ", "my-flows"),
        ("2024", "my-flows"),
        ("__init__", "init"),
        ("v1.2", "v1-2"),
        ("-x-", "x"),
        ("a" * 33 + "-b", "a" * 33),
        ("x" * 60, "x" * 34),
        ("it's", "it-s"),
        ("json", "json-flows"),
        ("class", "class-flows"),
        ("Scikit Learn", "scikit-learn-flows"),
        ("tests", "tests-flows"),
        ("metaflow", "metaflow-flows"),
    ],
)
def test_default_name(answer, tmp_path, folder, expected):
    """Any folder gives a name that the question's own check accepts."""
    assert said(answer(tmp_path / folder), "project_name") == expected


@pytest.mark.parametrize("dots", [".", "./", "../Bad_Name"])
def test_default_name_of_the_working_directory(answer, tmp_path, monkeypatch, dots):
    (tmp_path / "Bad_Name").mkdir()
    monkeypatch.chdir(tmp_path / "Bad_Name")
    assert said(answer(Path(dots)), "project_name") == "bad-name"
    assert said(tmp_path / "Bad_Name", "image") == "ghcr.io/example/bad-name:0.1.0"


@pytest.mark.parametrize("gpu", [0, 1])
def test_gpu_vendor_is_asked_with_gpus(answer, tmp_path, gpu):
    answers = load(answer(tmp_path / "new", gpu=gpu), ".copier-answers.yml")
    assert ("gpu_vendor" in answers) == bool(gpu)


@pytest.mark.parametrize("advanced", [False, True])
def test_advanced_questions(answer, tmp_path, advanced):
    answers = load(answer(tmp_path / "new", advanced=advanced), ".copier-answers.yml")
    assert answers.keys() & ADVANCED_QUESTIONS == (ADVANCED_QUESTIONS if advanced else set())


def test_conditions_are_the_designed_ones():
    """No other question comes and goes, and only what is computed is never asked."""
    conditional = {
        key: question["when"] for key, question in QUESTIONS.items() if "when" in question
    }
    assert conditional.keys() == ADVANCED_QUESTIONS | {"gpu_vendor"} | COMPUTED
    assert not any(conditional[key] for key in COMPUTED)


@pytest.mark.parametrize("question", sorted(QUESTIONS.keys() - COMPUTED))
def test_question_is_explained_and_checked(question):
    properties = QUESTIONS[question]
    assert properties["help"].strip()
    assert "\n" not in properties["help"].strip()
    if properties["type"] in ("str", "yaml") and "choices" not in properties:
        assert properties["validator"].strip()
        assert len(BAD[question]) >= 8
        assert len(GOOD[question]) >= 8


def test_keywords_and_standard_library_are_reserved(plain):
    """A newer Python may bring names that the list does not have yet."""
    reserved = set((plain / "hooks/reserved_names.txt").read_text().split())
    possible = {*sys.stdlib_module_names, *keyword.kwlist}
    possible = {name for name in possible if re.fullmatch("[a-z][a-z0-9_]*", name)}
    assert possible - reserved == set()


def test_what_a_project_needs_is_reserved(plain, example):
    """A package of that name would hide what the flows import, or be hidden by a flow's file."""
    reserved = set((plain / "hooks/reserved_names.txt").read_text().split())
    pyproject = load(example, "pyproject.toml")
    needed = {path.stem for path in (example / "flows").glob("*.py")}
    groups = pyproject["dependency-groups"].values()
    for requirement in [*pyproject["project"]["dependencies"], *sum(groups, [])]:
        if isinstance(requirement, str):
            needed.add(re.match("[A-Za-z0-9_.-]+", requirement)[0])
    for source in [*example.glob("flows/**/*.py"), *example.glob("src/**/*.py")]:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                needed |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                needed.add(node.module.split(".")[0])
    needed -= {"__future__", EXAMPLE["project_name"].replace("-", "_")}
    assert needed - reserved == set()


def test_organisation_file_reaches_every_default(plain, answer, tmp_path):
    """A fork of the template changes hooks/organisation.yml and nothing else."""
    organisation = {
        "registry": "registry.acme.com:5000/ml",
        "namespaces": ["ml-prod", "ml-dev"],
        "service_accounts": ["runner", "trainer"],
        "persistent_volume_claims": "shared:/shared, models:/models",
        "datastore_root": "gs://acme/metaflow",
        "ci": "gitlab",
        "gpu_pools": {
            "a100": {
                "gpu": 1,
                "memory": 80000,
                "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"},
                "tolerations": [
                    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
                ],
            },
            "big.memory": {"memory": 500000, "cpu": 0.5, "image": 'a"b\\c', "use_tmpfs": True},
        },
    }
    fork = tmp_path / "fork"
    shutil.copytree(plain, fork)
    (fork / "hooks/organisation.yml").write_text(yaml.safe_dump(organisation))
    project = answer(tmp_path / "churn", fork)

    assert load(project, "k8s.toml") == {
        "image": "registry.acme.com:5000/ml/churn:0.1.0",
        "service_account": "runner",
        "cpu": 1,
        "memory": 4096,
        "persistent_volume_claims": {"shared": "/shared", "models": "/models"},
        "pools": organisation["gpu_pools"],
    }
    assert load(project, "environments/prod.json") == {
        "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
        "$schema": "../tools/mf-k8s/src/mf_k8s/environment.schema.json",
        "production": True,
        "user": "churn",
        "METAFLOW_DEFAULT_DATASTORE": "gs",
        "METAFLOW_DATASTORE_SYSROOT_GS": "gs://acme/metaflow",
    }
    assert (project / ".gitlab-ci.yml").exists()
    assert not (project / ".github").exists()


@pytest.mark.parametrize(
    ("key", "value", "question"),
    [
        ("registry", "Bad Registry", "image"),
        ("namespaces", ["Team_A"], "namespace"),
        ("service_accounts", ["Meta_Flow"], "service_account"),
        ("persistent_volume_claims", "data", "persistent_volume_claims"),
        ("datastore_root", "s3://bucket/", "datastore_root"),
        ("ci", "jenkins", "ci"),
    ],
)
def test_wrong_default_of_an_organisation_is_refused(plain, answer, tmp_path, key, value, question):
    """Defaults pass the same checks as answers, so a fork's mistake shows in its first copy."""
    fork = tmp_path / "fork"
    shutil.copytree(plain, fork)
    (fork / "hooks/organisation.yml").write_text(yaml.safe_dump({key: value}))
    with pytest.raises(ValueError, match="(?i)invalid choice" if key == "ci" else question):
        answer(tmp_path / "new", fork)
    assert not (tmp_path / "new").exists()
