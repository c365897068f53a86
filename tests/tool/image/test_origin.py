"""Whether an image that the registry has is the one that CI builds from the commit."""

from collections.abc import Callable

import pytest
from mf_k8s.image import origin as module
from mf_k8s.image.origin import Origin, ci_repository, origin_findings, read_origin
from registry import serve_images

COMMIT = "0123456789" * 4
CHURN = "https://gitlab.com/acme/churn"
REVISION, SOURCE = "org.opencontainers.image.revision", "org.opencontainers.image.source"
IN_CI = Origin(COMMIT, CHURN, ["linux/amd64"])
BUILT = {REVISION: COMMIT, SOURCE: CHURN}


@pytest.mark.parametrize(
    ("origin", "labels", "platform", "reason"),
    [
        (IN_CI, BUILT, "linux/amd64", ""),
        (IN_CI, {}, "linux/amd64", "it does not say from which commit it is"),
        (IN_CI, BUILT | {REVISION: "fedc"}, "linux/amd64", "it was built from commit fedc"),
        (
            IN_CI,
            BUILT | {SOURCE: ""},
            "linux/amd64",
            f"it was built by somebody, not by the CI of {CHURN}",
        ),
        (IN_CI, BUILT, "linux/arm64", "it is for linux/arm64, not for linux/amd64"),
        (
            Origin(COMMIT, CHURN, ["linux/amd64", "linux/arm64/v8"]),
            BUILT,
            "linux/arm64",
            "it is for linux/arm64, not for linux/amd64",
        ),
        (Origin(COMMIT), BUILT, "linux/arm64", ""),  # on a laptop
        (Origin(COMMIT), {}, "linux/arm64", "it does not say from which commit it is"),
    ],
)
def test_what_the_registry_has(
    origin: Origin, labels: dict[str, str], platform: str, reason: str
) -> None:
    found = [str(each) for each in origin_findings("churn:1", origin, labels, (platform,))]
    start = f"the registry has churn:1 already, and {reason}"
    assert [text.partition(": delete")[0] for text in found] == ([start] if reason else [])


@pytest.mark.parametrize(
    ("variables", "repository"),
    [
        ({}, ""),
        (
            {
                "GITHUB_ACTIONS": "true",
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "acme/churn",
            },
            "https://github.com/acme/churn",
        ),
        ({"GITLAB_CI": "true", "CI_PROJECT_URL": CHURN}, CHURN),
    ],
)
def test_whose_ci_this_is(variables: dict[str, str], repository: str) -> None:
    assert ci_repository(variables) == repository


def test_a_registry_that_answers_to_docker_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker pulls the image then, and says the same of it."""
    found = '[{"Os": "linux", "Architecture": "arm64", "Config": {"Labels": {"a": "b"}}}]'
    commands: list[tuple[str, ...]] = []
    docker: Callable[..., str] = lambda *words: commands.append(words) or found  # noqa: E731
    monkeypatch.setattr(module, "run_program", docker)
    with serve_images() as (images, address):
        images.scheme = ""
        images.push("acme/churn:1", "amd64", labels=BUILT)
        name = f"{address}/acme/churn:1"
        assert read_origin(name) == (BUILT, ("linux/amd64",)) and not commands
        images.status = 503
        assert read_origin(name) == ({"a": "b"}, ("linux/arm64",))
    assert commands == [("docker", "pull", name), ("docker", "image", "inspect", name)]
