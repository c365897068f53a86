"""Updates from each released version to this one: what Copier does to edits of every kind."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import copier
import pytest
import teams
from conftest import ADVANCED, EXAMPLE, FIGURES, K8S, OWN_PYTHON, ROOT, UV, run, set_git
from teams import Edits, answers_of, commit, conflicts, git, make, tree, update

HEADINGS = re.findall(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
VERSIONS = HEADINGS[1:]  # the first is this tree's
# The tests of each release: of the newest and the oldest always, and with LONG=1 of those between.
NEWEST, *BETWEEN, OLDEST = VERSIONS
EACH_VERSION = [NEWEST, OLDEST, *(pytest.param(each, marks=pytest.mark.long) for each in BETWEEN)]
# Where there is no tag: the commit that was released. Of a later one, `git tag` alone is needed.
RELEASED = {
    "0.1.0": "8a19cf6a242f5e11aa7cf8089a7369e8177ea346",
    "0.2.0": "155a6bc36c0625ae3efd9dcc27d12f1038b34943",
    # Its projects have contract 1 with the tool, and tests that import the tool's own modules.
    "0.3.0": "591d9ae67d02cfdff6582df0ad963ad85b7c1bce",
}
WITH_OPS = ["0.1.0", "0.2.0"]  # whose command k8s was in src/<package>/ops/
CONTRACT_1 = RELEASED["0.3.0"]
NEXT = "v99.0.0"
URL = "https://github.com/org/mf-template.git"

PROD = "environments/prod.json"
OWN_PROD = '{\n    "METAFLOW_KUBERNETES_NAMESPACE": "ours",\n    "METAFLOW_OURS": "1"\n}\n'

# A team's edits that no later version touches. File, lines in it, lines in their place.
APART: Edits = [
    ("pyproject.toml", 'version = "0.1.0"\n', 'version = "1.4.0"\n'),
    ("pyproject.toml", '    "numpy>=2",\n', '    "numpy>=2",\n    "packaging>=24",\n'),
    ("pyproject.toml", '    "pytest>=8",\n', '    "iniconfig>=2",\n    "pytest>=8",\n'),
    ("pyproject.toml", '["joblib.*", "sklearn.*"]\n', '["joblib.*", "ours.*", "sklearn.*"]\n'),
    ("pyproject.toml", "\n[tool.pytest", "\n[tool.ours]\nlevel = 3\n\n[tool.pytest"),
    ("README.md", "# churn-model\n", "# Churn, of the churn team\n"),
    (
        "Dockerfile",
        f"FROM python:{OWN_PYTHON}-slim\n",
        f"FROM mirror.example.com/python:{OWN_PYTHON}-slim\n",
    ),
    ("Dockerfile", "USER 1000:1000\n", "USER 1000:1000\nENV OURS=1\n"),
    ("k8s.toml", "\ncpu = 1\n", '\nqos = "Guaranteed"\n\ncpu = 1\n'),
    (
        ".github/workflows/ci.yml",
        "\njobs:\n",
        "\njobs:\n  ours:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ours\n\n",
    ),
]
# Edits of lines that a later version changes too, or beside such lines.
DISPUTED: Edits = [
    ("pyproject.toml", "[project.scripts]\n", '[project.scripts]\nscore = "churn_model:score"\n'),
    ("pyproject.toml", '    "rich>=13",\n', '    "rich>=13",\n    "s3fs>=2025",\n'),
    ("pyproject.toml", "line-length = 100\n", "line-length = 120\n"),
    (
        "pyproject.toml",
        'default-groups = ["dev", "ops"]\n',
        'default-groups = ["dev", "ops"]\n\n[tool.uv.sources]\nours = { path = "../ours" }\n',
    ),
    ("tests/test_flows.py", "import os\n", "import json\nimport os\n"),
    (
        "tests/test_flows.py",
        "    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)\n",
        "    kind = {'capture_output': True, 'text': True, 'timeout': 900}\n"
        "    done = subprocess.run(command, cwd=cwd, env=env, **kind)\n",
    ),
    ("README.md", "belong to the template", "belong to the template, ask Ada"),
    (
        ".github/workflows/ci.yml",
        "      - run: uv run pytest\n",
        "      - run: uv run pytest\n      - run: uv run python scripts/lint.py\n",
    ),
    ("src/churn_model/base.py", '"""', '"""Ours. '),
]


# As 0.3.0 has them.
TOOL_IN_TESTS = "from mf_k8s.flow_files import starts_flow"
DISPUTED_SINCE_0_3: Edits = [
    ("tests/test_flows.py", f"{TOOL_IN_TESTS}\n", f"{TOOL_IN_TESTS}  # the tool's\n"),
    ("README.md", "belong to the template", "belong to the template, ask Ada"),
]


@pytest.fixture(scope="session")
def history(template: Path, tmp_path_factory: Any) -> Path:
    """Return a clone with every released version as a tag, and this tree as the next."""
    clone = tmp_path_factory.mktemp("history") / "mf-template"
    git("clone", "-q", "--no-local", str(ROOT), str(clone), cwd=ROOT)
    for version in VERSIONS:
        if git("tag", "--list", f"v{version}", cwd=clone):
            continue
        try:
            git("tag", f"v{version}", RELEASED[version], cwd=clone)
        except AssertionError:
            pytest.skip(f"{version} is not in this clone: it is shallow")
    for path in clone.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(template, clone, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))
    git("commit", "-q", "--allow-empty", "-m", "next", cwd=clone)
    commit(clone)
    git("tag", NEXT, cwd=clone)
    return clone


def project_of(history: Path, version: str, project: Path, answers: dict[str, Any]) -> Path:
    """Return a committed project, made by a released version."""
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(history), project, data=answers, vcs_ref=f"v{version}", **how)
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    return project


def missing(project: Path, edits: Edits) -> list[str]:
    """Return the lines of a team's edits that their files lack."""
    return [
        f"{name}: {line}"
        for name, old, new in edits
        for line in set(new.splitlines()) - set(old.splitlines())
        if line not in (project / name).read_text()
    ]


