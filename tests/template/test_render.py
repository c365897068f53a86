"""What the template renders, parsed back and held against values written by hand."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import (
    ACTIONLINT,
    ADVANCED,
    EXAMPLE,
    OWN_PYTHON,
    QUESTIONS,
    ROOT,
    check_schema,
    run,
)
from metaflow.metaflow_config import DATASTORE_LOCAL_DIR
from metaflow.metaflow_environment import MetaflowEnvironment
from metaflow.plugins.cards.card_datastore import TEMP_DIR_NAME
from questions import ASKED, ASKED_WITH_ADVANCED, ASKED_WITH_GPU, CHOICES
from teams import commit, git, same

BIN = Path(sys.executable).parent


def values(choices: Any) -> list[str]:
    """Return the values of a question's choices, in any of the forms that Copier allows."""
    listed = choices.values() if isinstance(choices, dict) else choices
    return [choice["value"] if isinstance(choice, dict) else choice for choice in listed]


THE_DEFAULTS = {
    "image_source": "build",
    "ci": "github",
    "python_version": "3.13",
    "gpu_steps": "every",
}
MATRIX: dict[str, dict[str, Any]] = {
    "defaults": {},
    "example": EXAMPLE,
    "advanced": ADVANCED,
    "deploy": {**EXAMPLE, "deploy_from_ci": True},
    **{
        f"{key}={value}": {key: value, **({"gpu": 1} if key in ASKED_WITH_GPU else {})}
        for key, choices in CHOICES.items()
        for value in choices
        if (key, value) not in THE_DEFAULTS.items()
    },
}

SHARED = {"service_account": "metaflow", "cpu": 1, "memory": 4096}
DEFAULT = {"image": "ghcr.io/example/{name}:0.1.0", **SHARED}
K8S: dict[str, dict[str, Any]] = {
    "example": {
        **SHARED,
        "image": "ghcr.io/acme/churn:1.2.3",
        "gpu": 1,
        "gpu_vendor": "nvidia",
        "shared_memory": 8196,
        "persistent_volume_claims": {"metaflow-training": "/cache"},
    },
    "advanced": {
        "image": "registry.example.com:5000/team/vision:2024.1",
        "service_account": "trainer.team-a",
        "cpu": 1.5,
        "memory": 6000,
        "gpu": 2,
        "gpu_vendor": "amd",
        "shared_memory": 1024,
        "image_pull_secrets": ["regcred", "other-cred"],
        "secrets": ["db-password"],
        "tolerations": [
            {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "team", "operator": "Equal", "value": "vision", "effect": "NoExecute"},
        ],
        "node_selector": {"pool": "gpu", "example.com/zone": "eu-1"},
        "persistent_volume_claims": {"data": "/data", "models-v2": "/srv/models"},
    },
    "gpu_vendor=nvidia": {**DEFAULT, "gpu": 1, "gpu_vendor": "nvidia"},
    "gpu_vendor=amd": {**DEFAULT, "gpu": 1, "gpu_vendor": "amd"},
    "gpu_steps=pool": {**DEFAULT, "pools": {"gpu": {"gpu": 1, "gpu_vendor": "nvidia"}}},
}
K8S["deploy"] = K8S["example"]
PROD = {
    "advanced": {
        "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_DATASTORE_SYSROOT_S3": "s3://acme-metaflow/team-a",
        "METAFLOW_DEFAULT_METADATA": "service",
        "METAFLOW_SERVICE_URL": "https://metadata.example.com",
    }
}
NAMES = {"example": "churn-model", "advanced": "vision", "deploy": "churn-model"}
PYTHON = {
    "example": OWN_PYTHON,
    "deploy": OWN_PYTHON,
    "advanced": "3.12",
    "python_version=3.11": "3.11",
    "python_version=3.12": "3.12",
}
CI = {"advanced": "gitlab", "ci=gitlab": "gitlab", "ci=none": None}
SYNC = "uv sync --locked"
TEST = [SYNC, "uv run k8s test"]
KIND = [SYNC, "uv run k8s kind up", "uv run k8s kind test"]
RENDER = "uv run k8s render --env prod --no-upload -o rendered/prod"
DEPLOYS = {"advanced", "deploy"}
PLAN = 'uv run k8s plan --against "${}" --format markdown > plan.md'
JOBS = {
    "github": {
        "test": [*TEST, 'uv run k8s check --format markdown >> "$GITHUB_STEP_SUMMARY"'],
        "kind": [*KIND, "uv run k8s kind logs kind-logs"],
        "plan": [SYNC, PLAN.format("BASE"), 'cat plan.md >> "$GITHUB_STEP_SUMMARY"'],
        "changes": ["only-docs"],
        "comment": ["gh run download"],
    },
    "gitlab": {
        "test": TEST,
        "kind": [
            "if only documentation",
            'mkdir -p "$HOME"',
            *KIND,
            "[ -d .venv ] || exit 0",
            "uv run k8s kind logs kind-logs || true",
            "uv run k8s kind down || true",
            'rm -rf "$CI_PROJECT_DIR-home-$CI_JOB_ID"',
        ],
        "plan": [SYNC, PLAN.format("CI_MERGE_REQUEST_DIFF_BASE_SHA")],
    },
}
NO_DOCKERFILE = {"advanced", "image_source=existing"}


