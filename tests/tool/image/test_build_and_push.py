"""How an image is built and pushed, by a stand-in for docker."""

import json
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registry import serve_images
from stand_ins import committed, k8s
from teams import commit, git

__all__ = ["committed", "k8s"]  # fixtures

REGISTRY = """case "$1 $2" in
  "manifest inspect") echo "{manifest}" >&$((1 + {code})); exit {code};;
  "image inspect") echo '[{{"Id": "sha256:one", "RepoDigests": []}}]';;
  version*) echo 28.0.1;;
  *) echo "$@" >> "$0.log";;
esac"""


@pytest.mark.parametrize(
    ("manifest", "code", "ends", "says"),
    [
        ("no such manifest", 1, 0, "ghcr.io/acme/churn:1.2.3: pushed"),
        ('{\\"config\\": \\"sha256:one\\"}', 0, 0, "ghcr.io/acme/churn:1.2.3: is pushed already"),
        ('{\\"config\\": \\"sha256:two\\"}', 0, 2, "k8s image --bump"),
        ("unauthorized: access denied", 1, 2, "docker login ghcr.io"),
    ],
)
def test_push_refuses_to_overwrite(
    k8s: Callable[..., Any], tmp_path: Path, manifest: str, code: int, ends: int, says: str
) -> None:
    docker = REGISTRY.format(manifest=manifest, code=code)
    found, output = k8s("image", "--push", programs={"docker": docker})
    assert found == ends and says in output
    pushed = "push ghcr.io" in (tmp_path / "bin/docker.log").read_text()
    assert pushed == (says.endswith(": pushed"))


BUILD = """case "$1" in version) echo 28.0.1;; *) cat >&2 <<'END'
#9 1.86 ERROR: No matching distribution found for nothing
#9 ERROR: executor failed running [/bin/sh -c pip install nothing]: exit code: 1
------
 > [3/3] RUN pip install nothing:
------
executor failed running [/bin/sh -c pip install nothing]: exit code: 1
END
exit 1;; esac"""


def test_failed_build_says_why(k8s: Callable[..., Any]) -> None:
    code, output = k8s("image", programs={"docker": BUILD.replace("cat", "/bin/cat")})
    (line,) = output.splitlines()
    assert (
        code == 2 and line == "k8s: docker build --tag: No matching distribution found for nothing"
    )


# As Podman 4.3 answers; its cache has kept an image as it was after a change of uv.lock.
PODMAN = """case "$*" in
  *format*) echo 4.3.1;;
  version) echo 'Client:       Podman Engine';;
  *) echo "$@" >> "$0.log";;
esac"""


def test_podman_builds_without_its_cache(k8s: Callable[..., Any], tmp_path: Path) -> None:
    for program, options in ((PODMAN, 1), (REGISTRY.format(manifest="", code=1), 0)):
        code, output = k8s("image", programs={"docker": program})
        (build,) = (tmp_path / "bin/docker.log").read_text().splitlines()
        assert code == 0 and build.split().count("--no-cache") == options, output


# Keeps what it is asked to do, and answers as a registry that has what was pushed.
DOCKER = """case "$1 $2 $3" in
  "version --format {{{{.Server.Os"*) echo linux/amd64;;
  version*) echo 28.0.1;;
  "manifest inspect"*)
    [ -e {state}/pushed ] || {{ echo no such manifest >&2; exit 1; }}
    echo '{{"Descriptor": {{"digest": "sha256:two"}}}}';;
  *) echo "$@" >> {state}/log;;
esac
[ "$1" != push ] || : > {state}/pushed"""
CI = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "acme/churn",
    "SSL_CERT_FILE": "",  # of this machine, which the build would get
}


