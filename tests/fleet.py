"""Projects of 0.3.0 in an organisation's fork: what their teams have edited, and must keep.

Used by test_fleet.py.
"""

import importlib.util
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mf_k8s.project.environments import environment_names, read_environment
from mf_k8s.project.project import Project

PACKAGE = "churn_model"
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
OWN_TAINT = {"key": "team", "operator": "Exists", "effect": "NoExecute"}
A100 = {"gpu": 1, "node_selector": {"a.example/gpu": "a100"}, "tolerations": [TAINT]}
# hooks/organisation.yml of a fork of 0.3.0, and of its first release of this version
ORGANISATION: dict[str, Any] = {
    "registry": "registry.acme.example/ml",
    "environments": {"dev": "ml-dev", "prod": "ml-prod"},
    "service_accounts": ["runner", "other"],
    "cpu": 2,
    "memory": 8000,
    "image_pull_secrets": "acme-registry",
    "persistent_volume_claims": "datasets:/datasets",
    "datastore_root": "s3://acme/flows",
    "metadata_service_url": "https://metadata.acme.example",
    "metadata_service_internal_url": "http://metadata:8080",
    "gpu_pools": {"a100": A100, "l4-pair": {"gpu": 2, "memory": 64000}},
}
# The fork's next one: other registry, bucket, memory, namespace, and tolerations of a pool.
NEW_TAINT = {"key": "acme.example/gpu", "operator": "Exists", "effect": "NoSchedule"}
MOVED: dict[str, Any] = {
    **ORGANISATION,
    "registry": "new.acme.example/all",
    "environments": {"dev": "moved-dev", "prod": "ml-prod"},
    "memory": 9000,
    "image_pull_secrets": "acme-new",
    "persistent_volume_claims": "datasets:/moved",
    "datastore_root": "s3://moved/flows",
    "gpu_pools": {**ORGANISATION["gpu_pools"], "a100": {**A100, "tolerations": [NEW_TAINT]}},
}
ANSWERS: list[dict[str, Any]] = [
    {},
    {
        "ci": "gitlab",
        "gpu": "1",
        "cpu": "4",
        "persistent_volume_claims": "data:/data",
    },
    {
        "ci": "none",
        "service_account": "other",
        "namespace": "team",
        "image_source": "existing",
        "persistent_volume_claims": "datasets:/datasets, data:/data",
    },
    {
        "advanced": True,
        "image_pull_secrets": "own",
        "metadata_service_url": "https://own.example",
        "secrets": "db",
        "tolerations": "own:NoSchedule",
    },
]


@dataclass
class Expected:
    """What a project must have after the fork's next release, by hand."""

    image: str = "new.acme.example/all/churn-model:0.1.0"
    memory: int = 9000
    bucket: str = "s3://moved/flows"
    namespace: str = "moved-dev"
    tolerations: list[Any] = field(default_factory=lambda: [NEW_TAINT])
    secrets: list[str] = field(default_factory=lambda: ["acme-new"])
    claims: dict[str, str] = field(default_factory=lambda: {"datasets": "/moved"})


# By ANSWERS; what they had left out stays out.
EXPECTED: list[dict[str, Any]] = [
    {},
    {"claims": {"data": "/data"}},
    {"claims": {"data": "/data", "datasets": "/moved"}},
    {"secrets": ["acme-new", "own"]},
]


Edit = Callable[[Path, Expected], None]


def replaced(file: Path, pattern: str, new: str) -> None:
    text = file.read_bytes().decode()
    changed, number = re.subn(pattern, new, text, count=1, flags=re.MULTILINE)
    assert number, f"{file} has no {pattern}"
    file.write_bytes(changed.encode())


def tag(project: Path, expected: Expected) -> None:
    replaced(project / "k8s.toml", ":0.1.0", ":1.4.2")
    expected.image = expected.image.replace("0.1.0", "1.4.2")


def image(project: Path, expected: Expected) -> None:
    replaced(project / "k8s.toml", "^image = .*", 'image = "ghcr.io/team/churn:3"')
    expected.image = "ghcr.io/team/churn:3"


def memory(project: Path, expected: Expected) -> None:
    new = "# 8000 was too little\nmemory = 16000 # MB"
    replaced(project / "k8s.toml", "^memory = .*", new)
    expected.memory = 16000


def key_of_a_pool(project: Path, _: Expected) -> None:
    new = r"\g<0>\npools.a100.shared_memory = 4096"
    replaced(project / "k8s.toml", "^pools.a100.gpu = 1", new)


def toleration_of_a_pool(project: Path, expected: Expected) -> None:
    own = '{ key = "team", operator = "Exists", effect = "NoExecute" }'
    replaced(project / "k8s.toml", r"^(pools.a100.tolerations = .*)\]", rf"\1, {own}]")
    expected.tolerations = [NEW_TAINT, OWN_TAINT]


def pool(project: Path, _: Expected) -> None:
    replaced(project / "k8s.toml", r"\Z", "\n[pools.big]\ncpu = 2\nmemory = 64000\n")


def headings(project: Path, _: Expected) -> None:
    """Write the last pool as a table, its values in several lines."""
    new = "[pools.l4-pair]\n# two of them\ngpu = 2\nmemory = 64_000\n"
    replaced(project / "k8s.toml", "^pools.l4-pair.gpu.*\npools.l4-pair.memory.*\n", new)


