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
from conftest import EXAMPLE, QUESTIONS, ROOT
from questions import ASKED_WITH_ADVANCED, ASKED_WITH_GPU, COMPUTED, DIGEST, FREE_TEXT, missing

ADVANCED_QUESTIONS = {*ASKED_WITH_ADVANCED}


def load(project: Path, name: str) -> dict[str, Any]:
    """Parse one file of a project by a parser that is not the template's."""
    parsers = {".toml": tomllib.loads, ".json": json.loads, ".yml": yaml.safe_load}
    return parsers[Path(name).suffix]((project / name).read_text())


def recorded(project: Path, question: str) -> Any:
    """Return what the file of a question's answer says, or None if it does not mention it."""
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
    """Return the template as a plain folder: no clone for each of a few hundred copies."""
    folder = tmp_path_factory.mktemp("plain") / "mf-template"
    shutil.copytree(template, folder, ignore=shutil.ignore_patterns(".git"))
    return folder


@pytest.fixture(scope="session")
def answer(plain: Path) -> Callable[..., Path]:
    """Return a function that copies the template with some answers, opening `advanced` for them."""

    def answer(destination: Path, source: Path = plain, **answers: Any) -> Path:
        assert answers.keys() <= QUESTIONS.keys()
        if answers.keys() & ADVANCED_QUESTIONS:
            answers = {"advanced": True, **answers}
        copier.run_copy(
            str(source), destination, data=answers, defaults=True, quiet=True, unsafe=False
        )
        return destination

    return answer


@pytest.mark.parametrize("row", range(max(len(question.good) for question in FREE_TEXT.values())))
def test_good_answers(answer, tmp_path, row):
    """One copy takes a whole row of the table: good answers do not exclude one another."""
    cells = {
        name: question.good[row] for name, question in FREE_TEXT.items() if row < len(question.good)
    }
    project = answer(tmp_path / "new", **{question: cell[0] for question, cell in cells.items()})
    expected = {question: cell[1] for question, cell in cells.items()}
    assert {question: recorded(project, question) for question in cells} == expected


@pytest.mark.parametrize(
    ("question", "value", "right"),
    [
        pytest.param(name, *row, id=f"{name}-{repr(row[0])[:40]}")
        for name, question in FREE_TEXT.items()
        for row in question.bad
    ],
)
def test_bad_answer(answer, tmp_path, question, value, right):
    with pytest.raises(ValueError) as refusal:
        answer(tmp_path / "new", **{question: value})
    message = str(refusal.value).partition(f"question '{question}': ")[2]
    remedy = next(remedy for remedy in FREE_TEXT[question].remedies if message.startswith(remedy))
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
        ("gpu_steps", "gpu"),
        ("ci", "travis"),
        ("ci", "github\n"),
        ("python_version", "3.10"),
        ("python_version", "3.1"),
        ("python_version", "3.13\n"),
    ],
)
def test_bad_choice(answer, tmp_path, question, value):
    gpu = {"gpu": 1} if question in ASKED_WITH_GPU else {}
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
    assert recorded(answer(tmp_path / folder), "project_name") == expected


@pytest.mark.parametrize("dots", [".", "./", "../Bad_Name"])
def test_default_name_of_the_working_directory(answer, tmp_path, monkeypatch, dots):
    (tmp_path / "Bad_Name").mkdir()
    monkeypatch.chdir(tmp_path / "Bad_Name")
    assert recorded(answer(Path(dots)), "project_name") == "bad-name"
    assert recorded(tmp_path / "Bad_Name", "image") == "ghcr.io/example/bad-name:0.1.0"


@pytest.mark.parametrize("gpu", [0, 1])
def test_what_is_asked_with_gpus(answer, tmp_path, gpu):
    answers = load(answer(tmp_path / "new", gpu=gpu), ".copier-answers.yml")
    assert answers.keys() & {*ASKED_WITH_GPU} == ({*ASKED_WITH_GPU} if gpu else set())


@pytest.mark.parametrize("advanced", [False, True])
def test_advanced_questions(answer, tmp_path, advanced):
    answers = load(answer(tmp_path / "new", advanced=advanced), ".copier-answers.yml")
    assert answers.keys() & ADVANCED_QUESTIONS == (ADVANCED_QUESTIONS if advanced else set())


def test_conditions_are_the_designed_ones():
    """No other question comes and goes, and only what is computed is never asked."""
    conditional = {
        key: question["when"] for key, question in QUESTIONS.items() if "when" in question
    }
    assert conditional.keys() == (
        ADVANCED_QUESTIONS | {*ASKED_WITH_GPU, "deploy_from_ci"} | {*COMPUTED}
    )
    assert not any(conditional[key] for key in COMPUTED)


@pytest.mark.parametrize("question", sorted(QUESTIONS.keys() - {*COMPUTED}))
def test_question_is_explained_and_checked(question):
    properties = QUESTIONS[question]
    assert properties["help"].strip()
    assert "\n" not in properties["help"].strip()
    # in 80 columns, beside the sign before it; what an organisation adds may take a second line
    assert len(properties["help"].split("{%")[0]) <= 77
    if properties["type"] in ("str", "yaml") and "choices" not in properties:
        assert properties["validator"].strip()
        assert len(FREE_TEXT[question].bad) >= 8
        assert len(FREE_TEXT[question].good) >= 8


def test_a_question_that_is_not_registered_is_named():
    """These lines stop pytest before the first test, in conftest.py."""
    page = (ROOT / "docs/questions.md").read_text()
    assert list(missing(QUESTIONS, page)) == []
    lines = list(missing({"contact": {}, **QUESTIONS}, page))
    assert lines == ["contact: add it to ASKED or ASKED_WITH_ADVANCED; to COMPUTED if it is none"]
    without = {name: question for name, question in QUESTIONS.items() if name != "cpu"}
    assert list(missing(without, page)) == ["cpu: copier.yml has no such question; take it out"]
    (line,) = missing(QUESTIONS, page.replace("| `namespace` |", "| |"))
    assert line == "namespace: add it to LATER in docs/from_code/questions.py; `make docs`"
    turned = dict(reversed(QUESTIONS.items()))
    (line,) = missing(turned, page)
    assert line.startswith("ASKED: the order in copier.yml is advanced, updates, python_version")


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

    assert load(project, "k8s.toml") == {"image": "churn:0.1.0", "cpu": 1, "memory": 4096}
    assert load(project, "environments/prod.json") == {
        "$schema": "../tools/mf-k8s/src/mf_k8s/environment.schema.json",
        "production": True,
        "user": "churn",
    }
    assert load(project, "src/churn/organisation.json") == {
        "k8s": {
            "registry": "registry.acme.com:5000/ml",
            "service_account": "runner",
            "persistent_volume_claims": {"shared": "/shared", "models": "/models"},
            "pools": organisation["gpu_pools"],
        },
        "environments": {
            "prod": {
                "METAFLOW_KUBERNETES_NAMESPACE": "ml-prod",
                "METAFLOW_DEFAULT_DATASTORE": "gs",
                "METAFLOW_DATASTORE_SYSROOT_GS": "gs://acme/metaflow",
            }
        },
    }
    assert (project / ".gitlab-ci.yml").exists()
    assert not (project / ".github").exists()


@pytest.mark.parametrize(
    ("key", "value", "question"),
    [
        ("registry", "Bad Registry", "image"),
        ("namespaces", ["Team_A"], "namespace"),
        ("service_accounts", ["Meta_Flow"], "service_account"),
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
