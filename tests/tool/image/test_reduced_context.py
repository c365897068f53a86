"""Docker gets a pyproject.toml without what only laptops read: an edit of that is no new build."""

import shutil
from pathlib import Path

import pytest
from mf_k8s.image.build_context import BuildContext
from mf_k8s.image.reduced_context import reduced_context


def sent(context: BuildContext) -> dict[str, str]:
    """Return what Docker gets, each file by its path."""
    with reduced_context(context) as given:
        folder = given.sent or given.folder
        assert given.arguments[-1] == str(folder)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.fixture
def context(example: Path, tmp_path: Path) -> BuildContext:
    """Return that of the example project, which has a package in a folder."""
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md"):
        shutil.copy(example / name, tmp_path)
    (tmp_path / "uv.lock").write_text("version = 1\n")
    (tmp_path / "libs/plots").mkdir(parents=True)
    (tmp_path / "libs/plots/pyproject.toml").write_text("[tool.ruff]\n")
    with open(tmp_path / ".dockerignore", "a") as ignored:
        ignored.write("!libs/\n")
    return BuildContext(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("line-length = 100", "line-length = 88", False),
        ('platform = "linux/amd64"', 'platform = "linux/arm64"', False),
        ("description = ", "description = 'Another' # ", False),
        ("[tool.uv]", "# another comment\n[tool.uv]", False),
        ("[tool.uv]", "[tool.uv]\nno-binary-package = ['six']", True),
        ('"joblib>=1.4"', '"joblib>=1.5"', True),
        ("[tool.uv]", "[tool.acme]\nof = 'a build backend'\n[tool.uv]", True),
    ],
)
def test_what_an_edit_changes(context: BuildContext, old: str, new: str, changes: bool) -> None:
    before = sent(context)
    assert [*before] == ["libs/plots/pyproject.toml", "pyproject.toml", "uv.lock"]
    assert before["libs/plots/pyproject.toml"] == "[tool.ruff]\n"
    text = before["pyproject.toml"]
    assert "[tool.uv.sources" in text and "[tool.ruff" not in text
    file = context.project / "pyproject.toml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    assert (sent(context) != before) == changes


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (".dockerignore", "!vendor/*.whl"),
        (".dockerignore", "**/__pycache__"),
        (".dockerignore", "!../other"),
        ("Dockerfile", "  copy pyproject.toml /app"),
    ],
)
def test_where_a_copy_could_differ_docker_gets_the_folder(
    context: BuildContext, file: str, line: str
) -> None:
    with open(context.folder / file, "a") as more:
        more.write(f"{line}\n")
    with reduced_context(context) as given:
        assert given == context and given.arguments == [str(context.folder)]


def test_a_member_of_a_workspace(context: BuildContext) -> None:
    """Its own pyproject.toml is reduced, and that of the workspace is as it is."""
    root = context.folder
    (root / "teams/churn").mkdir(parents=True)
    for name in ("Dockerfile", "pyproject.toml"):
        shutil.move(root / name, root / "teams/churn")
    (root / "pyproject.toml").write_text("[tool.ruff]\n[tool.uv.workspace]\n")
    lines = "*\n!pyproject.toml\n!uv.lock\n!teams/churn/pyproject.toml\n"
    (root / "teams/churn/Dockerfile.dockerignore").write_text(lines)
    files = sent(member := BuildContext(root, root / "teams/churn"))
    assert [*files] == ["pyproject.toml", "teams/churn/pyproject.toml", "uv.lock"]
    assert "[tool.ruff" in files["pyproject.toml"]
    assert "[tool.ruff" not in files["teams/churn/pyproject.toml"]
    with reduced_context(member) as given:
        dockerfile, argument = (
            str(root / "teams/churn/Dockerfile"),
            "--build-arg=PROJECT=teams/churn",
        )
        assert given.arguments == ["--file", dockerfile, argument, str(given.sent)]
    assert given.sent and not given.sent.exists()
