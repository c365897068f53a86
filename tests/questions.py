"""The questions of copier.yml as the tests know them: the one place to register a new one.

`missing` says what is missing. CONTRIBUTING.md has the recipe.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# What is asked, in this order; ASKED_WITH_GPU follow gpu if there are GPUs.
ASKED = [
    "project_name",
    "image",
    "image_source",
    "gpu",
    "service_account",
    "shared_memory",
    "persistent_volume_claims",
    "cpu",
    "memory",
    "namespace",
    "datastore_root",
    "ci",
    "deploy_from_ci",
    "python_version",
    "updates",
    "advanced",
]
# What is asked after a yes to `advanced`, in this order.
ASKED_WITH_ADVANCED = [
    "image_pull_secrets",
    "secrets",
    "node_selector",
    "tolerations",
    "metadata_service_url",
]
ASKED_WITH_GPU = ["gpu_vendor", "gpu_steps"]
COMPUTED = ["organisation", "left_alone", "schema", "package_name", "environments", "left_out"]
CHOICES = {
    "image_source": ["build", "existing"],
    "gpu_vendor": ["nvidia", "amd"],
    "gpu_steps": ["every", "pool"],
    "ci": ["github", "gitlab", "none"],
    "python_version": ["3.11", "3.12", "3.13"],
    "updates": ["renovate", "weekly", "both", "hand"],
}
YES_OR_NO = ["deploy_from_ci", "advanced"]

DIGEST = "sha256:" + "0123456789abcdef" * 4
NAMED = "lower-case letters, digits"
MOUNTED = "Like /cache: an absolute path"
CLAIMED = "Like data:/data, not "
VOLUME = "at most 63 lower-case letters, digits and hyphens"
ROOT_FORMS = "s3://bucket/folder, gs://bucket/folder or, for Azure, container/folder"
TAINT = "key:effect or key=value:effect"
LABELLED = "Like pool=gpu, not "
URL = "Like https://example.com"

LIKE = "(yes|no|on|off|y|n|null|true|false|nan|inf|1e3|0x1f|0o17|0b1|007|12|2024-01-31|00-00)"
NAME = rf"({LIKE}|[a-z0-9]([a-z0-9-]{{0,61}}[a-z0-9])?)"
DOTTED = rf"({NAME}(\.{NAME}){{0,3}}|1\.5|\d\d\.\d\d)"
VALUE = rf"({LIKE}|[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?|)"
LABEL = rf"([a-z]{{1,9}}\.example/)?({LIKE}|[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?)"
FOLDERS = r"(/[A-Za-z0-9._=-]{1,30}){0,4}"
SIZE = r"0{0,3}[1-9]\d{2,6}|99999999|100000000"


@dataclass(frozen=True)
class FreeText:
    """A question that takes any text."""

    harmless: str  # an answer that is nowhere else in a project
    grammar: str  # a regular expression of good answers, or of one item of a list
    remedies: tuple[str, ...]  # what each message says first: 80 columns show no more than that
    good: list[tuple[Any, Any]]  # answers, and what the project's file says; None if nothing
    bad: list[tuple[Any, str]]  # answers, and what their message says would be right
    meaning: Callable[[str], Any] = str  # of a good answer, as k8s.toml has it
    many: Callable[[int], str] | None = None  # a list of that many items


def exists(key: str, effect: str) -> dict[str, str]:
    return {"key": key, "operator": "Exists", "effect": effect}


def equal(key: str, value: str, effect: str) -> dict[str, str]:
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}


def count(text: str) -> int | None:
    return int(text) or None


def items(text: str) -> list[str] | None:
    return [item.strip() for item in text.split(",")] if text.strip() else None


def claims(text: str) -> dict[str, str]:
    return dict(item.split(":") for item in items(text) or ())


def labels(text: str) -> dict[str, str] | None:
    return dict(item.split("=") for item in items(text) or ()) or None


def taints(text: str) -> list[dict[str, str]] | None:
    return [taint(item) for item in items(text) or ()] or None


def taint(item: str) -> dict[str, str]:
    key_and_value, effect = item.split(":")
    key, separator, value = key_and_value.partition("=")
    return equal(key, value, effect) if separator else exists(key, effect)


FREE_TEXT: dict[str, FreeText] = {
    "project_name": FreeText(
        harmless="qzname-qz",
        grammar=rf"({LIKE}|[a-z][a-z0-9]{{0,20}}(-[a-z0-9]{{1,9}}){{0,2}})",
        remedies=("Like ",),
        good=[
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
        bad=[
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
    ),
    "image": FreeText(
        harmless="qzimage.example/qz:1",
        grammar=r"([a-z]{1,9}\.example(:\d{2,5})?/)?[a-z0-9]{1,9}([._-][a-z0-9]{1,9}){0,2}"
        rf"(/[a-z0-9]{{1,9}})?:({LIKE}|[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})",
        remedies=("A fixed tag: ghcr.io/acme/churn:1.2.3", "Lower case before the tag"),
        good=[
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
        bad=[
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
    ),
    "gpu": FreeText(
        harmless="7",
        grammar=r"(0{0,3}\d{1,3}|-0|1024)",
        meaning=count,
        remedies=("Whole number, like 1, or 0 for none",),
        good=[
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
        bad=[
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
    ),
    "service_account": FreeText(
        harmless="qzaccount",
        grammar=DOTTED,
        remedies=("Like metaflow or team-a",),
        good=[
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
        bad=[
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
    ),
    "shared_memory": FreeText(
        harmless="7171",
        grammar=rf"(0{{1,4}}|-0|0{{0,3}}6[4-9]|{SIZE})",
        meaning=count,
        remedies=("Whole number of MiB, like 8192",),
        good=[
            (0, None),
            ("0", None),
            (64, 64),
            ("064", 64),
            ("8192", 8192),
            (8196, 8196),
            ("65536", 65536),
            (100_000_000, 100_000_000),
        ],
        bad=[
            ("8Gi", "Whole number of MiB, like 8192"),
            ("64M", "MiB"),
            (8, "like 8192 for 8 GiB, and 64 or more"),
            ("63", "64 or more"),
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
    ),
    "persistent_volume_claims": FreeText(
        harmless="qzclaim:/qzpath",
        grammar=rf"{NAME}:/(srv|data)/({LIKE}|[A-Za-z0-9._-]{{1,30}})",
        meaning=claims,
        many=lambda n: ",".join(f"claim-{i}:/data/{i}" for i in range(n)),
        remedies=(
            *("Like data:/data", "Like /cache", "Like my-claim"),
            *("Name a claim once", "Separate paths", "Not /"),
        ),
        good=[
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
        bad=[
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
    ),
    "cpu": FreeText(
        harmless="7.25",
        grammar=r"(0{0,3}\d{1,3}|\d{1,3}\.\d{1,12}|0\.001|1024\.0|0.00100)",
        meaning=float,
        remedies=("Number above 0, like 2 or 0.5",),
        good=[
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
        bad=[
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
    ),
    "memory": FreeText(
        harmless="71717",
        grammar=rf"({SIZE})",
        meaning=count,
        remedies=("Whole number of MB, like 16000",),
        good=[
            (100, 100),
            (512, 512),
            ("4096", 4096),
            ("04096", 4096),
            (4096, 4096),
            (8000, 8000),
            (1_000_000, 1_000_000),
            (100_000_000, 100_000_000),
        ],
        bad=[
            (0, "Whole number of MB"),
            (16, "like 16000 for 16 GB, and 100 or more"),
            ("99", "100 or more"),
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
    ),
    "namespace": FreeText(
        harmless="qznamespace",
        grammar=NAME,
        remedies=("Like team-a",),
        good=[
            ("default", "default"),
            ("team-a", "team-a"),
            ("a", "a"),
            ("1", "1"),
            ("123", "123"),
            ("0a", "0a"),
            ("true", "true"),
            ("a" * 63, "a" * 63),
        ],
        bad=[
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
    ),
    "datastore_root": FreeText(
        harmless="s3://qzbucket/qz",
        grammar=rf"((s3|gs)://[a-z0-9][a-z0-9._-]{{1,30}}[a-z0-9]|[a-z0-9]{{3,9}}){FOLDERS}|",
        remedies=("Like s3://bucket/folder",),
        good=[
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
        bad=[
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
    ),
    "image_pull_secrets": FreeText(
        harmless="qzpull",
        grammar=DOTTED,
        meaning=items,
        many=lambda n: ",".join(f"a-secret-with-a-name-{i}" for i in range(n)),
        remedies=("Like team-a",),
        good=[
            ("", None),
            ("regcred", ["regcred"]),
            ("a,b", ["a", "b"]),
            (" a , b\n", ["a", "b"]),
            ("registry.example.com", ["registry.example.com"]),
            ("1", ["1"]),
            ("a-b", ["a-b"]),
            ("a" * 63, ["a" * 63]),
        ],
        bad=[
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
    ),
    "secrets": FreeText(
        harmless="qzsecret",
        grammar=DOTTED,
        meaning=items,
        many=lambda n: ",".join(f"a-secret-with-a-name-{i}" for i in range(n)),
        remedies=("Like team-a",),
        good=[
            ("", None),
            ("db-password", ["db-password"]),
            ("a, b, c", ["a", "b", "c"]),
            ("a\n", ["a"]),
            ("team-a.db", ["team-a.db"]),
            ("0", ["0"]),
            ("true", ["true"]),
            ("a.b.c", ["a.b.c"]),
        ],
        bad=[
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
    ),
    "node_selector": FreeText(
        harmless="qzlabel=qz",
        grammar=rf"{LABEL}={VALUE}",
        meaning=labels,
        many=lambda n: ",".join(f"a.example/label-{i}=value-{i}" for i in range(n)),
        remedies=("Like pool=gpu", "Name a label once"),
        good=[
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
        bad=[
            ("pool", LABELLED),
            ("pool:gpu", LABELLED),
            ("=gpu", LABELLED),
            ("pool=gpu,", LABELLED),
            ("pool=a b", LABELLED),
            ("pool=a\nb", LABELLED),
            ("pool=-a", LABELLED),
            ("_pool=a", LABELLED),
            ("/pool=a", LABELLED),
            ("a/b/c=d", LABELLED),
            ("Example.com/zone=a", LABELLED),
            ("a" * 64 + "=b", LABELLED),
            ("a=" + "b" * 64, LABELLED),
            ("pool=a, pool=b", "pool is given twice, and a node has one value of it"),
        ],
    ),
    "tolerations": FreeText(
        harmless="qztaint:NoSchedule",
        grammar=rf"{LABEL}(={VALUE})?:(NoSchedule|PreferNoSchedule|NoExecute)",
        meaning=taints,
        many=lambda n: ",".join(f"a.example/taint-{i}=no:NoExecute" for i in range(n)),
        remedies=("Like nvidia.com/gpu:NoSchedule",),
        good=[
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
        bad=[
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
    ),
    "metadata_service_url": FreeText(
        harmless="https://qzmetadata.example",
        grammar=r"https?://[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,3}(:\d{1,5})?"
        r"(/[A-Za-z0-9._~/-]{0,40})?|",
        remedies=("Like https://example.com",),
        good=[
            ("", None),
            ("https://metadata.example.com", ("service", "https://metadata.example.com")),
            ("http://metadata:8080", ("service", "http://metadata:8080")),
            ("http://10.0.0.1:80", ("service", "http://10.0.0.1:80")),
            ("https://example.com/metadata", ("service", "https://example.com/metadata")),
            ("https://example.com/a/b_c~d.e/", ("service", "https://example.com/a/b_c~d.e/")),
            ("http://localhost", ("service", "http://localhost")),
            ("http://meta.ns:8080/", ("service", "http://meta.ns:8080/")),
        ],
        bad=[
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
    ),
}


def missing(questions: dict[str, Any], page: str) -> Iterator[str]:
    """Yield what to do about each question that not all have: copier.yml, this file, docs."""
    asked = {*ASKED, *ASKED_WITH_ADVANCED, *ASKED_WITH_GPU}
    answered = {*FREE_TEXT, *CHOICES, *YES_OR_NO}
    rows = [line for line in page.splitlines() if line.startswith("|")]
    known = asked | answered | {*COMPUTED}
    for name in questions:
        if name not in asked and name not in COMPUTED:
            yield f"{name}: add it to ASKED or ASKED_WITH_ADVANCED; to COMPUTED if it is none"
        elif name in asked and name not in answered:
            yield f"{name}: add it to FREE_TEXT; to CHOICES or YES_OR_NO if it is one of these"
        elif name in asked and not any(f"`{name}`" in row for row in rows):
            yield f"{name}: add it to LATER in docs/from_code/questions.py; `make docs`"
    for name in sorted(known - questions.keys()):
        yield f"{name}: copier.yml has no such question; take it out"
    order = [name for name in questions if name in ASKED]
    if order != [name for name in ASKED if name in questions]:
        yield f"ASKED: the order in copier.yml is {', '.join(order)}"