# What an update answers to a question that a version did not have.
ASKED_SINCE = {
    **dict.fromkeys(WITH_OPS, {"deploy_from_ci": False, "updates": "both"}),
    "0.3.0": {"updates": "both"},
}
FEW: dict[str, Any] = {"project_name": "a"}


@pytest.mark.parametrize(
    ("version", "answers"),
    [
        (NEWEST, EXAMPLE),
        (OLDEST, ADVANCED),
        *(pytest.param(OLDEST, answers, marks=pytest.mark.long) for answers in (FEW, EXAMPLE)),
        *(pytest.param(NEWEST, answers, marks=pytest.mark.long) for answers in (FEW, ADVANCED)),
        *(
            pytest.param(version, answers, marks=pytest.mark.long)
            for version in BETWEEN
            for answers in (FEW, EXAMPLE, ADVANCED)
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_released_version_to_this_one(history, tmp_path, version, answers):
    """An updated project is a fresh one: no file of the older version stays, none is missing.

    But for environments/prod.json, which is the team's alone.
    """
    project = project_of(history, version, tmp_path / "old", answers)
    older = {PROD: (project / PROD).read_bytes()}
    update(project, **teams.SAME)
    fresh = make(history, tmp_path / "fresh", **answers | ASKED_SINCE.get(version, {}))
    assert answers_of(project)["_commit"] == NEXT
    assert tree(project) == tree(fresh) | older
    assert not list(project.glob("src/*/ops"))


@pytest.mark.parametrize("version", EACH_VERSION)
def test_edits_apart_merge_alone(history, tmp_path, version):
    """They merge without a conflict, and so do a team's own files and its deletions."""
    project = project_of(history, version, tmp_path / "churn-model", EXAMPLE)
    teams.replace(project, APART)
    (project / "flows/train.py").unlink()
    (project / PROD).write_text(OWN_PROD)
    for name in ("tests/test_ours.py", "src/churn_model/ours.py", "tools/ours.py"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("OURS = 1\n")
    commit(project)
    assert missing(project, APART) == []
    update(project)

    assert conflicts(project) == []
    assert missing(project, APART) == []
    assert not (project / "flows/train.py").exists()
    assert (project / PROD).read_text() == OWN_PROD
    for name in ("tests/test_ours.py", "src/churn_model/ours.py", "tools/ours.py"):
        assert (project / name).read_text() == "OURS = 1\n"


@pytest.mark.parametrize("version", EACH_VERSION)
def test_disputed_edits_are_conflicts(history, tmp_path, version):
    """None is lost in silence, and the command of the message names the files to look at."""
    project = project_of(history, version, tmp_path / "churn-model", EXAMPLE)
    edits = DISPUTED if version in WITH_OPS else DISPUTED_SINCE_0_3
    teams.replace(project, edits)
    commit(project)
    update(project)

    assert missing(project, edits) == []
    found = conflicts(project)
    disputed = {"tests/test_flows.py"} | ({"pyproject.toml"} if version in WITH_OPS else set())
    assert disputed <= set(found) <= {name for name, _, _ in edits}
    assert git("diff", "--name-only", "--diff-filter=U", cwd=project).splitlines() == found


@pytest.mark.long
@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_edits_in_ops_are_shown(history, tmp_path, monkeypatch, capfd, version):
    """Copier deletes them in silence, so the template's message has the commands that show them."""
    source = tmp_path / "mf-template"
    git("clone", "-q", str(history), str(source), cwd=tmp_path)
    project = project_of(source, version, tmp_path / "churn [1]", EXAMPLE)
    answers = project / ".copier-answers.yml"
    answers.write_text(
        re.sub("(?m)^_src_path: .*", "_src_path: gh:org/mf-template", answers.read_text())
    )
    ops = project / "src/churn_model/ops"
    edited = ops / "check.py"
    edited.write_text(edited.read_text() + "\n# The team's own line.\n")
    (ops / "own.py").write_text("OWN = 1\n")
    commit(project)
    set_git(monkeypatch, {f"url.{source}.insteadOf": URL})  # no test reaches GitHub
    monkeypatch.setenv("COPIER_CACHE_DIR", str(tmp_path / "cache"))

    def copier_update() -> str:
        """Run `copier update --defaults` as a person does; return what it prints."""
        status = teams.copier_ends_with("update", "--defaults", project)
        printed = "".join(capfd.readouterr())
        assert status == 0, printed
        return printed

    output = copier_update()
    assert conflicts(project) == []
    assert [path.name for path in ops.iterdir()] == ["own.py"]
    assert "This update deletes src/churn_model/ops/" in output
    assert f"git fetch -q {URL} " in output
    commands = "\n".join(line for line in output.splitlines() if line.startswith("  git "))
    shown = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    changed = [line for line in shown.stdout.splitlines() if re.match(r"[-+]", line)]
    assert changed == [
        "--- a/check.py",
        "+++ b/check.py",
        "+",
        "+# The team's own line.",
        "--- /dev/null",
        "+++ b/own.py",
        "+OWN = 1",
    ]

    commit(project)
    teams.release(source, "v99.1.0", teams.RELEASE[:1])
    later = copier_update()
    assert "churn-model is updated" in later
    assert "ops" not in later
    assert "conflict" not in later


def uv(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run uv as in a checkout of its own, whatever environment these tests have."""
    env = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    return subprocess.run(
        [UV, *command], cwd=project, env=env, capture_output=True, text=True, timeout=600
    )


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_tests_pass_after_an_update(history, tmp_path, version):
    """With the edits, and with uv.lock of the older version, of which uv says what to run."""
    project = project_of(history, version, tmp_path / "churn-model", EXAMPLE)
    teams.replace(project, APART)
    (project / "flows/train.py").unlink()  # the other flow takes less time
    assert uv(project, "lock", "--python", sys.executable).returncode == 0
    commit(project)
    update(project)

    start = time.perf_counter()
    locked = uv(project, "sync", "--locked", "--python", sys.executable)
    assert locked.returncode != 0
    assert "needs to be updated" in locked.stderr
    assert "uv lock" in locked.stderr
    for command in (("sync", "--python", sys.executable), ("sync", "--locked")):
        done = uv(project, *command)
        assert done.returncode == 0, done.stderr
    synced = time.perf_counter()
    done = uv(project, "run", "--locked", "pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    FIGURES[f"from {version}"] = (
        f"uv sync {synced - start:.0f} s, uv run pytest {time.perf_counter() - synced:.0f} s"
    )


def test_this_tool_takes_a_project_of_the_contract_before(tmp_path):
    """It is published for projects that are not updated yet: their check and their tests pass."""
    project = tmp_path / "churn-model"
    try:
        git("cat-file", "-e", CONTRACT_1, cwd=ROOT)
    except AssertionError:
        pytest.skip("the commit is not in this clone: it is shallow")
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(ROOT), project, data=EXAMPLE, vcs_ref=CONTRACT_1, **how)
    settings = (project / "src/churn_model/settings.py").read_text()
    assert "\nCONTRACT = 1\n" in settings
    assert f"{TOOL_IN_TESTS}\n" in (project / "tests/test_flows.py").read_text()
    shutil.rmtree(project / "tools")  # its own tool: this one is here
    installed = {**os.environ, "PYTHONPATH": str(project / "src")}
    pytest_hello = (sys.executable, "-m", "pytest", "-q", "-k", "hello")
    assert "matches k8s.toml" in run(K8S, "check", "hello", cwd=project)
    assert "1 passed, 1 deselected" in run(*pytest_hello, cwd=project, **installed)
