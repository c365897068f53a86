"""What the command says where it cannot work: one line with the remedy, and exit code 2."""

import importlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from mf_k8s.errors import CommandError
from mf_k8s.project import platforms, tool_table
from mf_k8s.project.ci_commands import failure
from mf_k8s.project.contract import CONTRACT
from mf_k8s.project.project import FLOWS, find_project

K8S = Path(sys.executable).with_name("k8s")
VERSION = importlib.metadata.version("mf-k8s")
PACKAGE = ROOT / "template/src/{{ package_name }}"
PYPROJECT = '[tool.mf-k8s]\npackage = "churn"\nrequired-version = ">=0.3.0"\n'
FILES = ("base.py", "settings.py", "k8s.schema.json")
TOOL = "run `uv sync --upgrade-package mf-k8s`"
RESTORE = "`uvx copier recopy --defaults -r :current: --skip '*'`"
# What is done to a project, by a file's new text or None for no file, and what is said of it.
BROKEN = {
    "no project": (
        {"pyproject.toml": None},
        "no project here: neither {root} nor a folder above it has a pyproject.toml with a table"
        " [tool.mf-k8s]; change to a project's folder",
    ),
    "another project": (
        {"pyproject.toml": '[project]\nname = "other"\n'},
        "no project here: neither {root} nor a folder above it has a pyproject.toml with a table"
        " [tool.mf-k8s]; change to a project's folder",
    ),
    "conflict": (
        {"pyproject.toml": PYPROJECT + "<<<<<<< before updating\n"},
        "pyproject.toml has a conflict in line 4: choose what stays of the lines between <<<<<<<"
        " and >>>>>>>",
    ),
    "not TOML": (
        {"pyproject.toml": PYPROJECT + "package\n"},
        "pyproject.toml is not TOML: Expected '=' after a key in a key/value pair"
        " (at line 4, column 8)",
    ),
    "no package": (
        {"pyproject.toml": '[tool.mf-k8s]\nrequired-version = ">=0.3.0"\n'},
        "pyproject.toml: [tool.mf-k8s] must name the project's package, like package ="
        ' "churn_model" for src/churn_model',
    ),
    "package is a path": (
        {"pyproject.toml": '[tool.mf-k8s]\npackage = "src/churn"\n'},
        "pyproject.toml: [tool.mf-k8s] must name the project's package, like package ="
        ' "churn_model" for src/churn_model',
    ),
    "a key that no command reads": (
        {"pyproject.toml": PYPROJECT + 'platfrom = "linux/arm64"\n'},
        "pyproject.toml: [tool.mf-k8s] has no key platfrom; did you mean platform?",
    ),
    "no table": (
        {"pyproject.toml": "[tool]\nmf-k8s = 3\n"},
        "pyproject.toml: [tool.mf-k8s] must name the project's package, like package ="
        ' "churn_model" for src/churn_model',
    ),
    **{
        f"no {file}": (
            {f"src/churn/{file}": None},
            f"src/churn/{file} is missing, and `k8s` needs it: restore it with"
            f" `git checkout -- src/churn/{file}`, or with {RESTORE}",
        )
        for file in FILES
    },
    "older tool": (
        {"pyproject.toml": PYPROJECT.replace(">=0.3.0", ">=99")},
        f"mf-k8s {VERSION} is installed, but pyproject.toml requires >=99: allow that version in"
        f" its dependency group `ops`, then {TOOL}",
    ),
    "no version": (
        {"pyproject.toml": PYPROJECT.replace(">=0.3.0", "new")},
        'pyproject.toml: [tool.mf-k8s] required-version must be versions, like ">=0.3.0": Invalid'
        " specifier: 'new'",
    ),
    "newer contract": (
        {"src/churn/settings.py": "CONTRACT = 3\n"},
        f"src/churn/settings.py needs a newer mf-k8s than {VERSION} (contract 3, not 1 or 2):"
        f" {TOOL}",
    ),
    "older contract": (
        {"src/churn/settings.py": "CONTRACT = 0\n"},
        f"src/churn/settings.py is too old for mf-k8s {VERSION} (contract 0, not 1 or 2): run"
        " `uvx copier update`",
    ),
    "no contract": (
        {"src/churn/settings.py": "import os\n"},
        f"src/churn/settings.py is too old for mf-k8s {VERSION} (contract 0, not 1 or 2): run"
        " `uvx copier update`",
    ),
}


