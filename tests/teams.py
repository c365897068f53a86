"""What teams do to a project, what a next release does to the template, and what must come of it.

Used by test_updates.py, test_releases.py and benchmarks/fleet.py.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import copier
import yaml
from copier._cli import CopierApp

Edits = list[tuple[str, str, str]]

SAME = {"mf_k8s_identity": "identity"}  # of every project that is compared with another

MARKER = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
FLOW = '''"""The team's own flow."""

from {package} import BaseFlow


class ScoreFlow(BaseFlow):
    pass
'''
# file, text in it, text in its place
TEAM: Edits = [
    ("README.md", "\n\nMetaflow flows", "\n\nOwned by the churn team.\n\nMetaflow flows"),
    ("README.md", "\n## Change a flow\n", "\n## On call\n\nAsk in #churn.\n\n## Change a flow\n"),
    ("pyproject.toml", '    "numpy>=2",\n', '    "numpy>=2",\n    "pandas>=2",\n'),
    ("pyproject.toml", "line-length = 100\n", "line-length = 120\n"),
    ("k8s.toml", "\ncpu = ", '\n# A team\'s own key\nqos = "Guaranteed"\n\ncpu = '),
    (".gitignore", ".venv/\n", ".venv/\nmlruns/\n"),
    ("flows/train.py", "import numpy as np\n", "import numpy as np  # the team's\n"),
]
TEAM_CI: dict[str, Edits] = {
    "github": [
        (
            ".github/workflows/ci.yml",
            "      - run: uv run k8s test\n",
            "      - run: uv run k8s test\n      - run: uv run python scripts/lint.py\n",
        ),
    ],
    "gitlab": [
        (
            ".gitlab-ci.yml",
            "    - uv run k8s test\n",
            "    - uv run k8s test\n    - uv run python scripts/lint.py\n",
        ),
    ],
    "none": [],
}
ABOVE_CLAIMS = '# A claim to mount: persistent_volume_claims.data = "/data"\n'
CLAIM = 'persistent_volume_claims.scratch = "/scratch"'
PARTS = ("cpu = ", "Metaflow flows")  # where an edit above ends in the middle of a line
# Beside what the teams change, never the same line. File of the template, text, text in its place.
RELEASE: Edits = [
    ("k8s.toml.jinja", "{{ toml(service_account) }}\n", "{{ toml(service_account) }} # newer\n"),
    ("k8s.toml.jinja", "\nmemory = ", '\nimage_pull_policy = "IfNotPresent"\n\nmemory = '),
    ("README.md.jinja", "configuration in [k8s.toml]", "newer configuration in [k8s.toml]"),
    ("README.md.jinja", "\n| To change | edit |", "\nA newer line.\n\n| To change | edit |"),
    ("pyproject.toml.jinja", '"joblib>=1.4"', '"joblib>=1.5"'),
    ("pyproject.toml.jinja", 'select = ["B", ', 'select = ["A", "B", '),
    ("src/{{ package_name }}/base.py", '"""', '"""Newer. '),
    (
        "{% if ci == 'github' %}.github{% endif %}/workflows/ci.yml.jinja",
        "uv run k8s kind up\n",
        "uv run k8s kind up --newer\n",
    ),
    (
        "{% if ci == 'gitlab' %}.gitlab-ci.yml{% endif %}.jinja",
        "uv run k8s kind up\n",
        "uv run k8s kind up --newer\n",
    ),
    (
        "{% if ci == 'github' %}.github{% endif %}/workflows"
        "/{% if updates in ['weekly', 'both'] %}update.yml{% endif %}.jinja",
        "name: update",
        "name: newer",
    ),
    *(
        (file, "k8s image --tag git --push\n", "k8s image --tag git --push --newer\n")
        for file in (
            "{% if ci == 'github' %}.github{% endif %}/workflows"
            "/{% if deploy_from_ci %}deploy.yml{% endif %}.jinja",
            "{% if ci == 'gitlab' %}.gitlab-ci.yml{% endif %}.jinja",
        )
    ),
]


def git(*command: str, cwd: Path) -> str:
    """Run git as a fixed user, not with the identity of the developer."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    done = subprocess.run(
        ["git", *identity, *command], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise AssertionError(f"git {command}: {done.stdout}{done.stderr}")
    return done.stdout


def commit(folder: Path) -> None:
    git("add", "-A", cwd=folder)
    git("commit", "-q", "-m", "work", cwd=folder)


def make(template: Path, project: Path, ref: str | None = None, **answers: Any) -> Path:
    """Make a committed project, without trust: of the newest release, or of the one of a tag."""
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(template), project, data={**answers, **SAME}, vcs_ref=ref, **how)
    git("init", "-q", "-b", "main", cwd=project)
    commit(project)
    return project


def update(project: Path, ref: Any = None, **answers: Any) -> None:
    """Do what `copier update --defaults` does, without trust."""
    how = {"defaults": True, "overwrite": True, "quiet": True, "unsafe": False}
    copier.run_update(project, data=answers, vcs_ref=ref, **how)


def copier_ends_with(command: str, *options: str | Path) -> int:
    """Return the exit code of a command of Copier, which is run in this process."""
    words = ["copier", command, *map(str, options)]
    return CopierApp.run(words, exit=False)[1]


def replace(folder: Path, edits: Edits) -> None:
    for name, old, new in edits:
        text = (folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        (folder / name).write_text(text.replace(old, new, 1))


def release(template: Path, tag: str, edits: Edits) -> None:
    """Release a version of the template in a clone of it."""
    replace(template / "template", edits)
    commit(template)
    git("tag", tag, cwd=template)


def edit(project: Path, ci: str) -> None:
    """Edit a project as a team does in its first weeks, and commit it."""
    (package,) = (path.name for path in (project / "src").iterdir())
    replace(project, TEAM + TEAM_CI[ci])
    settings = project / "k8s.toml"
    own_claim(settings)
    settings.write_text(re.sub(r'(?m)^(image = .*)"$', r'\1-bumped"', settings.read_text()))
    (project / "flows/score.py").write_text(FLOW.format(package=package))
    (project / "flows/hello.py").unlink()
    (project / f"src/{package}/features.py").write_text("COLUMNS = ['age']\n")
    commit(project)


def own_claim(settings: Path) -> None:
    """Add a claim of the team's own, below the comment that says how."""
    text = settings.read_text()
    assert ABOVE_CLAIMS in text
    settings.write_text(text.replace(ABOVE_CLAIMS, f"{ABOVE_CLAIMS}{CLAIM}\n"))


def lost(project: Path, ci: str) -> Iterator[str]:
    """Yield each edit of `edit` that a project lacks."""
    for name, _, new in TEAM + TEAM_CI[ci]:
        text = (project / name).read_text() if (project / name).exists() else ""
        kept = [*text.splitlines(), *PARTS]
        yield from (f"{name}: {line}" for line in new.splitlines() if line not in kept)
    (package,) = (path.name for path in (project / "src").iterdir())
    settings = (project / "k8s.toml").read_text().splitlines()
    if not any(line.endswith('-bumped"') for line in settings):
        yield "k8s.toml: image"
    if CLAIM not in settings:
        yield "k8s.toml: claim"
    if (project / "flows/hello.py").exists():
        yield "flows/hello.py is back"
    for name, text in (
        ("flows/score.py", FLOW.format(package=package)),
        (f"src/{package}/features.py", "COLUMNS = ['age']\n"),
    ):
        if not (project / name).exists() or (project / name).read_text() != text:
            yield name


def conflicts(project: Path) -> list[str]:
    """Return the files in which an update left markers, and those of rejected lines, sorted."""
    files = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.parts]
    return sorted(
        str(path.relative_to(project))
        for path in files
        if path.suffix == ".rej" or MARKER.search(path.read_text())
    )


def tree(project: Path) -> dict[str, bytes | None]:
    """Return every file's content, and None for every folder, but for git's."""
    return {
        str(path.relative_to(project)): path.read_bytes() if path.is_file() else None
        for path in project.rglob("*")
        if ".git" not in path.relative_to(project).parts
    }


def answers_of(project: Path) -> dict[str, Any]:
    return yaml.safe_load((project / ".copier-answers.yml").read_text())


def same(answers: dict[str, Any], given: dict[str, Any]) -> bool:
    """Return whether the given answers were recorded; a number may be recorded as its text."""
    return {key: str(answers[key]) for key in given} == {k: str(v) for k, v in given.items()}