class Case:
    """One project of the matrix, and which it is."""

    def __init__(self, name: str, path: Path):
        self.name = name
        self.path = path
        self.project_name = NAMES.get(name, path.name)

    def read(self, file: str) -> str:
        return (self.path / file).read_text()

    def files(self) -> list[Path]:
        return [file for file in self.path.rglob("*") if file.is_file()]


@pytest.fixture(scope="session", params=MATRIX)
def case(
    request: pytest.FixtureRequest, copie_session: Any, template: Path, small_template: Path
) -> Case:
    """Yield each project of the matrix in turn; one has the tool, which is the same in all."""
    answers = MATRIX[request.param]
    assert answers.keys() <= QUESTIONS.keys()
    source = template if request.param == "example" else small_template
    result = copie_session.copy(extra_answers=answers, template_dir=source, vcs_ref="v0.1.0")
    assert result.exception is None
    assert result.exit_code == 0
    return Case(request.param, result.project_dir)


def test_matrix_has_every_choice():
    """A choice that is added to copier.yml is rendered here too, if tests/questions.py knows it."""
    assert CHOICES == {
        key: values(question["choices"])
        for key, question in QUESTIONS.items()
        if "choices" in question
    }


def test_k8s_toml(case):
    expected = dict(K8S.get(case.name, DEFAULT))
    expected["image"] = expected["image"].format(name=case.project_name)
    assert tomllib.loads(case.read("k8s.toml")) == expected


def test_k8s_toml_is_annotated_with_its_schema(case):
    """Editors complete and check k8s.toml by the schema that its first line names."""
    directive, schema = case.read("k8s.toml").splitlines()[0].split(" ")
    assert directive == "#:schema"
    assert json.loads(case.read(schema))["title"] == "k8s.toml"


def test_environment(case):
    expected = PROD.get(case.name, {"METAFLOW_KUBERNETES_NAMESPACE": "default"})
    assert json.loads(case.read("environments/prod.json")) == expected | {
        "$schema": "../tools/mf-k8s/src/mf_k8s/environment.schema.json",
        "production": True,
        "user": case.project_name,
    }


def test_pyproject(case):
    pyproject = tomllib.loads(case.read("pyproject.toml"))
    assert pyproject["project"]["name"] == case.project_name
    assert pyproject["project"]["requires-python"] == ">=3.11"
    package = case.project_name.replace("-", "_")
    assert [path.name for path in (case.path / "src").iterdir()] == [package]
    for flow in case.path.glob("flows/*.py"):
        assert f"from {package} import BaseFlow" in flow.read_text()


@pytest.mark.parametrize(
    ("kind", "root"), {"s3": "s3://acme/m", "gs": "gs://acme/m", "azure": "acme/m"}.items()
)
def test_clients_of_the_datastore(copy, tmp_path, kind, root):
    """The image has all that a pod would install: Metaflow says what, and the image skips that."""
    project = copy(tmp_path / "new", datastore_root=root)
    listed = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split("[<>]", item)[0] for item in listed}
    command = MetaflowEnvironment(None)._get_install_dependencies_cmd(kind)
    (packages,) = re.findall(r"--disable-pip-version-check (.*?);", command)
    assert set(packages.split()) - {"packaging", "requests"} <= names  # those two others ask for
    others = {"google-cloud-storage", "azure-storage-blob"}
    assert others & names == others & set(packages.split())
    assert "METAFLOW_SKIP_INSTALL_DEPENDENCIES" in (project / "Dockerfile").read_text()


