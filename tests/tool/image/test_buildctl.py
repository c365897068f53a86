"""How CI builds an image without Docker: by buildctl, whose daemon is elsewhere."""

import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mf_k8s.errors import CommandError
from mf_k8s.image import build_and_push as module
from mf_k8s.image.build_and_push import build_and_push, pushed_platforms, registry_digest
from mf_k8s.image.build_context import BuildContext
from mf_k8s.image.buildctl import push_command
from mf_k8s.project.project import Project
from registry import Registry, serve_images
from stand_ins import committed, k8s
from teams import git

__all__ = ["committed", "k8s"]  # fixtures

HOST = {"BUILDKIT_HOST": "tcp://buildkitd.ci:1234"}
NOTHING: dict[str, str | None] = {
    "docker": None,
    "buildctl": 'echo "$@" >> "$0.log"',
    "git": f'exec {shutil.which("git")} "$@"',
}


@pytest.fixture
def registry() -> Iterator[tuple[type[Registry], str]]:
    """Serve a registry that anybody may read; yield it and its address."""
    with serve_images() as (images, address):
        images.scheme = ""
        yield images, address


def test_the_command(tmp_path: Path) -> None:
    """By https://github.com/moby/buildkit#building-a-dockerfile-with-buildctl."""
    secrets, labels = ["--secret=id=variables,env=K8S_IMAGE_VARIABLES"], {"a": "b"}
    context = BuildContext(tmp_path, tmp_path)
    command = push_command("a.example/churn:1", context, labels, ["linux/amd64"], secrets)
    assert command == [
        *("buildctl", "build", "--frontend=dockerfile.v0", f"--local=context={tmp_path}"),
        *(f"--local=dockerfile={tmp_path}", "--opt=label:a=b", "--opt=platform=linux/amd64"),
        *("--secret=id=variables,env=K8S_IMAGE_VARIABLES",),
        "--output=type=image,name=a.example/churn:1,push=true",
    ]
    member = BuildContext(tmp_path, tmp_path / "teams/churn")
    command = push_command("a.example/churn:1", member, {}, [], [])
    assert f"--local=dockerfile={tmp_path}/teams/churn" in command
    assert "--opt=build-arg:PROJECT=teams/churn" in command


def test_a_new_tag_is_built_and_pushed(
    committed: Path, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the registry has is not written over, and whether it has one must be known."""
    images, address = registry
    commands: list[str] = []
    monkeypatch.setenv("BUILDKIT_HOST", "tcp://buildkitd.ci:1234")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(module, "run_program", lambda *words, env: commands.append(words[0]))
    project = Project(committed, "churn_model")
    monkeypatch.setattr(module, "build_findings", lambda *_: [])  # which asks uv
    image = f"{address}/churn:1"
    assert (pushed_platforms(image), registry_digest(image)) == (None, "")
    build_and_push(project, image, {}, ["linux/amd64"])
    assert commands == ["buildctl"]
    digest = images.push("churn:1", "amd64")
    assert registry_digest(image) == digest
    for platform, code in (("amd64", "image-tag-taken"), ("arm64", "image-of-another-platform")):
        with pytest.raises(CommandError) as error:
            build_and_push(project, image, {}, [f"linux/{platform}"])
        assert [each.code for each in error.value.findings] == [code]
    images.status = 503
    with pytest.raises(CommandError, match="is not known: .* answers 503 Service Unavailable"):
        build_and_push(project, image, {}, ["linux/amd64"])
    assert commands == ["buildctl"]


def test_what_ci_has_built_from_the_commit_needs_no_program(
    k8s: Callable[..., Any], committed: Path, registry: Any, tmp_path: Path
) -> None:
    images, address = registry
    config = committed / "k8s.toml"
    config.write_text(config.read_text().replace("ghcr.io/acme", address))
    commit = git("rev-parse", "HEAD", cwd=committed).strip()
    labels = {"org.opencontainers.image.revision": commit}
    digest = images.push(f"churn:{commit[:12]}", "amd64", labels=labels)
    command = ("image", "--tag", "git", "--push")
    code, output = k8s(*command, programs=NOTHING, folder=committed, **HOST)
    assert (code, "not needed, the registry has it" in output) == (0, True), output
    pinned = f"{address}/churn:{commit[:12]}@{digest}"
    assert tomllib.loads(config.read_text())["image"] == pinned
    assert not (tmp_path / "bin/buildctl.log").exists()


@pytest.mark.parametrize(
    ("options", "programs", "message"),
    [
        ([], NOTHING, "BUILDKIT_HOST is set, so an image is only pushed: add --push, or unset it"),
        (["--push"], {"docker": None}, "buildctl is not installed, or not on PATH"),
    ],
)
def test_what_cannot_be_built(
    k8s: Callable[..., Any],
    committed: Path,
    registry: Any,
    options: list[str],
    programs: Any,
    message: str,
) -> None:
    config = committed / "k8s.toml"
    config.write_text(config.read_text().replace("ghcr.io/acme", registry[1]))
    code, output = k8s("image", *options, programs=programs, folder=committed, **HOST)
    assert (code, message in output) == (2, True), output


def test_docker_builds_where_buildctl_is_not(k8s: Callable[..., Any], tmp_path: Path) -> None:
    """A variable that is set for other programs takes nothing away."""
    code, output = k8s("image", programs={"docker": 'echo "28.0.1"; echo "$1" >> "$0.log"'}, **HOST)
    assert code == 0, output
    assert "build\n" in (tmp_path / "bin/docker.log").read_text()
