"""`make raise-versions` raises all that is pinned, and leaves what it cannot ask; `make canary`."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import run

# How a line looks that pins something: a commit or digest, or the version of what is fetched.
PIN = re.compile(
    r"\b[0-9a-f]{40}\b|sha256:[0-9a-f]{64}"
    r"|(github\.com|(ghcr|docker|quay|gcr|k8s)\.io|kindest|releases)/\S*?\d+\.\d+\.\d+"
    r'|(\bversion|"[\w.-]+"): "v?\d+\.\d+\.\d+"|set \w+ = \W\d|[\w-](==|@)v?\d+\.\d+'
)
MADE_UP = re.compile(r"\S*(acme|example|churn|mf[-_]k[89]s)\S*")  # images, projects, and the tool
NO_PINS = {
    ".ci/run": "what the laboratory has",
    "CHANGELOG.md": "what was",
    "docs/doctor.svg": "made up",
    "docs/from_code/examples.py": "what programs have printed",
    "docs/troubleshooting.md": "the same",
    "tests/recorded/": "what was",
    "tests/screens/": "what was",
    "tests/template/test_raise_versions.py": "this file",
    "tests/tool/pods/test_argo_controller.py": "made up",
    "tests/template/test_releases.py": "commits of this repository",
    "tests/tool/check/test_pods_python.py": "made up",
    "tests/tool/metaflow/test_compile_flows.py": "a package that is not installed",
    "tests/tool/programs/test_remedies.py": "what kind has printed",
    "tests/tool/project/test_detect_secrets.py": "made up",
    "uv.lock": "uv raises it",
}
COMMIT, DIGEST = "f" * 40, f"sha256:{'e' * 64}"
# As kind writes the notes of its releases.
NOTES = f"""Images pre-built for this release:
- v1.35.8: `kindest/node:v1.35.8@sha256:{"a" * 64}`
- v1.34.99: `kindest/node:v1.34.99@sha256:{"b" * 64}`
- v1.33.11: `kindest/node:v1.33.11@sha256:{"c" * 64}`
"""
TAGS = ("v3.7.99", "v4.99.0", "nightly", "v99.0.0", "v98.0.0")
PROGRAMS = {
    "docker": f"""echo '{{"digest": "{DIGEST}"}}'""",
    "go": "echo v99.0.0",
    "uv": """case $1 in
  pip) echo "$(cat)==99.0.0";;
  lock) sed -i -E '/^name = "(uv|copier)"$/ { n; s/".*"/"99.0.0"/ }' uv.lock
    sed -i -E '/\\/uv-[0-9].*linux/ s/sha256:[0-9a-f]{4}/sha256:cafe/' uv.lock;;
