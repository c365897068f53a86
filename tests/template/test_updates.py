"""Updates lose nothing and leave nothing: clean tagged clones of the template, without trust."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import copier
import pytest
import teams
import yaml
from conftest import ADVANCED, EXAMPLE, FIGURES, K8S, ROOT, UV, how_many
from copier.errors import UserMessageError
from mf_k8s.project.project import Project
from teams import answers_of, commit, conflicts, git, lost, make, tree, update

COPIER = Path(sys.executable).with_name("copier")
MINIMUM = yaml.safe_load((ROOT / "copier.yml").read_text())["_min_copier_version"]
FIRST, NEXT = "v0.1.0", "v99.0.0"
FLEET = how_many("FLEET", 10, 10)


def released_twice(template: Path, folder: Path) -> Path:
    """Return a clone of a template whose tags are FIRST and NEXT."""
    git("clone", "-q", str(template), "mf-template", cwd=folder)
    teams.release(folder / "mf-template", NEXT, teams.RELEASE)
    return folder / "mf-template"


@pytest.fixture(scope="session")
def source(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released_twice(small_template, tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def original(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of the first release."""
    return make(source, tmp_path_factory.mktemp("original") / "churn-model", FIRST, **EXAMPLE)


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """Return a project of the test's own, of the first release."""
    return shutil.copytree(original, tmp_path / "churn-model")


@pytest.mark.parametrize(
    ("whole", "answers"),
    [(True, EXAMPLE), (False, {**ADVANCED, "image_source": "build"})],
    ids=["example", "advanced"],
)
def test_edits_survive(template, source, tmp_path, whole, answers):
    """A team's lines and the release's stand side by side, without a conflict."""
    if whole:  # with the tool, which the other tests here leave out
        source = released_twice(template, tmp_path)
    ci = answers.get("ci", "github")
    project = make(source, tmp_path / "churn-model", FIRST, **answers)
    assert (project / "tools/mf-k8s/pyproject.toml").exists() == whole
    teams.edit(project, ci)
    assert list(lost(project, ci)) == []
    update(project)

    assert conflicts(project) == []
    assert list(lost(project, ci)) == []
    settings = (project / "k8s.toml").read_text()
    assert ' # newer\n\n# A team\'s own key\nqos = "Guaranteed"\n' in settings
    assert '\nimage_pull_policy = "IfNotPresent"\n\nmemory = ' in settings
    assert "\nA newer line.\n" in (project / "README.md").read_text()
    assert '"joblib>=1.5"' in (project / "pyproject.toml").read_text()
    workflow = {"github": ".github/workflows/ci.yml", "gitlab": ".gitlab-ci.yml"}[ci]
    assert "uv run k8s kind up --newer\n" in (project / workflow).read_text()
    (base,) = project.glob("src/*/base.py")
    assert base.read_text().startswith('"""Newer. ')


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_login_of_a_deployment_survives(source, tmp_path, ci):
    """A team's step is in the middle of the template's, and a release changes the next lines."""
    answers = {**EXAMPLE, "ci": ci, "deploy_from_ci": True}
    project = make(source, tmp_path / "churn-model", FIRST, **answers)
    file = {"github": ".github/workflows/deploy.yml", "gitlab": ".gitlab-ci.yml"}[ci]
    text = (project / file).read_text()
    assert text.count("exit 1\n") == 1
    own = text.replace("exit 1\n", "log-in --to cloud\n")
    (project / file).write_text(own)
    commit(project)
    update(project)
    assert conflicts(project) == []
    newer = re.sub("k8s (image --tag git --push|kind up)\n", r"k8s \1 --newer\n", own)
    assert newer.count("k8s image --tag git --push --newer\n") == 1
    assert (project / file).read_text() == newer


def test_conflict_only_where_both_changed(project):
    """Both sides' lines stand there to choose from, and nowhere else is a marker."""
    teams.edit(project, "github")
    teams.replace(project, [("pyproject.toml", '"joblib>=1.4"', '"joblib>=1.4,<2"')])
    commit(project)
    update(project)

    assert conflicts(project) == ["pyproject.toml"]
    assert git("diff", "--name-only", "--diff-filter=U", cwd=project) == "pyproject.toml\n"
    assert list(lost(project, "github")) == []
    text = (project / "pyproject.toml").read_text()
    (disputed,) = re.findall(r"<<<<<<< .*?\n(.*?)\n=======\n(.*?)\n>>>>>>> ", text, re.DOTALL)
    assert disputed == ('    "joblib>=1.4,<2",', '    "joblib>=1.5",')


def test_rejected_lines_are_announced(project, capsys):
    """With `--conflict rej` nothing is merged in the file, and the message says where to look."""
    teams.replace(project, [("pyproject.toml", '"joblib>=1.4"', '"joblib>=1.4,<2"')])
    commit(project)
    assert teams.copier_ends_with("update", "--defaults", "--conflict=rej", project) == 0
    assert conflicts(project) == ["pyproject.toml.rej"]
    printed = capsys.readouterr().err
    assert "If a *.rej file is there" in printed
    assert "<<<<<<<" not in printed