def comments(project: Path, _: Expected) -> None:
    for key in ("image_pull_secrets", "pools.a100.node_selector", "pools.l4-pair.memory"):
        replaced(project / "k8s.toml", f"^{key}", r"# Ours: \g<0>\n\g<0>")


def claim(project: Path, expected: Expected) -> None:
    new = r'\g<0>\npersistent_volume_claims.scratch = "/scratch"'
    replaced(project / "k8s.toml", "^# A claim to mount.*", new)
    expected.claims = {**expected.claims, "scratch": "/scratch"}


def without_pool(project: Path, _: Expected) -> None:
    replaced(project / "k8s.toml", "^pools.l4-pair.gpu.*\npools.l4-pair.memory.*\n", "")


def crlf(project: Path, _: Expected) -> None:
    file = project / "k8s.toml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def bucket(project: Path, expected: Expected) -> None:
    replaced(project / "environments/prod.json", "s3://acme/flows", "s3://own/bucket")
    expected.bucket = "s3://own/bucket"


def namespace(project: Path, expected: Expected) -> None:
    replaced(project / "environments/dev.json", "ml-dev", "own")
    expected.namespace = "own"


def environment(project: Path, _: Expected) -> None:
    settings = json.loads((project / "environments/prod.json").read_text())
    settings |= {"METAFLOW_KUBERNETES_NAMESPACE": "ml-staging", "tags": ["a:b"]}
    (project / "environments/staging.json").write_text(json.dumps(settings))


def without_flow(project: Path, _: Expected) -> None:
    (project / "flows/hello.py").unlink()


# Each project has some of them; one that takes away where another adds is before or after it.
EDITS: list[Edit] = [
    tag,
    memory,
    key_of_a_pool,
    toleration_of_a_pool,
    comments,
    claim,
    bucket,
    namespace,
    environment,
    without_flow,
    pool,
    crlf,
]
ALONE: list[Edit] = [image, headings, without_pool]  # change the same lines as others


def edit(project: Path, number: int) -> Expected:
    """Edit a project as its team has; the first one not at all."""
    expected = Expected(**EXPECTED[number % len(ANSWERS)])
    chosen = [each for index, each in enumerate(EDITS) if number * 2654435761 >> index + 7 & 1]
    if number % 4 == 3:
        first = ALONE[number // 4 % len(ALONE)]
        chosen = [first, *(each for each in chosen if each not in (tag, comments))]
    for each in chosen if number else ():
        each(project, expected)
    if "tolerations" in ANSWERS[number % len(ANSWERS)]:
        own = {"key": "own", "operator": "Exists", "effect": "NoSchedule"}
        expected.tolerations.insert(0, own)
    return expected


def load_settings(project: Path, folder: Path) -> ModuleType:
    """Return the project's own settings.py, of a copy in a new folder: Python writes beside it."""
    file = shutil.copytree(project / f"src/{PACKAGE}", folder) / "settings.py"
    spec: Any = importlib.util.spec_from_file_location("settings_of_a_project", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pods(settings: ModuleType, project: Path) -> dict[str, Any]:
    """Return what a step gets, in each pool and in each environment, by a settings.py.

    That of 0.3.0 knows no environments.
    """
    found = {}
    for name in ("", *sorted(environment_names(Project(project, PACKAGE)))):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "PACKAGE", project / f"src/{PACKAGE}")
            patch.setenv("K8S_CONFIG", str(project / "k8s.toml"))
            file = project / f"environments/{name}.json"
            patch.setenv("K8S_ENVIRONMENT", str(file) if name else "")
            settings.parse.cache_clear()
            settings.schema.cache_clear()
            config = settings.read_config()
            options = ([],) if hasattr(settings, "LOST_BY_WITH") else ()  # as 0.3.0 takes them
            for pool in (None, *config.get("pools", {})):
                step = [settings.Override("@k8s", pool, {})]
                found[f"{name}: {pool}"] = settings.step_settings(config, step, *options, "start")
    return found


def places(project: Path) -> Mapping[str, Any]:
    """Return all that each environment of a project sets."""
    found = {}
    for name in sorted(environment_names(Project(project, PACKAGE))):
        place = read_environment(Project(project, PACKAGE), name)
        found[name] = (place.context, dict(place.variables), place.create_options, place.schedules)
    return found


def found(settings: ModuleType, project: Path) -> Expected:
    """Return what a project has of all that the fork's next release moves."""
    of_pods, of_places = pods(settings, project), places(project)
    step, prod = of_pods["prod: a100"], of_places["prod"][1]
    return Expected(
        step["image"],
        step["memory"],
        prod["METAFLOW_DATASTORE_SYSROOT_S3"],
        of_places["dev"][1]["METAFLOW_KUBERNETES_NAMESPACE"],
        step["tolerations"],
        step["image_pull_secrets"],
        step["persistent_volume_claims"],
    )


def files(project: Path) -> dict[str, bytes]:
    """Return what the team's own files of values hold."""
    own = [project / "k8s.toml", *(project / "environments").glob("*.json")]
    return {file.name: file.read_bytes() for file in own if file.name != "kind.json"}