def test_dockerfile(case):
    names = ("Dockerfile", ".dockerignore")
    if case.name in NO_DOCKERFILE:
        assert not [name for name in names if (case.path / name).exists()]
        return
    assert all((case.path / name).exists() for name in names)
    lines = case.read("Dockerfile").splitlines()
    python = PYTHON.get(case.name, "3.13")
    images = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert any(re.search(rf"python:?{re.escape(python)}\b", image) for image in images)
    assert not [image for image in images if image.endswith(":latest") or ":" not in image]
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1].split(":")[0] not in ("root", "0")
    kept = [line for line in lines if re.match("ADD|ARG|COPY|ENV", line)]  # in the image
    assert not re.search("(?i)secret|password|token|_key", "\n".join(kept))


def test_ci(case):
    """The same jobs everywhere; no answer is a part of a command."""
    chosen = CI.get(case.name, "github")
    files = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}
    present = [name for name, file in files.items() if (case.path / file).exists()]
    assert present == [chosen] * (chosen is not None)
    assert (case.path / ".github").exists() == (chosen == "github")
    if chosen is None:
        return
    text = case.read(files[chosen])
    workflow = yaml.safe_load(text)
    if chosen == "github":
        jobs = {
            name: [step["run"] for step in job["steps"] if "run" in step]
            for name, job in workflow["jobs"].items()
        }
    else:
        before = workflow["default"]["before_script"]
        jobs = {
            name: [*job.get("before_script", before), *job["script"], *job.get("after_script", [])]
            for name, job in workflow.items()
            if "script" in job and name != ".deploy"
        }
    if "comment" in jobs:  # their shell lines are run in test_current.py
        (script,) = jobs["comment"]
        jobs["comment"] = [" ".join(script.split()[:3])]
        jobs["changes"] = re.findall('echo "(.*)=true"', *jobs["changes"])
    else:
        jobs["kind"] = [
            re.sub(r"(?s)^if .*docs/.*", "if only documentation", line) for line in jobs["kind"]
        ]
    expected = dict(JOBS[chosen])
    if case.name in DEPLOYS:
        expected["plan"] = [*expected["plan"], RENDER]
    assert jobs == expected
    assert "UV_PYTHON" not in text  # uv reads .python-version


def test_python_is_one_fact(case):
    """uv, ruff and mypy have the Python of the pods; what runs in pods of any age is Python 3.9."""
    python = PYTHON.get(case.name, "3.13")
    assert case.read(".python-version") == f"{python}\n"
    tools = tomllib.loads(case.read("pyproject.toml"))["tool"]
    assert tools["mypy"]["python_version"] == python
    assert tools["ruff"]["target-version"] == f"py{python.replace('.', '')}"
    package = case.project_name.replace("-", "_")
    older = {f"src/{package}/{name}.py": "py39" for name in ("base", "settings")}
    assert tools["ruff"]["per-file-target-version"] == older
    assert all((case.path / file).exists() for file in older)
    files = [*case.path.glob(".github/workflows/*"), *case.path.glob(".gitlab-ci.yml")]
    text = "\n".join(file.read_text() for file in [*files, *case.path.glob("Dockerfile")])
    assert {*re.findall(r"[Pp]ython:?-?(3\.\d+)", text)} <= {python}


def test_gitlab_and_renovate_know_each_key(case):
    for file in case.path.glob(".gitlab-ci.yml"):
        check_schema("gitlab-ci", file)
        check_schema("renovate", case.path / "renovate.json")


def test_what_the_checks_run_on(case):
    """Each group of a merge queue has a run of its own, like each push, and only a newer push to a
    pull request ends another."""
    if CI.get(case.name, "github") != "github":
        return
    workflow = yaml.safe_load(case.read(".github/workflows/ci.yml"))
    assert workflow[True] == {  # YAML's `on`
        "push": {"branches": ["main"]},
        "pull_request": None,
        "merge_group": None,
    }
    group = "${{ github.workflow }}-${{ github.event_name == 'push' && github.sha || github.ref }}"
    assert workflow["concurrency"] == {"group": group, "cancel-in-progress": True}
    jobs = workflow["jobs"]
    assert jobs["plan"]["if"] == "github.event_name == 'pull_request'"
    assert jobs["comment"]["needs"] == "plan"
    assert "if" not in jobs["test"]
    assert jobs["kind"]["if"] == "!cancelled() && needs.changes.outputs.only-docs != 'true'"


