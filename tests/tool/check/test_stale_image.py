"""What `check` and `plan` say of an image whose content changed, and whose tag did not."""

import shutil
import sys

import pytest
from churn_package import project
from mf_k8s.check.stale_image import stale_image_notes
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.image.build_and_push import build_findings
from mf_k8s.plan.revision import revision
from mf_k8s.project.project import Project
from teams import commit, git

__all__ = ["project"]  # fixtures


def lock(**versions: str) -> str:
    """Return a uv.lock of a project that needs numpy, and that pandas, with others in a group."""
    needs = {"churn": ["numpy"], "numpy": ["pandas"]}
    tables = [
        f'[[package]]\nname = "{name}"\nversion = "{version}"\ndependencies = ['
        + ", ".join(f'{{ name = "{need}" }}' for need in needs.get(name, ()))
        + "]\n"
        for name, version in {"churn": "0.1.0", **versions}.items()
    ]
    return "version = 1\n\n" + "\n".join(tables)


FIRST = lock(numpy="2.0", pandas="3.0", ruff="1")
IMAGE = 'image = "ghcr.io/acme/churn:1.2.3"\n'
NOTE = (
    "what the image is built of changed ({}), but the tag of ghcr.io/acme/churn:1.2.3 did not:"
    " run `uv run k8s image --bump`"
)

# What is written after the commit that set the tag, and what is named then.
CHANGES: dict[str, tuple[dict[str, str | None], str]] = {
    "nothing": ({}, ""),
    "another key": ({"k8s.toml": f"{IMAGE}cpu = 2\n"}, ""),
    "a new version": ({"uv.lock": FIRST.replace("2.0", "2.1")}, "numpy"),
    "a need of a need": ({"uv.lock": FIRST.replace("3.0", "3.1")}, "pandas"),
    "a package less": ({"uv.lock": lock(numpy="2.0", ruff="1")}, "pandas"),
    "of a group": ({"uv.lock": FIRST.replace('"1"', '"2"')}, ""),
    "the Dockerfile": ({"Dockerfile": "FROM python:3.12\n"}, "Dockerfile"),
    "with another tag": (
        {"uv.lock": FIRST.replace("2.0", "2.1"), "k8s.toml": IMAGE.replace("1.2.3", "1.2.4")},
        "",
    ),
    "an existing image": ({"uv.lock": FIRST.replace("2.0", "2.1"), "Dockerfile": None}, ""),
}


@pytest.fixture
def built(project: Project) -> Project:
    """Return a project whose image has just been given its tag."""
    root = project.root
    (root / "k8s.toml").write_text(IMAGE)
    (root / "uv.lock").write_text(FIRST)
    (root / "Dockerfile").write_text("FROM python:3.13\n")
    git("init", "-q", cwd=root)
    commit(root)
    return project


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize(("files", "named"), CHANGES.values(), ids=CHANGES)
def test_tag_that_did_not_change(
    built: Project, files: dict[str, str | None], named: str, committed: bool
) -> None:
    for name, text in files.items():
        (built.root / name).unlink() if text is None else (built.root / name).write_text(text)
    expected = [NOTE.format(named)] if named else []
    if committed and files:
        commit(built.root)
        assert stale_image_notes(built, "HEAD~1") == expected  # as plan does
    assert stale_image_notes(built) == expected


def test_a_package_of_a_folder(built: Project) -> None:
    """Its version stays the same, so its files are looked at."""
    lock = built.root / "uv.lock"
    source = 'name = "pandas"\nsource = { directory = "libs/pandas" }'
    lock.write_text(lock.read_text().replace('name = "pandas"\nver', f"{source}\nver"))
    (built.root / "libs/pandas").mkdir(parents=True)
    (built.root / "libs/pandas/a.py").write_text("")
    commit(built.root)
    (built.root / "k8s.toml").write_text(f"cpu = 2\n{IMAGE}")
    commit(built.root)
    assert stale_image_notes(built, "HEAD") == []
    (built.root / "libs/pandas/a.py").write_text("a = 1\n")
    assert stale_image_notes(built, "HEAD") == [NOTE.format("pandas")]


def test_a_group_that_the_dockerfile_chooses(built: Project) -> None:
    lock = built.root / "uv.lock"
    group = '[package.dev-dependencies]\nplots = [{ name = "ruff" }]\n\n[[package]]\nname = "numpy"'
    lock.write_text(lock.read_text().replace('[[package]]\nname = "numpy"', group))
    (built.root / "Dockerfile").write_text("RUN uv sync \\\n  --group=plots\n")
    commit(built.root)
    lock.write_text(lock.read_text().replace('"1"', '"2"'))
    assert stale_image_notes(built, "HEAD") == [NOTE.format("ruff")]


def test_a_dockerfile_in_latin_1(built: Project) -> None:
    (built.root / "Dockerfile").write_bytes(b"FROM python:3.13\n# Gr\xf6\xdfe\n")
    assert stale_image_notes(built) == [NOTE.format("Dockerfile")]
    commit(built.root)
    assert stale_image_notes(built, "HEAD") == []


def test_without_history(built: Project) -> None:
    shutil.rmtree(built.root / ".git")
    (built.root / "uv.lock").write_text(FIRST.replace("2.0", "2.1"))
    assert stale_image_notes(built) == []


def test_many_packages_are_counted(built: Project) -> None:
    others = {f"a{number}": "1" for number in range(4)}
    text = lock(numpy="2.0", pandas="3.0", ruff="1", **others)
    needs = ", ".join(f'{{ name = "{name}" }}' for name in ("numpy", *others))
    (built.root / "uv.lock").write_text(text.replace('{ name = "numpy" }', needs, 1))
    assert stale_image_notes(built) == [NOTE.format("a0, a1, a2 and 1 more")]


def test_a_member_of_a_workspace(built: Project) -> None:
    """Its uv.lock is that of the workspace."""
    workspace = built.root.parent / "workspace"
    project = Project(workspace / "teams/churn", "churn")
    project.root.parent.mkdir(parents=True)
    shutil.copytree(built.root, project.root, ignore=shutil.ignore_patterns(".git"))
    (project.root / "uv.lock").rename(workspace / "uv.lock")
    rules = workspace / "pyproject.toml"
    rules.write_text('[tool.uv.workspace]\nmembers = [".", "", "/elsewhere", "./teams/*/"]\n')
    git("init", "-q", cwd=workspace)
    commit(workspace)
    (workspace / "uv.lock").write_text(FIRST.replace("2.0", "2.1"))
    assert stale_image_notes(project) == [NOTE.format("numpy")]
    git("init", "-q", cwd=project.root)  # as a submodule is: uv.lock is outside its repository
    commit(project.root)
    with revision(project, "HEAD") as (_, _, python):
        assert python == [sys.executable]
    for text in (
        '[tool.uv.workspace]\nmembers = ["teams/*"]\nexclude = ["./teams/churn"]\n',
        '[tool.uv.workspace]\nmembers = ["other/*"]\n',
        '[project]\nname = "other"\n',
    ):
        rules.write_text(text)
        with pytest.raises(CommandError, match="^the Dockerfile needs uv.lock: run `uv lock`$"):
            raise_if(build_findings(project, "churn:1"))