TOGGLES = [
    {"gpu": "0"},
    {"gpu_steps": "pool"},
    {"persistent_volume_claims": "metaflow-training:/cache, data:/data"},
    {"image_source": "existing"},
    {"advanced": True, "node_selector": "pool=gpu", "secrets": "db", "tolerations": "a:NoSchedule"},
    {"persistent_volume_claims": ""},
    {"deploy_from_ci": True},
    {"ci": "gitlab"},
    {"ci": "none"},
]


def recorded(project: Path, toggle: dict[str, Any]) -> dict[str, Any]:
    """Return what a project answers to the questions of a toggle, to go back to."""
    return {key: value for key, value in answers_of(project).items() if key in toggle}


@pytest.mark.parametrize("toggle", TOGGLES, ids=str)
def test_answer_there_and_back(source, project, tmp_path, toggle):
    """Neither way leaves a file, an empty folder or a line behind."""
    before, back = tree(project), recorded(project, toggle)
    update(project, copier.VcsRef.CURRENT, **toggle)
    assert tree(project) == tree(make(source, tmp_path / "fresh", FIRST, **EXAMPLE | toggle))
    commit(project)
    update(project, copier.VcsRef.CURRENT, **back)
    assert tree(project) == before


# Not the last ones: a team's claim beside one that goes, and its job in a file that goes, touch.
@pytest.mark.parametrize("toggle", TOGGLES[:5], ids=str)
def test_answer_there_and_back_keeps_edits(project, toggle):
    teams.edit(project, "github")
    for values in (toggle, recorded(project, toggle)):
        update(project, copier.VcsRef.CURRENT, **values)
        assert conflicts(project) == []
        assert list(lost(project, "github")) == []
        commit(project)


def test_dirty_project_is_left_alone(project):
    (project / "README.md").write_text("in the middle of something\n")
    before = tree(project)
    with pytest.raises(UserMessageError, match="dirty"):
        update(project)
    assert tree(project) == before


def test_killed_update_can_be_repeated(project, tmp_path):
    """Killed when it has written a part: reset, clean and update again."""
    teams.edit(project, "github")
    git("clone", "-q", str(project), "straight", cwd=tmp_path)
    update(tmp_path / "straight")

    answers = project / ".copier-answers.yml"
    written = answers.read_text()
    process = subprocess.Popen([COPIER, "update", "--defaults", "--quiet"], cwd=project)
    deadline = time.monotonic() + 60
    while answers.read_text() == written and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert git("status", "--porcelain", cwd=project) != ""
    repeat(project)
    assert tree(project) == tree(tmp_path / "straight")


def test_update_with_conflicts_can_be_repeated(project):
    """Until it is committed, an update that went wrong is undone by git."""
    teams.replace(project, [("pyproject.toml", '"joblib>=1.4"', '"joblib>=1.4,<2"')])
    commit(project)
    update(project)
    first = tree(project)
    with pytest.raises(UserMessageError, match="dirty"):
        update(project)
    repeat(project)
    assert tree(project) == first
    assert conflicts(project) == ["pyproject.toml"]


def repeat(project: Path) -> None:
    git("reset", "-q", "--hard", cwd=project)
    git("clean", "-q", "-f", "-d", cwd=project)
    update(project)


def identity(project: Path) -> str:
    """Return what tells a project from others of its name."""
    found = Project(project, "churn_model").identity
    assert answers_of(project).get("mf_k8s_identity", "") == found
    return found


def test_each_copy_has_an_identity_of_its_own(source, project, tmp_path):
    """An update makes one for a project that has none, as 0.3.0's, and keeps it after that."""
    old, other = project, tmp_path / "other/churn-model"
    project = tmp_path / "new/churn-model"
    for folder in (project, other):
        how = {"defaults": True, "quiet": True, "unsafe": False, "vcs_ref": FIRST}
        copier.run_copy(str(source), folder, data=EXAMPLE, **how)
    assert {*tree(project).items()} ^ {*tree(other).items()} == {
        (name, tree(folder)[name])
        for name in (".copier-answers.yml",)
        for folder in (project, other)
    }
    assert re.fullmatch("[a-z]{12}", identity(project))
    assert identity(project) != identity(other)

    project = old
    answers = project / ".copier-answers.yml"
    answers.write_text(re.sub("(?m)^mf_k8s_identity: .*\n", "", answers.read_text()))
    commit(project)
    assert identity(project) == ""
    update(project, copier.VcsRef.CURRENT)
    made = identity(project)
    assert re.fullmatch("[a-z]{12}", made)
    assert git("status", "--porcelain", cwd=project) == " M .copier-answers.yml\n"
    commit(project)
    update(project, copier.VcsRef.CURRENT, cpu="2")
    assert identity(project) == made
    assert conflicts(project) == []