def test_no_deployment_unless_asked_for(case):
    texts = [file.read_text() for file in case.files() if "tools" not in file.parts]
    words = (
        "k8s deploy --env prod",
        "--no-upload",
        "deploy_from_ci: true",
        "rendered/",
        "`rendered`",
    )
    found = {word for text in texts for word in words if word in text}
    if case.name not in DEPLOYS:
        assert found == {"k8s deploy --env prod"}  # the README says how people do it
        assert not (case.path / ".github/workflows/deploy.yml").exists()


LOGIN = 'echo "::error file=.github/workflows/deploy.yml::Write your login'


def test_deployment_on_github(case):
    """A tag goes to the one environment, by a login that is a step of the team's."""
    if case.name != "deploy":
        return
    workflow = yaml.safe_load(case.read(".github/workflows/deploy.yml"))
    assert workflow[True] == {"push": {"tags": ["v*"]}, "workflow_dispatch": None}
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"] == {  # main and its tag do not both build the image
        "group": "${{ github.workflow }}-${{ github.sha }}",
        "cancel-in-progress": False,
    }
    (job,) = workflow["jobs"].values()
    assert (job["strategy"]["fail-fast"], job["strategy"]["max-parallel"]) == (True, 1)
    assert job["permissions"] == {"contents": "read", "id-token": "write", "packages": "write"}
    assert job["strategy"]["matrix"] == {"environment": ["prod"]}
    assert job["environment"] == "${{ matrix.environment }}"
    assert job["concurrency"] == {
        "group": "${{ github.workflow }}-${{ matrix.environment }}",
        "cancel-in-progress": False,
    }
    on_main, sync, registry, login, image, deploy = [step for step in job["steps"] if "run" in step]
    assert on_main["if"] == "github.ref_type == 'tag'"
    assert job["steps"][0]["with"]["fetch-depth"] == 0
    assert sync["run"] == SYNC
    assert registry["run"].startswith('docker login ghcr.io --username "$GITHUB_ACTOR"')
    assert registry["env"] == {"TOKEN": "${{ github.token }}"}
    assert login["name"] == "log in to the cloud: registry, datastore and cluster"
    assert login["run"].startswith(LOGIN) and login["run"].endswith("\nexit 1\n")
    assert image["run"] == "uv run k8s image --tag git --push"
    assert deploy["run"] == 'uv run k8s deploy --env "$ENVIRONMENT"'
    assert deploy["env"] == {"ENVIRONMENT": "${{ matrix.environment }}"}
    plan = yaml.safe_load(case.read(".github/workflows/ci.yml"))["jobs"]["plan"]
    assert plan["steps"][-1]["with"] == {"name": "rendered", "path": "rendered"}


@pytest.mark.parametrize("source", ["build", "existing"])
def test_deployment_on_gitlab(copy, tmp_path, source):
    """Building needs a runner with Docker; an existing image needs none."""
    answers = {"ci": "gitlab", "deploy_from_ci": True, "image_source": source}
    project = copy(tmp_path / "churn", **answers)
    pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
    tag = {"if": "$CI_COMMIT_TAG =~ /^v/"}
    assert pipeline["workflow"]["rules"][2:] == [tag]
    job, prod = pipeline[".deploy"], pipeline["deploy-prod"]
    assert job["interruptible"] is False
    assert [job["before_script"][0], job["before_script"][2]] == ['mkdir -p "$HOME"', SYNC]
    assert (job["resource_group"], job["variables"]["GIT_DEPTH"]) == ("deploy", 0)
    assert ("image" in job) == (source == "existing")  # one with git
    assert job["before_script"][-1] == "exit 1"
    builds = source == "build"
    assert job["script"] == [
        *(["uv run k8s image --tag git --push"] if builds else []),
        'uv run k8s deploy --env "$CI_ENVIRONMENT_NAME"',
    ]
    assert job.get("tags") == (["$DEPLOY_RUNNER"] if builds else None)
    assert prod == {
        "extends": ".deploy",
        "environment": {"name": "prod"},
        "rules": [{"if": "$DEPLOY_RUNNER && $CI_COMMIT_TAG" if builds else "$CI_COMMIT_TAG"}],
    }
    assert pipeline["plan"]["artifacts"]["paths"] == ["plan.md", "rendered"]
    for each in (job, pipeline["kind"]):  # those on a shell runner
        assert each["variables"]["HOME"] == "$CI_PROJECT_DIR-home-$CI_JOB_ID"
        assert each["after_script"][-1] == 'rm -rf "$CI_PROJECT_DIR-home-$CI_JOB_ID"'