esac""",
}


class GitHub(BaseHTTPRequestHandler):
    """Answers as https://docs.github.com/en/rest/releases and …/commits say."""

    tags: tuple[str, ...] = TAGS
    of_checkout: tuple[str, ...] = TAGS
    refused = ""

    def do_GET(self) -> None:
        answer: Any = {"sha": COMMIT}
        if "/releases?" in self.path:
            final = {"draft": False, "prerelease": False, "body": NOTES}
            tags = self.of_checkout if "/checkout/" in self.path else self.tags
            answer = [{"tag_name": tag, **final} for tag in tags]
            answer.append({**final, "tag_name": "v100.0.0", "prerelease": True})
            answer.append({**final, "tag_name": "v101.0.0", "draft": True})
        is_refused = self.refused and self.refused in self.path
        self.send_response(403 if is_refused else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[GitHub]]:
    """Serve GitHub's API, in which there is a newer version of everything."""
    for name, value in (("tags", TAGS), ("of_checkout", TAGS), ("refused", "")):
        monkeypatch.setattr(GitHub, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GITHUB_API_URL", f"http://127.0.0.1:{server.server_port}")
    yield GitHub
    server.shutdown()
    server.server_close()


@pytest.fixture
def repository(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of this repository, for which docker, go and uv know newer versions too."""
    write_programs(tmp_path / "bin", **PROGRAMS)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("UV", str(tmp_path / "bin/uv"))
    return shutil.copytree(template, tmp_path / "repository")


def write_programs(folder: Path, **programs: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)


def raise_versions(repository: Path, *options: str) -> str:
    return run(sys.executable, ".ci/raise_versions.py", *options, cwd=repository, **os.environ)


def pinning_lines(repository: Path) -> dict[tuple[str, int], str]:
    """Return the lines that pin something, by file and number."""
    lines = {}
    for name in run("git", "ls-files", "-z", cwd=repository).split("\0"):
        if name and not name.startswith(tuple(NO_PINS)):
            text = (repository / name).read_text(errors="replace")
            for number, line in enumerate(text.splitlines(), 1):
                if PIN.search(MADE_UP.sub("", line)):
                    lines[name, number] = line
    return lines


def changed_lines(repository: Path) -> dict[tuple[str, int], str]:
    """Return the lines that differ from what is committed, by file and number."""
    lines = {}
    for name in run("git", "diff", "--name-only", "-z", cwd=repository).split("\0"):
        if name and name != "uv.lock":
            old = run("git", "show", f"HEAD:{name}", cwd=repository).splitlines()
            new = (repository / name).read_text().splitlines()
            for number, pair in enumerate(zip(old, new, strict=True), 1):
                if pair[0] != pair[1]:
                    lines[name, number] = pair[1]
    return lines


def test_every_pin_is_raised(repository: Path, github: type[GitHub]) -> None:
    pins = pinning_lines(repository)
    assert len(pins) > 30
    assert "left as it is" not in raise_versions(repository)
    changed = changed_lines(repository)
    assert changed.keys() == pins.keys()
    text = "\n".join(changed.values())
    for line in (
        f"- uses: actions/checkout@{COMMIT} # v99.0.0",
        f"- uses: astral-sh/setup-uv@{COMMIT} # v99.0.0",
        'with: { version: "99.0.0", enable-cache: false }',
        'ARGO_RELEASES = {"3.7": "v3.7.99", "4": "v4.99.0"}',
        '"kubernetes-sigs/jobset/releases/download/v99.0.0/manifests.yaml"',
        '"ghcr.io/versity/versitygw:v99.0.0"',
        f'"@{DIGEST}"',
        "https://github.com/kubernetes-sigs/kind/releases/tag/v99.0.0",
        f'"kindest/node:v1.34.99@sha256:{"b" * 64}"',
        'ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v99.0.0"',
        '"metaflow-ray": "99.0.0"',
        "{%- set uv = '99.0.0' -%}",
        "    'sha256:cafe",
        "{%- set copier = '99.0.0' -%}",
    ):
        assert line in text


def test_a_minor_version_that_kind_no_longer_has(
    repository: Path, github: type[GitHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest that it has takes its place."""
    monkeypatch.setitem(globals(), "NOTES", NOTES.replace("v1.34.99", "v1.36.0"))
    raise_versions(repository)
    assert f"kindest/node:v1.33.11@sha256:{'c' * 64}" in "\n".join(
        changed_lines(repository).values()
    )


def test_what_cannot_be_asked_is_left(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:9")
    write_programs(
        repository.parent / "bin", **dict.fromkeys(PROGRAMS, "echo no network >&2; exit 1")
    )
    lines = raise_versions(repository).splitlines()
    assert run("git", "status", "--porcelain", cwd=repository) == ""
    place = "http://127.0.0.1:9/repos/actions/checkout/releases?per_page=100"
    assert any(
        line.startswith(f"left as it is: uses: actions/checkout # v7.0.1: {place} cannot be read: ")
        for line in lines
    )
    assert "left as it is: github.com/rhysd/actionlint/cmd/actionlint@v1.7.12: no network" in lines
    assert any(line.startswith("left as it is: uv.lock: ") for line in lines)
    assert all(line.startswith("left as it is: ") for line in lines)
    assert len(lines) == len({*lines}) > 12


def test_no_pin_is_half_raised(repository: Path, github: type[GitHub]) -> None:
    """GitHub tells the newest tag of checkout, and not its commit."""
    github.refused = "/actions/checkout/commits/"
    lines = raise_versions(repository).splitlines()
    (left,) = (line for line in lines if line.startswith("left as it is: "))
    assert "actions/checkout # v7.0.1: " in left and "HTTP Error 403" in left
    text = "\n".join(changed_lines(repository).values())
    assert "actions/checkout" not in text
    assert "actions/setup-python" in text


def test_nothing_is_lowered_or_moved(repository: Path, github: type[GitHub]) -> None:
    """A tag that now stands for another commit, like a withdrawn release, is not followed."""
    github.tags, github.of_checkout = ("v0.0.1",), ("v7.0.1",)
    write_programs(repository.parent / "bin", go="echo v0.0.1", uv="echo ==0.0.1")
    assert sorted(raise_versions(repository).splitlines()) == [
        "==0.0.1",  # of uv
        "left as it is: 3.7: v3.7.12: argoproj/argo-workflows has no release v3.7.…",
        "left as it is: 4: v4.0.5: argoproj/argo-workflows has no release v4.…",
    ]
    assert changed_lines(repository) == {}


def test_the_newest_cluster(repository: Path, github: type[GitHub]) -> None:
    place = "https://github.com/{}/releases/download/{}/{}.yaml"
    assert raise_versions(repository, "--newest").splitlines() == [
        f"K8S_KIND_NODE_IMAGE=kindest/node:v1.35.8@sha256:{'a' * 64}",
        f"K8S_ARGO_MANIFEST={place.format('argoproj/argo-workflows', 'v99.0.0', 'install')}",
        f"K8S_ARGO_3_MANIFEST={place.format('argoproj/argo-workflows', 'v3.7.99', 'install')}",
        f"K8S_JOBSET_MANIFEST={place.format('kubernetes-sigs/jobset', 'v99.0.0', 'manifests')}",
        f"K8S_EVENTS_MANIFEST={place.format('argoproj/argo-events', 'v99.0.0', 'install')}",
    ]


CHANGED = "Metaflow 2.20.0: _my_step has changed. It must be so: … On that relies: base.py"


@pytest.mark.parametrize(
    ("cluster", "changed"), [("none", True), ("unreachable", False), ("newest", True)]
)
def test_canary_ends_with_what_has_changed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, cluster: str, changed: bool
) -> None:
    programs = {"make": 'test -z "$K8S_ARGO_MANIFEST" || echo "kind: $K8S_ARGO_MANIFEST"'}
    programs |= dict.fromkeys(("docker", "kind", "kubectl"), "exit 1" if cluster == "none" else "")
    write_programs(repository.parent / "bin", **programs)
    names = f"echo Fail; echo '{CHANGED}'; exit 1" if changed else "exit 0"
    own = {"pytest": f'case "$*" in *private_names*) {names};; *) echo passed;; esac'}
    own["uv"] = "test $5 || exec echo metaflow 2.20.0; echo metaflow 2.20.0 3.0.0 wheel"
    answer = (
        "echo K8S_ARGO_MANIFEST=https://a" if cluster == "newest" else "echo no net >&2; exit 1"
    )
    write_programs(repository / ".venv/bin", **own, python=answer)
    done = subprocess.run([".ci/canary"], cwd=repository, capture_output=True, text=True)
    of_cluster = {
        "none": "canary: the cluster is left out: it needs Docker, kind and kubectl",
        "unreachable": "canary: the cluster is left out: no net",
        "newest": "K8S_ARGO_MANIFEST=https://a\nkind: https://a",
    }
    expected = [
        "passed",
        *of_cluster[cluster].splitlines(),
        "canary: metaflow 2.20.0",
        "canary: not tried, because pyproject.toml excludes it: metaflow 2.20.0 3.0.0 wheel",
        CHANGED if changed else "canary: each private name of Metaflow means what it must",
    ]
    assert done.stdout.splitlines() == expected
    assert done.returncode == changed