def test_tag_of_the_commit(k8s: Callable[..., Any], committed: Path, tmp_path: Path) -> None:
    """CI builds and pushes it once: a second run, or a job for another environment, finds it.

    Its digest stands behind the tag, and in an annotation of the pods, until it has another tag.
    """
    docker = DOCKER.format(state=tmp_path)
    programs = {"docker": docker, "git": f'exec {shutil.which("git")} "$@"'}

    def k8s_image(*options: str) -> str:
        code, output = k8s("image", *options, programs=programs, folder=committed, **CI)
        assert code == 0, output
        return " ".join(output.split())

    config = committed / "k8s.toml"
    with serve_images() as (images, address):
        images.scheme = ""
        config.write_text(config.read_text().replace("ghcr.io/acme/churn", f"{address}/churn"))
        commit(committed)
        head = git("rev-parse", "HEAD", cwd=committed).strip()
        name, text = f"{address}/churn", config.read_text()
        image = f"{name}:{head[:12]}"
        source = "https://github.com/acme/churn"
        labels = {
            "org.opencontainers.image.revision": head,
            "org.opencontainers.image.source": source,
        }
        images.push(f"churn:{head[:12]}", "amd64", labels=labels)
        output = k8s_image("--tag=git", "--push")
        assert f"build {image}: built" in output and f"push {image}: pushed" in output
        written = config.read_text()
        assert tomllib.loads(written) == tomllib.loads(text) | {
            "image": f"{image}@sha256:two",
            "annotations": {"mf-k8s/image-digest": f"{name}@sha256:two"},
        }
        assert [line for line in written.splitlines() if line not in text.splitlines()] == [
            f'image = "{image}@sha256:two"',
            f'annotations."mf-k8s/image-digest" = "{name}@sha256:two"',
        ]
        output = k8s_image("--tag=git", "--push")
        assert f"build {image}: not needed, the registry has it" in output
        assert f"push {image}: is pushed already" in output
        assert config.read_text() == written

        of_others = {**labels, "org.opencontainers.image.source": "https://example.com/fork"}
        images.push(f"churn:{head[:12]}", "amd64", labels=of_others)
        code, output = k8s(
            "image", "--tag=git", "--push", programs=programs, folder=committed, **CI
        )
        assert code == 2 and "was built by https://example.com/fork, not by the CI of" in output
    build, push = (tmp_path / "log").read_text().splitlines()
    options = [f"--label={key}={value}" for key, value in labels.items()]
    options.append("--platform=linux/amd64")
    options += ["--file", str(committed / "Dockerfile")]
    assert build.split()[:-1] == ["build", "--tag", image, *options]
    assert push == f"push {image}"
    k8s_image("--tag=1.2.3")
    assert config.read_text() == text


def test_a_build_of_an_image_with_a_digest(k8s: Callable[..., Any], committed: Path) -> None:
    """It is the team's: no build has that digest, and Docker would say that the tag is wrong."""
    config = committed / "k8s.toml"
    config.write_text(config.read_text().replace(":1.2.3", f":1.2.3@sha256:{'0' * 64}"))
    code, output = k8s("image", folder=committed)
    assert code == 2 and "has a digest, which fixes its content: write a name with a tag" in output


def test_a_digest_that_is_not_known(k8s: Callable[..., Any], committed: Path) -> None:
    """The registry does not show what was pushed, as one without TLS does not."""
    docker = REGISTRY.format(manifest="no such manifest", code=1)
    code, output = k8s("image", "--tag=2", "--push", programs={"docker": docker}, folder=committed)
    assert code == 2 and "does not find it: no digest to write into k8s.toml" in output
    assert "image-digest" not in (committed / "k8s.toml").read_text()


