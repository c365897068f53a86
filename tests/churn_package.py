"""A small project whose image and imports are checked: files alone, which no Copier has made."""

from pathlib import Path

import pytest
from mf_k8s.project.project import Project

PYPROJECT = """[project]
name = "churn"
dependencies = ["boto3>=1", "scikit-learn[tests]>=1; python_version > '3'", "not-installed"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    files = {
        "pyproject.toml": PYPROJECT,
        "src/churn/__init__.py": "",
        "src/churn/chain.py": "from . import features\n",
        "src/churn/features.py": "import rich\n",
        "src/churn_plots.py": "",
        "flows/beside.py": "import tomlkit\n",
        "flows/pexpect.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, "churn")