def test_check_update_says_the_truth(small_template, tmp_path):
    git("clone", "-q", str(small_template), "source", cwd=tmp_path)
    source = tmp_path / "source"
    project = make(source, tmp_path / "churn-model", **EXAMPLE)

    def ends_with() -> int:
        return teams.copier_ends_with("check-update", "--quiet", project)

    assert ends_with() == 0
    teams.release(source, "v98.0.0rc1", [("README.md.jinja", "# {{ project_name }}", "# Soon")])
    assert ends_with() == 0  # not before it is released
    teams.release(source, NEXT, teams.RELEASE[:1])
    assert ends_with() == 2
    update(project)
    assert ends_with() == 0


def test_deleted_file_stays_deleted(project):
    """As .github/workflows/update.yml where Renovate does its work, though a release changes it."""
    (project / ".github/workflows/update.yml").unlink()
    commit(project)
    update(project)
    assert not (project / ".github/workflows/update.yml").exists()


@pytest.mark.long
@pytest.mark.parametrize("version", [f"copier=={MINIMUM}", "copier@latest"])
def test_oldest_and_newest_copier(template, tmp_path, version):
    """Both render and update as the Copier of these tests does."""
    source = released_twice(template, tmp_path)

    def with_version(*command: str | Path, cwd: Path) -> str:
        tool = [UV, "tool", "run", "--quiet", "--python", sys.executable, "--from", version]
        done = subprocess.run(
            [*tool, "copier", *command], cwd=cwd, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    version_line = with_version("--version", cwd=tmp_path)
    FIGURES[f"updates with {version}"] = version_line.strip()
    if "==" in version:
        assert version_line.split() == ["copier", MINIMUM]
    data = [f"--data={key}={value}" for key, value in {**EXAMPLE, **teams.SAME}.items()]
    options = ("--quiet", "--defaults", f"--vcs-ref={FIRST}", *data)
    with_version("copy", *options, source, "theirs", cwd=tmp_path)
    ours, theirs = make(source, tmp_path / "ours", FIRST, **EXAMPLE), tmp_path / "theirs"
    assert without_types(theirs) == without_types(ours)
    git("init", "-q", cwd=theirs)
    commit(theirs)
    for edited in (ours, theirs):
        teams.edit(edited, "github")
    update(ours)
    with_version("update", "--quiet", "--defaults", cwd=theirs)
    assert without_types(theirs) == without_types(ours)
    assert conflicts(theirs) == list(lost(theirs, "github")) == []


def without_types(project: Path) -> dict[str, Any]:
    """Return a project's tree with the answers as texts: a command line has no other."""
    answers = {key: str(value) for key, value in answers_of(project).items()}
    return {**tree(project), ".copier-answers.yml": answers}


def test_into_an_existing_repository(source, tmp_path):
    """`--skip '*'` keeps what is there and adds the rest; `--skip FILE` does so at an update."""
    ours = {"README.md": "# Ours\n", "pyproject.toml": '[project]\nname = "ours"\n'}
    ours |= {"flows/old.py": "# old\n", ".gitignore": "data/\n", "k8s.toml": "cpu = 4\n"}
    project = tmp_path / "existing"
    for name, text in ours.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    git("init", "-q", cwd=project)
    commit(project)

    def without_a_person(*command: str | Path) -> None:
        done = subprocess.run(
            [COPIER, *command, "--quiet", "--defaults"],
            cwd=project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    without_a_person("copy", f"--vcs-ref={FIRST}", "--skip", "*", source, project)
    assert {name: (project / name).read_text() for name in ours} == ours
    assert (project / "src/existing/base.py").exists()
    commit(project)
    without_a_person("update", *(f"--skip={name}" for name in ours))
    assert {name: (project / name).read_text() for name in ours} == ours
    assert conflicts(project) == []
    assert (project / "src/existing/base.py").read_text().startswith('"""Newer. ')


# The tool's messages say which command of Copier mends a project, and `k8s check` compares the
# answers with k8s.toml if they are there.
MAY_NAME_COPIER = "tools/mf-k8s/"


def test_nothing_needs_the_template(copy, tmp_path):
    """A team that leaves deletes three files and a part of the README; all that runs still runs."""
    project = copy(tmp_path / "churn-model", **EXAMPLE)
    for name in (".copier-answers.yml", "renovate.json", ".github/workflows/update.yml"):
        (project / name).unlink()
    (project / "README.md").unlink()  # says how to update
    naming = [name for name, text in tree(project).items() if b"copier" in (text or b"").lower()]
    assert [name for name in naming if not name.startswith(MAY_NAME_COPIER)] == []
    done = subprocess.run(
        [K8S, "check", "hello"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HelloFlow (compiled)" in done.stdout


@pytest.mark.long
def test_fleet():
    command = [sys.executable, ROOT / "benchmarks/fleet.py", f"--projects={FLEET}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    FIGURES["fleet"] = "; ".join(done.stdout.splitlines())
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-3:] == ["conflicts: 0", "lost edits: 0", "not updated: 0"]