def test_a_tag_must_be_of_a_commit_on_main(copy, tmp_path):
    """One of a release branch is refused, on GitHub and on GitLab; an older one of main is not."""
    scripts = []
    for ci in ("github", "gitlab"):
        project = copy(tmp_path / ci, ci=ci, deploy_from_ci=True)
        if ci == "github":
            workflow = yaml.safe_load((project / ".github/workflows/deploy.yml").read_text())
            scripts.append(workflow["jobs"]["deploy"]["steps"][1]["run"])
        else:
            pipeline = yaml.safe_load((project / ".gitlab-ci.yml").read_text())
            scripts.append(pipeline[".deploy"]["before_script"][1])
    upstream, clone = tmp_path / "upstream", tmp_path / "clone"
    upstream.mkdir()
    git("init", "-q", "-b", "main", cwd=upstream)
    for name in ("first", "second"):
        (upstream / name).touch()
        commit(upstream)
    git("switch", "-qc", "hotfix", cwd=upstream)
    (upstream / "third").touch()
    commit(upstream)
    git("clone", "-q", upstream, clone, cwd=tmp_path)
    names = {"GITHUB_REF_NAME": "v1.2", "CI_COMMIT_TAG": "v1.2", "CI_DEFAULT_BRANCH": "main"}
    for revision, code in (("origin/main", 0), ("origin/main~1", 0), ("origin/hotfix", 1)):
        git("checkout", "-q", "--detach", revision, cwd=clone)
        for script in scripts:
            done = subprocess.run(
                ["bash", "-e", "-c", script],
                cwd=clone,
                env={"PATH": os.environ["PATH"], **names},
                capture_output=True,
                text=True,
            )
            assert done.returncode == code, (revision, done.stderr)
            assert ("The commit of v1.2 is not on main: merge it" in done.stdout) == (code == 1)


def test_environments_are_deployed_one_after_the_other_on_gitlab(template, tmp_path):
    """In the organisation's order, and prod by a tag, after none of them."""
    fork = tmp_path / "fork"
    shutil.copytree(template, fork, ignore=shutil.ignore_patterns(".git"))
    places = "{dev: ml-dev, prod: ml-prod, qa: ml-qa, staging: ml-staging}"
    (fork / "hooks/organisation.yml").write_text(f"environments: {places}\nci: gitlab\n")
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(fork), tmp_path / "churn", data={"deploy_from_ci": True}, **how)
    pipeline = yaml.safe_load((tmp_path / "churn/.gitlab-ci.yml").read_text())
    needs = {name: job.get("needs") for name, job in pipeline.items() if name.startswith("deploy-")}
    assert needs == {
        "deploy-dev": None,
        "deploy-prod": None,
        "deploy-qa": ["deploy-dev"],
        "deploy-staging": ["deploy-qa"],
    }


@functools.cache
def locked() -> dict[str, Any]:
    """Return the packages of this repository's uv.lock, by name."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return {package["name"]: package for package in packages}


def test_what_ci_installs_is_pinned(case):
    """To what this repository's uv.lock has."""
    files = [*workflows(case), *case.path.glob(".gitlab-ci.yml"), *case.path.glob("Dockerfile")]
    text = "\n".join(file.read_text() for file in files)
    pins = re.findall(r'setup-uv@.*\n +with: { version: "(.*?)"', text)
    pins += re.findall(r'astral-sh/uv:([\d.]+)-|echo "uv==(\S+)', text)
    assert len(pins) == len(re.findall("setup-uv@|astral-sh/uv:|pip install ", text))
    assert {"".join(pin) for pin in pins} <= {locked()["uv"]["version"]}
    assert {*re.findall("copier@(.*)", text)} <= {locked()["copier"]["version"]}


def test_uv_of_the_image_is_locked(case):
    """By its hash for each kind of Linux on amd64 and arm64."""
    if not (case.path / "Dockerfile").exists():
        return
    wheels = {wheel["hash"]: wheel["url"] for wheel in locked()["uv"]["wheels"]}
    found = [wheels[each] for each in re.findall(r"--hash=(\S+)", case.read("Dockerfile"))]
    for kind in ("manylinux.*_x86_64", "manylinux.*_aarch64", "musl.*_x86_64", "musl.*_aarch64"):
        assert any(re.search(kind, url) for url in found)


