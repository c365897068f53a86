"""`k8s drift`: what a project repeats and overrides of its organisation, and taking it out."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from mf_k8s.cli import app
from mf_k8s.drift import tidy
from mf_k8s.errors import CommandError
from mf_k8s.project.project import Project
from teams import commit, git, tree
from typer.testing import CliRunner

ACME = "registry.acme.example/ml"
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
ORGANISATION: dict[str, Any] = {
    "k8s": {
        "registry": ACME,
        "service_account": "runner",
        "cpu": 2,
        "memory": 8000,
        "image_pull_secrets": ["acme"],
        "labels": {"cost-centre": "ml"},
        "persistent_volume_claims": {"datasets": "/datasets"},
        "pools": {
            "a100": {"gpu": 1, "node_selector": {"a.example/b": "c"}, "tolerations": [TAINT]},
            "cpu": {},
        },
    },
    "environments": {
        "prod": {
            "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
            "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme",
            "tags": ["env:prod"],
            "k8s": {"memory": 4000, "labels": {"place": "prod"}},
        }
    },
    "locked": ["registry", "labels"],
}
# What 0.3.0 has written, and a team edited: the text, and what is left of it.
CONFIG = (
    """#:schema ./src/churn_model/k8s.schema.json
# Every step of every flow gets this.

image = "registry.acme.example/ml/churn:1.2.3" # bumped

service_account = 'runner'

cpu = 2.0

# Less was too little.
memory = 16000 # MB

image_pull_secrets = [
    "acme", # the registry's
    "own", # ours
]

# A claim to mount: persistent_volume_claims.data = "/data"
persistent_volume_claims.datasets = "/datasets"
persistent_volume_claims.scratch = "/scratch"

pools.cpu = {}

pools.a100.gpu = 1
pools.a100.node_selector = { "a.example/b" = "c", own = "d" }
pools.a100.tolerations = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
# ours
pools.a100.shared_memory = 4096

[pools.own]
gpu = 8
image = "registry.acme.example/ml/gpu:2"
""",
    """#:schema ./src/churn_model/k8s.schema.json
# Every step of every flow gets this.

image = "churn:1.2.3" # bumped

# Less was too little.
memory = 16000 # MB

image_pull_secrets = [
    "own", # ours
]

# A claim to mount: persistent_volume_claims.data = "/data"
persistent_volume_claims.scratch = "/scratch"

pools.a100.node_selector = {  own = "d" }
# ours
pools.a100.shared_memory = 4096

[pools.own]
gpu = 8
image = "gpu:2"
""",
)
PROD = (
    """{
    "$schema": "environment.schema.json",
    "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://own/bucket",
  "tags":["env:prod"],
    "k8s": { "memory": 4000, "image": "registry.acme.example/ml/other:1",
             "image_pull_secrets": ["acme", "b"] },
    "production": true, "user": "churn"
}
""",
    """{
    "$schema": "environment.schema.json",
    "METAFLOW_DATASTORE_SYSROOT_S3": "s3://own/bucket",
  "k8s": { "memory": 4000, "image": "other:1",
             "image_pull_secrets": ["b"] },
    "production": true, "user": "churn"
}
""",
)
Make = Callable[..., Path]


def write_project(folder: Path, prod: str) -> None:
    """Write what the tool reads of a project, but for k8s.toml."""
    package = folder / "src/churn_model"
    shutil.copytree(ROOT / "template/src/{{ package_name }}", package, dirs_exist_ok=True)
    (package / "organisation.json").write_text(json.dumps(ORGANISATION))
    (folder / "environments").mkdir(exist_ok=True)
    (folder / "environments/prod.json").write_text(prod)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project that lacks k8s.toml."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder, "{}")
    return folder


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that makes a committed project, and changes to its folder."""

    def make(config: str = CONFIG[0], prod: str = PROD[0]) -> Path:
        write_project(tmp_path, prod)
        (tmp_path / "k8s.toml").write_text(config)
        (tmp_path / "pyproject.toml").write_text('[tool.mf-k8s]\npackage = "churn_model"\n')
        git("init", "-q", "-b", "main", cwd=tmp_path)
        commit(tmp_path)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