def test_push_refuses_another_platform(
    k8s: Callable[..., Any], committed: Path, tmp_path: Path
) -> None:
    """A laptop with arm64 and a tag that the nodes, with amd64, have pulled; and the other way."""
    platform = {"platform": {"architecture": "amd64", "os": "linux"}}
    manifest = json.dumps({"Descriptor": platform, "config": "sha256:one"}).replace('"', '\\"')
    docker = REGISTRY.format(manifest=manifest, code=0)
    code, output = k8s("image", "--push", programs={"docker": docker}, folder=committed)
    assert code == 0 and "is pushed already" in output
    set_platform(committed, '"linux/arm64/v8"')
    code, output = k8s("image", "--push", programs={"docker": docker}, folder=committed)
    (line,) = output.splitlines()[1:]
    assert code == 2 and line == (
        "k8s: the registry has ghcr.io/acme/churn:1.2.3 for linux/amd64, and `platform` of"
        " [tool.mf-k8s] in pyproject.toml is linux/arm64/v8: nodes that have pulled it would differ"
        " from those that pull it now; correct that line, or `uv run k8s image --bump` gives a new"
        " tag"
    )
    log = (tmp_path / "bin/docker.log").read_text()
    assert "build --tag" in log and "--platform=linux/arm64/v8 " in log and "\npush" not in log


def set_platform(project: Path, value: str) -> None:
    file = project / "pyproject.toml"
    text = file.read_text()
    assert 'platform = "linux/amd64"' in text
    file.write_text(text.replace('platform = "linux/amd64"', f"platform = {value}"))


def test_an_image_for_several_platforms(
    k8s: Callable[..., Any], committed: Path, tmp_path: Path
) -> None:
    """It is built here for this machine alone, and pushed for all in one go; its tag must be free.

    CI of the commit finds it, and pods get it by the digest of the whole.
    """
    set_platform(committed, '["linux/amd64", "linux/arm64"]')
    commit(committed)
    config = committed / "k8s.toml"
    programs = {"docker": SEVERAL.format(state=tmp_path), "git": f'exec {shutil.which("git")} "$@"'}

    def k8s_image(*options: str, code: int = 0) -> str:
        found, output = k8s("image", *options, programs=programs, folder=committed, **CI)
        assert found == code, output
        return " ".join(output.split())

    with serve_images() as (images, address):
        images.scheme = ""
        config.write_text(config.read_text().replace("ghcr.io/acme/churn", f"{address}/churn"))
        commit(committed)
        head = git("rev-parse", "HEAD", cwd=committed).strip()
        origin = "org.opencontainers.image"
        labels = {f"{origin}.revision": head, f"{origin}.source": "https://github.com/acme/churn"}
        digest = images.push(f"churn:{head[:12]}", "amd64", "arm64", labels=labels)
        assert "built for linux/arm64" in k8s_image()
        output = k8s_image("--tag=git", "--push")
        assert "built for linux/amd64 and linux/arm64" in output and ": pushed" in output
        image = tomllib.loads(config.read_text())["image"]
        assert image == f"{address}/churn:{head[:12]}@{digest}"
        assert "not needed, the registry has it" in k8s_image("--tag=git", "--push")
        output = k8s_image("--tag=2", "--push", code=2)
        assert f"{address}/churn:2 is in the registry with other content" in output
    here, all_platforms = (tmp_path / "log").read_text().splitlines()
    assert here.startswith("build --tag") and " --platform=linux/arm64 " in here
    assert all_platforms.startswith(f"buildx build --push --tag {address}/churn:{head[:12]} ")
    assert " --platform=linux/amd64,linux/arm64 " in all_platforms


# As DOCKER, on a machine with arm64, for an image that is pushed for two platforms.
SEVERAL = """case "$1 $2 $3" in
  "version --format {{{{.Server.Os"*) echo linux/arm64;;
  version*) echo 28.0.1;;
  "manifest inspect"*)
    [ -e {state}/pushed ] || {{ echo no such manifest >&2; exit 1; }}
    echo '[{{"Descriptor": {{"platform": {{"architecture": "amd64", "os": "linux"}}}}}},
           {{"Descriptor": {{"platform": {{"architecture": "arm64", "os": "linux"}}}}}}]';;
  *) echo "$@" >> {state}/log;;
esac
[ "$1" != buildx ] || : > {state}/pushed"""
