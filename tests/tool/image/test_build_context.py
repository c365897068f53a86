"""What a build gets of a project's folder, and what is said of an ignore file that hides it."""

from pathlib import Path

import pytest
from conftest import UV, copy_project, run
from mf_k8s.errors import Finding
from mf_k8s.image import build_context as module
from mf_k8s.image.build_context import build_context, context_findings, is_hidden
from mf_k8s.project.project import Project
from package_indexes import write_source, write_wheel


@pytest.mark.parametrize(
    ("patterns", "path", "hidden"),
    [
        (["*", "!uv.lock"], "uv.lock", False),
        (["*", "!uv.lock"], "libs/a", True),
        (["*", "!libs"], "libs/a", False),
        (["*", "!/libs/"], "libs/a", False),
        (["*", "!libs/*", "libs/a"], "libs/a", True),
        (["*", "!libs/a/src"], "libs/a", False),  # a part of it
        (["**/vendor"], "libs/vendor/a.whl", True),
        (["**/vendor"], "vendor", True),
        (["**/*.whl", "!vendor/a-1.[0-9]*.whl"], "vendor/a-1.0-py3-none-any.whl", False),
        (["*.whl"], "vendor/a.whl", False),
        (["lib?"], "libs", True),
        (["lib."], "libs", False),
        ([], "libs", False),
    ],
)
def test_ignore_file(patterns: list[str], path: str, hidden: bool) -> None:
    """As the reference of .dockerignore says it."""
    assert is_hidden(path, patterns) == hidden


def findings(project: Project) -> dict[str, tuple[str, str]]:
    return {each.code: (each.what, each.remedy) for each in context_findings(project)}


def test_packages_of_this_machine(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the image gets: a folder and a file in the project, and one outside of it."""
    folder = tmp_path / "churn"
    copy_project(example, folder, "uv.lock")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(module, "UV", str(UV))
    project = Project(folder, "churn_model")
    write_source(folder / "libs/acme-path", "acme-path", "path")
    write_source(folder / "libs/acme-dev", "acme-dev", "of a group that the image does not get")
    write_source(tmp_path / "acme-outside", "acme-outside", "outside")
    (folder / "vendor").mkdir()
    wheel = write_wheel(folder / "vendor", "acme-file", "1.0", "").name
    (folder / "pyproject.toml").write_text(f"""
[project]
name = "churn-model"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["acme-path"]

[project.optional-dependencies]
files = ["acme-file"]

[dependency-groups]
dev = ["acme-dev"]
more = [{{ include-group = "outside" }}]
outside = ["acme-outside"]

[tool.uv.sources]
acme-path = {{ path = "libs/acme-path" }}
acme-dev = {{ path = "libs/acme-dev" }}
acme-file = {{ path = "vendor/{wheel}" }}
acme-outside = {{ path = "../acme-outside" }}
""")
    assert findings(project) == {"no-uv-lock": ("the Dockerfile needs uv.lock", "run `uv lock`")}
    run(UV, "lock", "--quiet", cwd=folder)
    hidden = "image-source-hidden"
    assert findings(project) == {
        hidden: (
            ".dockerignore hides libs/acme-path, which the build needs",
            "add to it: !libs/acme-path",
        )
    }
    dockerfile = (folder / "Dockerfile").read_text()
    dockerfile = dockerfile.replace('chosen="', 'chosen="--extra=files --group more ')
    (folder / "Dockerfile").write_text(dockerfile)
    assert findings(project) == {
        hidden: (
            f".dockerignore hides vendor/{wheel}, libs/acme-path, which the build needs",
            f"add to it: !vendor/{wheel}, !libs/acme-path",
        ),
        "image-source-outside": (
            "uv.lock takes acme-outside from ../acme-outside, which docker build does not get",
            "move it below the project, or make both members of one uv workspace",
        ),
    }
    (folder / "Dockerfile").write_text(dockerfile.replace(" --group more", ""))
    with (folder / ".dockerignore").open("a") as ignored:
        ignored.write("!libs/\n!vendor/*.whl\n")
    assert findings(project) == {}
    ignored_lines = (folder / ".dockerignore").read_text()
    (folder / ".dockerignore").write_text(ignored_lines.replace("!pyproject.toml\n", ""))
    says = ".dockerignore hides pyproject.toml, which the build needs"
    assert findings(project) == {hidden: (says, "add to it: !pyproject.toml")}
    (folder / ".dockerignore").write_text(ignored_lines)
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(
        pyproject.read_text().replace('["acme-path"]', '["acme-path", "acme-dev"]')
    )
    assert [*context_findings(project)][0] == Finding(
        "uv-lock-outdated",
        "uv.lock is older than pyproject.toml, so the image would lack what was added",
        "uv.lock",
        "run `uv lock`",
    )


def test_a_member_of_a_workspace(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker gets the workspace's folder, and must be told what of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "UV", str(UV))
    project = Project(tmp_path / "teams/churn", "churn_model")
    copy_project(example, project.root, "uv.lock")
    (project.root / "pyproject.toml").write_text(
        '[project]\nname = "churn-model"\nversion = "1"\nrequires-python = ">=3.11"\n'
    )
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["teams/*"]')
    run(UV, "lock", "--quiet", cwd=tmp_path)
    context = build_context(project)
    dockerfile, argument = str(project.root / "Dockerfile"), "--build-arg=PROJECT=teams/churn"
    assert context.arguments == ["--file", dockerfile, argument, str(tmp_path)]
    file = "teams/churn/Dockerfile.dockerignore"
    lines = "'*' '!teams/churn/pyproject.toml' '!uv.lock' '!pyproject.toml'"
    assert findings(project) == {
        "image-context-whole": (
            f"docker build would get all of {tmp_path}, and install anew after each edit",
            f"run `printf '%s\\n' {lines} > {file}`",
        )
    }
    run("sh", "-c", f"printf '%s\\n' {lines} > {file}", cwd=tmp_path)
    assert findings(project) == {}