def test_answers_are_recorded(case):
    """An update asks only what the answers file lacks, so every asked key must be in it."""
    given = MATRIX[case.name]
    answers = yaml.safe_load(case.read(".copier-answers.yml"))
    asked = {*ASKED}
    asked -= {"deploy_from_ci"} if given.get("ci") == "none" else set()
    asked |= {*ASKED_WITH_GPU} if given.get("gpu") else set()
    asked |= {*ASKED_WITH_ADVANCED} if given.get("advanced") else set()
    assert {key for key in answers if not key.startswith("_")} == asked | {"mf_k8s_identity"}
    assert same(answers, given)
    assert answers.keys() >= {"_commit", "_src_path"}


def test_nothing_of_jinja_is_left(case, template):
    """GitHub's expressions look like Jinja; files that are copied as they are may hold anything."""
    sources = [path for path in (template / "template").rglob("*") if path.is_file()]
    verbatim = {path.read_bytes() for path in sources if path.suffix != ".jinja"}
    for file in case.files():
        copied = file.read_bytes() in verbatim
        text = "" if copied else file.read_text().replace("${{", "")
        assert not re.search(r"\{\{|\{%|\{#", text), file
        assert "{" not in str(file.relative_to(case.path))
        assert file.suffix != ".jinja"


def test_whitespace(case):
    """A rendered file looks as if typed: conditions and loops leave no gaps."""
    for file in case.files():
        text = file.read_text()
        if file.name == "py.typed":  # empty, as PEP 561 has it
            continue
        gap = "\n\n\n\n" if file.suffix == ".py" else "\n\n\n"
        prose = re.sub(r"(?ms)^```python$.*?^```$", "```", text) if file.suffix == ".md" else text
        assert gap not in prose, f"{file}: blank lines"
        assert not re.search(r"[ \t\r]$", text, re.MULTILINE), f"{file}: trailing whitespace"
        assert re.search(r"[^\n]\n\Z", text), f"{file}: does not end with exactly one newline"
        assert not text.startswith("\n"), f"{file}: begins with a blank line"


def test_what_runs_leave_is_ignored_by_git(example):
    """The first commit comes after a run, and after `card view`."""
    ignored = (example / ".gitignore").read_text().splitlines()
    left = {f"{DATASTORE_LOCAL_DIR}/", f"{TEMP_DIR_NAME}/", ".venv/", "card.html"}
    assert left - {*ignored} == set()
    assert "card get choose card.html" in (example / "README.md").read_text()


def test_the_readme_is_two_screens(case):
    """Of 52 lines each, whatever the answers."""
    assert len(case.read("README.md").splitlines()) <= 104


def test_ruff(case):
    """A fresh project passes its own lint and format, whatever its names and answers are."""
    run(BIN / "ruff", "check", "--no-cache", cwd=case.path, timeout=60)
    run(BIN / "ruff", "format", "--check", "--no-cache", cwd=case.path, timeout=60)


@pytest.mark.parametrize("name", ["a", "zebra", "x1", "a" * 40, "metaflow-training", "numpy-2"])
def test_ruff_with_any_name(small_template, tmp_path, name):
    """The package's name decides where its import is sorted and how long lines become."""
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(small_template), tmp_path, data={"project_name": name}, **how)
    run(BIN / "ruff", "check", "--no-cache", cwd=tmp_path, timeout=60)
    run(BIN / "ruff", "format", "--check", "--no-cache", cwd=tmp_path, timeout=60)


def workflows(case: Case) -> list[Path]:
    """Give GitHub's workflows, of this repository and of a project."""
    return [*ROOT.glob(".github/workflows/*"), *case.path.glob(".github/workflows/*")]


def test_workflows_pass_zizmor(case):
    """Nothing unpinned, too much permission, or spliced into a shell line."""
    strict = ("--offline", "--no-config", "--persona", "auditor")
    run(BIN / "zizmor", *strict, *workflows(case), cwd=case.path)


def test_workflows_put_no_expression_into_a_shell(case):
    """What a pull request or a branch is called would be run as a program."""
    for file in workflows(case):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            steps = job.get("steps", ())  # none where another workflow is called
            assert not [step for step in steps if "${{" in step.get("run", "")], file


@pytest.mark.skipif(not shutil.which("go"), reason="actionlint is a Go module: no go on PATH")
def test_workflows_pass_actionlint(case):
    run("go", "run", ACTIONLINT, *workflows(case), cwd=case.path)
