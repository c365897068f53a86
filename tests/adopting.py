"""What the tests of `k8s adopt` share: a project without a flow, and flows to be adopted there."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import K8S, copy_project
from teams import commit, git

CONFIG = """
image = "ghcr.io/acme/base:1"

service_account = "metaflow"
"""
PLAIN = """from metaflow import FlowSpec, kubernetes, step
{head}

class PlainFlow(FlowSpec):
    {decorator}
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    PlainFlow()
"""


def plain(decorator: str = "", head: str = "") -> str:
    return PLAIN.format(decorator=decorator, head=head).replace("    \n", "")


@pytest.fixture(scope="module")
def empty(example: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed project without a flow, which is made once for all files of tests."""
    root = tmp_path_factory.getbasetemp() / "empty/churn-model"
    if root.exists():
        return root
    copy_project(example, root, "flows", "uv.lock")
    (root / "flows").mkdir()
    (root / "k8s.toml").write_text(CONFIG)
    (root / "tests/kind.toml").write_text("")
    git("init", "-q", "-b", "main", cwd=root)
    commit(root)
    return root


@pytest.fixture
def project(empty: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(empty, tmp_path / "churn-model"))


def add(project: Path, **flows: str) -> None:
    """Write flows and commit them."""
    for name, text in flows.items():
        (project / f"flows/{name}.py").write_text(text)
    commit(project)


def adopt(
    project: Path, *arguments: str, code: int = 0, command: str = "adopt", **env: str
) -> tuple[str, str]:
    """Run `k8s adopt`, which must end with `code`; return what it prints on stdout and stderr."""
    env = {**os.environ, "COLUMNS": "200", **env}
    done = subprocess.run(
        [K8S, command, *arguments],
        **{"cwd": project, "env": env, "timeout": 300, "capture_output": True, "text": True},
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def status(project: Path) -> str:
    return git("status", "--porcelain", cwd=project)


def section(printed: str, title: str) -> str:
    """Return what stands below a title."""
    below = printed.partition(f"{title}:\n")[2]
    return re.split(r"^(?:Changes|Unchanged):", below, flags=re.MULTILINE)[0]


LATEST = "A fixed tag: ghcr.io/acme/churn:1.2.3, lower case, or a whole sha256 digest."


def entries(*folders: Path) -> dict[str, tuple[int, str | bytes]]:
    """Return the mode of each entry below folders, and its bytes or what it links to."""
    found: dict[str, tuple[int, str | bytes]] = {}
    for entry in [path for folder in folders for path in folder.rglob("*")]:
        content = entry.read_bytes() if entry.is_file() and not entry.is_symlink() else b""
        found[str(entry)] = (
            entry.lstat().st_mode,
            (os.readlink(entry) if entry.is_symlink() else content),
        )
    return found


def named(name: str, decorator: str = "@kubernetes(memory=9000)", head: str = "") -> str:
    return plain(decorator, head).replace("PlainFlow", name)