def drift(*options: str) -> Any:
    """Return what `k8s drift --format json` says."""
    done = CliRunner().invoke(app, ["drift", "--format=json", *options], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_it_takes_out_what_is_repeated(make: Make) -> None:
    """A team's own values, comments and formatting stay, and every pod is the same."""
    project = make()
    before = tree(project)
    found = drift()
    assert tree(project) == before  # it has only looked
    removed = [value for value in found["values"] if value["equal"]]
    after = drift("--tidy")
    assert (project / "k8s.toml").read_text() == CONFIG[1]
    assert (project / "environments/prod.json").read_text() == PROD[1]
    changed = {"k8s.toml", "environments/prod.json"}
    assert {name for name, content in tree(project).items() if before[name] != content} == changed
    assert after["removed"] == removed
    assert after["values"] == drift()["values"]
    assert not any(value["equal"] for value in after["values"])
    commit(project)
    assert drift("--tidy")["removed"] == []
    assert git("status", "--porcelain", cwd=project) == ""


def test_what_it_finds(make: Make) -> None:
    """By file and path, with both values; a table that is locked locks what is in it."""
    config = """image = "ghcr.io/own/churn:1"
cpu = 2
memory = 8000
labels.cost-centre = "own"
labels.place = "here"
labels.team = "a"
image_pull_secrets = ["own"]
pools.a100.gpu = 2
"""
    make(config, '{"METAFLOW_KUBERNETES_NAMESPACE": "own", "tags": ["env:prod"]}')
    found = drift()
    assert {key: found[key] for key in ("version", "project", "errors", "removed")} == {
        "version": 1,
        "project": "churn-model",
        "errors": [],
        "removed": [],
    }
    keys = ("file", "path", "environment", "value", "organisation", "equal", "locked")
    prod = "environments/prod.json"
    assert [tuple(value[key] for key in keys) for value in found["values"]] == [
        ("k8s.toml", "image", "", "ghcr.io/own/churn:1", ACME, False, True),
        ("k8s.toml", "cpu", "", 2, 2, True, False),
        ("k8s.toml", "labels.cost-centre", "", "own", "ml", False, True),
        ("k8s.toml", "pools.a100.gpu", "", 2, 1, False, False),
        ("k8s.toml", "memory", "prod", 8000, 4000, False, False),
        ("k8s.toml", "labels.place", "prod", "here", "prod", False, True),
        (prod, "METAFLOW_KUBERNETES_NAMESPACE", "prod", "own", "ml-prod", False, False),
        (prod, "tags", "prod", ["env:prod"], ["env:prod"], True, False),
    ]
    make('image = "registry.acme.example/ml/team/churn:1"\n', "{}")
    (value,) = drift()["values"]  # in a folder of the registry, it does not follow it
    assert (value["equal"], value["locked"]) == (False, False)


def test_for_people(make: Make) -> None:
    make(prod='{"METAFLOW_KUBERNETES_NAMESPACE": "ml-prod"}')
    shown = CliRunner().invoke(app, ["drift"], env={"COLUMNS": "400"}).stdout
    assert (
        "- k8s.toml: the registry of image, the registry of pools.own.image, service_account, cpu,"
        " image_pull_secrets, persistent_volume_claims.datasets, pools.cpu, pools.a100.gpu,"
        " pools.a100.node_selector.a.example/b, pools.a100.tolerations\n"
        "- environments/prod.json: METAFLOW_KUBERNETES_NAMESPACE\n"
    ) in shown
    assert re.search(r"^ k8s\.toml: memory +16000 +8000 *$", shown, re.MULTILINE)
    assert re.search(r"^ k8s\.toml: memory +16000 +4000 for prod *$", shown, re.MULTILINE)
    assert "`uv run k8s drift --tidy` takes out what is repeated." in shown
    done = CliRunner().invoke(app, ["drift", "--tidy"], env={"COLUMNS": "40"})
    assert done.stdout.startswith("Taken out, as organisation.json says it\n")
    assert (
        "k8s.toml: memory\n  here               16000\n  organisation.json  8000\n" in done.stdout
    )
    undo = "git checkout -- k8s.toml environments/prod.json"
    assert done.stderr == f"k8s: written; `git diff` shows it, `{undo}` undoes it\n"


@pytest.mark.parametrize(
    ("config", "left"),
    [
        ("cpu = 2\r\n\r\nmemory = 1\r\n", "memory = 1\r\n"),
        (b"\xef\xbb\xbfcpu = 2\nmemory = 1\n", b"\xef\xbb\xbfmemory = 1\n"),
        ("memory = 1\n\n\ncpu = 2", "memory = 1\n"),
        ("memory = 1\n[pools.a100]\n# why\ngpu = 1\n\n[pools.cpu]\n", "memory = 1\n# why\n"),
        ("[pools]\na100.gpu = 1\na100.memory = 2\n", "[pools]\na100.memory = 2\n"),
        ("[pools]\na100 = { gpu = 1, memory = 2 }\n", "[pools]\na100 = {  memory = 2 }\n"),
        ("[pools.a100]\ngpu = 1\n[pools.own]\ngpu = 1\n", "[pools.own]\ngpu = 1\n"),
        ("[labels]\ncost-centre = 'ml' # x\nb = 'c' # y\n", "[labels]\nb = 'c' # y\n"),
        ("labels = { cost-centre = 'ml' }\n", ""),
        ('"cpu" = 2 # \u2028 = 3\nmemory = 1\n', "memory = 1\n"),
        ("pools.b.image = '''\na:1'''\ncpu = 2\n", "pools.b.image = '''\na:1'''\n"),
        (f"image = '{ACME}/a:1@sha256:{'0' * 64}'\n", f'image = "a:1@sha256:{"0" * 64}"\n'),
        (f"image = '{ACME}/team/a:1'\n", f"image = '{ACME}/team/a:1'\n"),
        (f"image = '{ACME}/a:1'\nregistry = 'b'\n", f"image = '{ACME}/a:1'\nregistry = 'b'\n"),
        (f"image = '{ACME}/a:1'\nregistry = '{ACME}'\n", 'image = "a:1"\n'),
        # k8s.toml lies over the organisation's value for prod, which would count without it
        ("memory = 8000\nlabels.place = 'prod'\n", "memory = 8000\nlabels.place = 'prod'\n"),
    ],
)
def test_texts_of_any_form(folder: Path, config: Any, left: Any) -> None:
    """Of the same pods: the function proves that itself."""
    config, left = (text.encode() if isinstance(text, str) else text for text in (config, left))
    (folder / "k8s.toml").write_bytes(config)
    contents = tidy.tidied(Project(folder, "churn_model"))
    assert contents == ({} if config == left else {folder / "k8s.toml": left})


@pytest.mark.parametrize(
    ("config", "prod", "left"),
    [
        # what repeats the organisation there may be what brings it back over k8s.toml
        (
            'service_account = "own"\n',
            '{"k8s": {"cpu": 2, "service_account": "runner"}, "user": "a"}',
            '{"k8s": {"service_account": "runner"}, "user": "a"}',
        ),
        ("", '{"user": "a", "k8s": {"cpu": 2}}', '{"user": "a"}'),
        ("", '{\n  "tags": ["env:prod"]\n}\n', "{\n}\n"),
        ("", '{"tags": ["env:prod", "b"]}', '{"tags": ["env:prod", "b"]}'),  # it replaces
        ("", '{"k8s": {"cpu": null}}', '{"k8s": {"cpu": null}}'),
    ],
)
def test_environments_of_any_form(
    folder: Path, monkeypatch: pytest.MonkeyPatch, config: str, prod: str, left: str
) -> None:
    (folder / "k8s.toml").write_text(config)
    file = folder / "environments/prod.json"
    file.write_text(prod)
    contents = tidy.tidied(Project(folder, "churn_model"))
    file.write_text("{}")
    assert contents == ({} if prod == left else {file: left.encode()})


def test_nothing_is_written_where_git_could_not_undo_it(make: Make) -> None:
    """What is added to git's index can be undone, as in the weekly job."""
    project = make()
    (project / "k8s.toml").write_text(f"{CONFIG[0]}memory = 1\n")
    before = tree(project)
    with pytest.raises(CommandError, match=r"^k8s\.toml has changes: commit them first .* nothing"):
        drift("--tidy")
    assert tree(project) == before
    git("add", "k8s.toml", cwd=project)
    drift("--tidy")
    assert (project / "k8s.toml").read_text() == f"{CONFIG[1]}memory = 1\n"


def test_nothing_is_written_if_a_pod_would_change(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make("cpu = 1\n", "{}")
    before = tree(project)
    monkeypatch.setattr(tidy, "without_repeated", lambda own, _: {"cpu": 3})
    with pytest.raises(CommandError, match="pods with no environment would change: nothing is"):
        drift("--tidy")
    monkeypatch.setattr(tidy, "with_less_toml", lambda text, _: "cpu = ")
    message = "k8s.toml cannot be edited: take out by hand what `uv run k8s drift` shows"
    with pytest.raises(CommandError, match=message):
        drift("--tidy")
    assert tree(project) == before


def test_without_an_organisation(make: Make) -> None:
    project = make()
    (project / "src/churn_model/organisation.json").unlink()
    done = CliRunner().invoke(app, ["drift", "--format=json"])
    assert isinstance(done.exception, CommandError)
    message = "this project has no organisation.json: its template's publisher sets no values, or"
    assert str(done.exception).startswith(message)
    found = json.loads(done.stdout)
    assert [error["code"] for error in found.pop("errors")] == ["no-organisation"]
    assert found == {"version": 1, "values": [], "removed": []}


def test_variables_of_this_process_do_not_count(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet's report is about what is committed."""
    project = make("cpu = 3\n", "{}")
    (project / "other.toml").write_text("cpu = 2\n")
    monkeypatch.setenv("K8S_CONFIG", "other.toml")
    monkeypatch.setenv("K8S_ENVIRONMENT", str(project / "environments/prod.json"))
    assert [(value["path"], value["value"]) for value in drift()["values"]] == [("cpu", 3)]
