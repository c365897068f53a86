"""What a project's CI runs passes without the examples, with a team's own flow, and with none."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import UV, copy_project

# A first flow as people write it. The stubs of requests and yaml are known to mypy, which asks for
# them more strictly than for those of other libraries.
TEAM_FLOW = '''"""The team's own flow."""

import atexit
import sys

import boto3
import requests
import yaml
from metaflow import kubernetes, step

from churn_model import BaseFlow


class ScoreFlow(BaseFlow):
    @kubernetes
    @step
    def start(self):
        self.table = open("data/customers.csv").read()
        print(boto3.__name__, requests.__name__, yaml.__name__)
        self.next(self.end)

    @step
    def end(self):
        print(self.table)


if __name__ == "__main__":
    if "run" in sys.argv:  # libraries warn at the end
        atexit.register(print, "warning\\n" * 20, file=sys.stderr)
    ScoreFlow()
'''


@pytest.mark.long
def test_what_ci_runs(example: Path, venv: Path, tmp_path: Path) -> None:
    """Green without the examples, and with a flow of the team's in the top folder that reads data.

    And with no flow at all, before the team has one. Libraries without types pass the type checker;
    a type that is wrong does not, wherever the flow is.
    """
    project = tmp_path / "churn-model"
    copy_project(example, project)
    shutil.rmtree(project / "flows")
    (project / ".venv").symlink_to(venv)

    def k8s_test() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [venv / "bin/k8s", "test"],
            cwd=project,
            env={"PATH": "/usr/bin:/bin", "UV": str(UV), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    nothing = k8s_test()
    assert nothing.returncode == 0, nothing.stdout + nothing.stderr
    assert "k8s: flows/ has no flow yet: add one, or, if your flows are elsewhere" in nothing.stderr
    passed = re.findall(r"^(.*?) +passed ", nothing.stdout, re.MULTILINE)
    assert passed == [
        *("uv lock --check", "ruff check", "ruff format --check", "mypy", "k8s check", "pytest")
    ]

    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("\ntest = ", '\nflows = ["*.py"]\ntest = '))
    (project / "score.py").write_text(f"{TEAM_FLOW}\nlimit: int = 'two'\n")
    without_data = k8s_test()
    assert without_data.returncode == 1
    failed = without_data.stdout.rpartition("failed: uv run mypy\n")
    assert failed[2] == "failed: uv run pytest\n", without_data.stdout
    assert re.search(r"^score\.py:.*\nFound 1 error in 1 file", failed[0], re.MULTILINE), failed
    assert "No such file or directory: 'data/customers.csv'" in without_data.stdout
    assert "It was run as tests/kind.toml says: python score.py run\n" in without_data.stdout

    (project / "score.py").write_text(TEAM_FLOW)
    (project / "data").mkdir()
    (project / "data/customers.csv").write_text("age\n30\n")
    done = k8s_test()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ScoreFlow (compiled): every pod matches k8s.toml" in done.stdout
    assert "1 passed" in done.stdout