WRONG_PATTERNS = {
    "a text": 'flows = "*.py"',
    "none": "flows = []",
    "a folder": 'flows = ["."]',
    "outside": 'flows = ["../*.py"]',
    "absolute": 'flows = ["/flows/*.py"]',
    "a number": "flows = [1]",
}
BROKEN |= {
    f"flows: {name}": (
        {"pyproject.toml": f"{PYPROJECT}{line}\n"},
        "pyproject.toml: [tool.mf-k8s] flows must be a list of patterns in the project, like"
        ' ["*.py"] for the files of its top folder',
    )
    for name, line in WRONG_PATTERNS.items()
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "churn"
    (root / "src/churn").mkdir(parents=True)
    (root / "flows/nested").mkdir(parents=True)
    for file in FILES:
        shutil.copy(PACKAGE / file, root / "src/churn")
    (root / "pyproject.toml").write_text(PYPROJECT)
    return root


def test_found_from_any_folder_in_it(project, monkeypatch):
    """A pyproject.toml of something else below it is passed over, as in tools/mf-k8s."""
    (project / "flows/pyproject.toml").write_text('[project]\nname = "other"\n')
    for folder in (project, project / "src/churn", project / "flows/nested"):
        assert find_project(folder).root == project
        monkeypatch.chdir(folder)
        assert find_project().root == project
    assert find_project(project).package == "churn"


@pytest.mark.parametrize(("files", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_and_the_remedy(project, monkeypatch, files, message):
    monkeypatch.chdir(project)
    break_project(project, files)
    with pytest.raises(CommandError) as raised:
        find_project()
    assert str(raised.value) == message.format(root=project)


def test_the_contract_before_is_taken(project, monkeypatch):
    """A new version of the tool stops no project of the release before, but older ones."""
    monkeypatch.chdir(project)
    number = re.compile(r"^CONTRACT = \d+$", re.MULTILINE)
    settings = project / "src/churn/settings.py"
    for contract in (1, 2):
        settings.write_text(number.sub(f"CONTRACT = {contract}", settings.read_text()))
        assert find_project().root == project
    monkeypatch.setattr("mf_k8s.project.contract.CONTRACT", 3)
    assert find_project().root == project
    monkeypatch.setattr("mf_k8s.project.contract.CONTRACT", 4)
    with pytest.raises(CommandError, match=r"too old for mf-k8s .* \(contract 2, not 3 or 4\): "):
        find_project()


def test_what_tests_of_contract_1_import():
    """It stays importable until that contract is not taken; test_releases.py runs such tests."""
    assert CONTRACT - 1 <= 1, "these names may go"
    for module, name in (
        ("flow_files", "starts_flow"),
        ("flow_settings", "read_flow_settings"),
        ("project", "find_project"),
    ):
        assert callable(getattr(importlib.import_module(f"mf_k8s.{module}"), name))


def break_project(project: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        if text is None:
            (project / name).unlink()
        else:
            (project / name).write_text(text)


@pytest.mark.parametrize("command", ["check", "plan", "deploy hello", "image", "kind up"])
def test_one_line_and_exit_code_2(project, command):
    files, message = BROKEN["no base.py"]
    break_project(project, files)
    done = subprocess.run(
        [K8S, *command.split()], cwd=project, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"k8s: {message}\n"


def test_paths_are_those_of_the_working_directory(project, monkeypatch):
    (project / "src/churn/base.py").unlink()
    monkeypatch.chdir(project / "flows")
    with pytest.raises(CommandError, match=r"^\.\./src/churn/base\.py is missing, .* -- \.\./src"):
        find_project()


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


FILES_OF_FLOWS = ("flows/b.py", "flows/nested/a.py", "c.py", "jobs/d.py", "jobs/.venv/e.py")


@pytest.mark.parametrize(
    ("line", "expected", "place"),
    [
        ("", ["flows/b.py", "flows/nested/a.py"], "flows/"),
        ('flows = ["*.py"]', ["c.py"], "*.py"),
        ('flows = ["*.py", "jobs/**/*.py"]', ["c.py", "jobs/d.py"], "*.py, jobs/"),
        ('flows = ["flows/b.py"]', ["flows/b.py"], "flows/b.py"),
    ],
)
def test_where_flows_are(project, line, expected, place):
    touch(project, *FILES_OF_FLOWS)
    (project / "pyproject.toml").write_text(f"{PYPROJECT}{line}\n")
    found = find_project(project)
    assert [str(file.relative_to(project)) for file in found.flow_files()] == expected
    assert found.flows_place == place
    with pytest.raises(CommandError, match=f"; {re.escape(place)} has {Path(expected[0]).stem}"):
        found.flow_files(["nothing"])


def test_pattern_that_no_file_fits(project, monkeypatch):
    monkeypatch.chdir(project)
    (project / "pyproject.toml").write_text(f'{PYPROJECT}flows = ["jobs/*.py"]\n')
    with pytest.raises(CommandError) as raised:
        find_project().flow_files()
    expected = "no file fits flows = ['jobs/*.py'] of [tool.mf-k8s] in pyproject.toml"
    assert str(raised.value) == f"{expected}: correct the patterns"


def k8s_test(project: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    (project / "pyproject.toml").write_text(f"{PYPROJECT}test = {json.dumps(commands)}\n")
    return subprocess.run([K8S, "test"], cwd=project, capture_output=True, text=True, timeout=60)


FAILING = "python -c 'raise SystemExit(3)'"


def test_every_listed_command_is_run(project):
    """In the project's folder; the second is run although the first one fails."""
    done = k8s_test(project, FAILING, """python -c 'open("here", "w")'""")
    assert (done.returncode, done.stderr) == (1, "")
    assert (project / "here").exists()
    assert done.stdout.splitlines()[0] == f"$ {FAILING}"
    assert re.search(r"^python -c 'raise .* FAILED, exit code 3 +\d", done.stdout, re.MULTILINE)
    assert re.search(r"^python -c 'open.* passed +\d", done.stdout, re.MULTILINE)
    assert done.stdout.splitlines()[-1] == f"failed: uv run {FAILING}"
    done = k8s_test(project, "python -c 'print(6 * 7)'")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n42\n" in done.stdout and "failed" not in done.stdout


def test_what_may_mend_a_failure() -> None:
    assert failure("ruff format --check") == (
        "failed: uv run ruff format --check; try `uv run ruff format`"
    )
    assert failure("mypy") == "failed: uv run mypy"


PRINT_VARIABLES = (
    """python -c 'import os; print(os.environ["K8S_CONFIG"], "GIT_DIR" in os.environ)'"""
)


def test_listed_commands_find_the_configuration_and_the_repository(project, monkeypatch):
    """Those of a relative path in another folder, and of a git hook."""
    monkeypatch.setenv("K8S_CONFIG", "../other.toml")
    monkeypatch.setenv("GIT_DIR", "/elsewhere/.git")
    monkeypatch.chdir(project / "flows")
    (project / "pyproject.toml").write_text(f"{PYPROJECT}test = {json.dumps([PRINT_VARIABLES])}\n")
    done = subprocess.run([K8S, "test"], capture_output=True, text=True, timeout=60)
    assert f"\n{project / 'other.toml'} False\n" in done.stdout


def test_conflicts_in_files_are_named(project):
    """Not markers that a text shows: they are indented, or have no name."""
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    conflict = "a\n<<<<<<< before updating\nb\n=======\nc\n>>>>>>> after updating\n"
    shown = "    <<<<<<< before updating\n<<<<<<<\n>>>>>>>\n=======\n"
    (project / "src/churn/Größe.md").write_text(conflict)
    (project / "notes.md").write_text(shown)
    done = k8s_test(project, "python -c 1")
    remedy = "has a conflict: choose what stays of the lines between <<<<<<< and >>>>>>>"
    places = [f"src/churn/Größe.md:{line} {remedy}" for line in (2, 6)]
    assert (done.returncode, done.stdout.splitlines()[:2]) == (1, places)
    (project / "src/churn/Größe.md").unlink()
    assert k8s_test(project, "python -c 1").returncode == 0


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ([], "pyproject.toml: [tool.mf-k8s] must list what `k8s test` runs, like test = ["),
        ([7], "pyproject.toml: [tool.mf-k8s] must list what `k8s test` runs, like test = ["),
        (["'"], 'pyproject.toml: [tool.mf-k8s] test: "\'" is not a command, like mypy'),
        (["no-such"], "no-such is not installed: uv add --dev no-such, or take `no-such` out of"),
    ],
)
def test_nothing_is_run_if_one_cannot_be(project, commands, message):
    done = k8s_test(project, "python -c 1", *commands) if commands else k8s_test(project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"k8s: {message}")
    assert done.stderr.count("\n") == 1


def test_remedy_restores_a_file(copy, tmp_path):
    """The message's command brings the file, and what the team wrote stays."""
    project = copy(tmp_path / "churn", project_name="churn")
    base, readme = project / "src/churn/base.py", project / "README.md"
    expected = base.read_text()
    readme.write_text("# Ours\n")
    copier = Path(sys.executable).with_name("copier")
    base.unlink()
    restore = RESTORE.strip("`").replace("uvx copier", str(copier)).replace("'*'", "*").split()
    subprocess.run(restore, cwd=project, check=True, capture_output=True)
    assert base.read_text() == expected
    assert readme.read_text() == "# Ours\n"


@pytest.mark.parametrize("arguments", [[], ["kind"]], ids=["k8s", "k8s kind"])
def test_a_group_of_commands_alone_is_help(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run([K8S, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: k8s" in done.stdout


def test_the_keys_of_the_table_are_those_that_are_read() -> None:
    source = Path(tool_table.__file__).parents[1]
    read = re.compile(r"(?:table(?: or \{\})?|\(read_table\(file\) or \{\})\)?\.get\(\"([\w-]+)\"")
    found = {name for file in source.rglob("*.py") for name in read.findall(file.read_text())}
    assert found == {*tool_table.KEYS}
    defaults = {key: default for key, (_, default) in tool_table.KEYS.items() if default}
    assert defaults == {
        "flows": json.dumps([*FLOWS]),
        "platform": json.dumps(platforms.DEFAULT),
        "argo": '"4"',
        "not-secret": "[]",
    }
