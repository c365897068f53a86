"""The tag of an image: the next number, one that is given, and that of the commit."""

import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.image.tags import commit_tag, with_image, with_tag
from mf_k8s.project.project import Project
from stand_ins import committed, k8s
from teams import commit

__all__ = ["committed", "k8s"]  # fixtures


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ghcr.io/acme/churn:1.2.9", "ghcr.io/acme/churn:1.2.10"),
        ("reg:5000/churn:v7-slim", "reg:5000/churn:v8-slim"),
        ("churn:stable", None),
        ("reg:5000/churn@sha256:" + "0" * 64, None),
    ],
)
def test_bump(k8s: Callable[..., Any], example: Path, old: str, new: str | None) -> None:
    """The rest of k8s.toml stays as it is, comments included."""
    config = example / "k8s.toml"
    text = config.read_text()
    try:
        config.write_text(text.replace("ghcr.io/acme/churn:1.2.3", old))
        code, output = k8s("image", "--bump")
        assert code == (0 if new else 2)
        assert tomllib.loads(config.read_text())["image"] == (new or old)
        assert config.read_text() == text.replace("ghcr.io/acme/churn:1.2.3", new or old)
        assert new or "--bump needs a tag with a number" in output
    finally:
        config.write_text(text)


def test_bump_of_a_file_from_windows(k8s: Callable[..., Any], committed: Path) -> None:
    """Its line ends and its byte order mark stay, and a link stays one."""
    config, target = committed / "k8s.toml", committed.parent / "shared.toml"
    content = b"\xef\xbb\xbf" + config.read_bytes().replace(b"\n", b"\r\n")
    target.write_bytes(content)
    config.unlink()
    config.symlink_to(target)
    assert k8s("image", "--bump", folder=committed)[0] == 0
    assert config.is_symlink()
    assert target.read_bytes() == content.replace(b"churn:1.2.3", b"churn:1.2.4")
    both = with_image(target.read_bytes(), "churn:2", "sha256:two")
    assert both.count(b"\r\n") == both.count(b"\n") == content.count(b"\n") + 1


SHA = "sha256:" + "0" * 64


def test_the_registry_of_another_layer(k8s: Callable[..., Any], committed: Path) -> None:
    """The image is built in the organisation's registry; k8s.toml stays short."""
    file = committed / "src/churn_model/organisation.json"
    file.write_text('{"k8s": {"registry": "registry.acme.example/ml"}}')
    config = committed / "k8s.toml"
    config.write_text(config.read_text().replace("ghcr.io/acme/churn:1.2.3", "churn:1.2.3"))
    code, output = k8s("image", "--bump", folder=committed)
    assert code == 0 and "registry.acme.example/ml/churn:1.2.4: built" in output
    assert tomllib.loads(config.read_text())["image"] == "churn:1.2.4"
    full = "registry.acme.example/ml/churn:1.2.5"
    pinned = tomllib.loads(with_image(config.read_bytes(), full, SHA, pin=True).decode())
    assert pinned["image"] == f"churn:1.2.5@{SHA}"
    digest = pinned["annotations"]["mf-k8s/image-digest"]
    assert digest == f"registry.acme.example/ml/churn@{SHA}"


@pytest.mark.parametrize(
    ("image", "tag", "new"),
    [
        ("churn:1.2.9", "2.0", "churn:2.0"),
        ("reg:5000/churn:stable", "v1", "reg:5000/churn:v1"),
        ("churn:1", "latest", '--tag = "churn:latest": A fixed tag: '),
        ("churn:1", "a b", '--tag = "churn:a b": A fixed tag: '),
        (f"churn@{SHA}", "2.0", f"k8s.toml: image = churn@{SHA} has a digest, which fixes its"),
        (
            f"churn:1@{SHA}",
            "git",
            "fixes its content: write a name with a tag instead, like churn:0.1.0",
        ),
        (
            "churn:1",
            "git",
            "is in no git repository: run `git init`, `git add -A` and `git commit`",
        ),
    ],
)
def test_tag(example: Path, image: str, tag: str, new: str) -> None:
    try:
        found = with_tag(Project(example, "churn_model"), image, tag)
    except CommandError as refusal:
        assert new in str(refusal)
    else:
        assert found == new


@pytest.mark.parametrize(
    ("file", "refused"),
    [
        ("Dockerfile", True),
        ("uv.lock", True),
        (".dockerignore", True),
        ("k8s.toml", False),
        ("flows/hello.py", False),
        ("src/churn_model/features.py", False),
    ],
)
def test_tag_of_a_commit_that_lacks_a_change(committed: Path, file: str, refused: bool) -> None:
    """Of what the image is built of: the flows' code travels with each run."""
    with (committed / file).open("a") as changed:
        changed.write("\n")
    refusal = f"by the commit, which lacks changes of {file}: git commit first"
    with pytest.raises(CommandError, match=refusal) if refused else nullcontext():
        commit_tag(Project(committed, "churn_model"))


def test_tag_of_a_commit_that_lacks_a_file(committed: Path) -> None:
    """A new file of src/, which a team's .dockerignore lets through."""
    project = Project(committed, "churn_model")
    with (committed / ".dockerignore").open("a") as ignored:
        ignored.write("!/src/\n")
    commit(committed)
    (committed / "src/churn_model/features.py").touch()
    (committed / "notes.txt").touch()
    with pytest.raises(CommandError, match="lacks changes of src/churn_model/features.py: git"):
        commit_tag(project)
    (committed / ".dockerignore").write_text("flows\n")  # which lets the rest through
    with pytest.raises(CommandError, match="of .dockerignore, notes.txt, src/churn_model/features"):
        commit_tag(project)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tag=git", "--push"], "ghcr.io/acme/churn:1.2.3 can be pulled and not built: to"),
        (["--tag=2", "--bump"], "--bump and --tag both choose the tag: give one of them"),
    ],
)
def test_tag_of_an_image_that_has_none(
    k8s: Callable[..., Any], committed: Path, options: list[str], says: str
) -> None:
    (committed / "Dockerfile").unlink()
    code, output = k8s("image", *options, folder=committed)
    (line,) = output.splitlines()
    assert code == 2 and says in line
