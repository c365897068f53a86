"""Which flows of a project an adoption may change."""

from pathlib import Path

from adopting import empty, plain, project
from mf_k8s.adopt import which_flows
from mf_k8s.adopt.read_flows import read_flows
from mf_k8s.adopt.trial_compilation import Trial
from mf_k8s.project.project import Project

__all__ = ["empty", "project"]  # fixtures


def test_only_flows_that_may_change_are_compiled(project: Path) -> None:
    """Of those in the project: what k8s.toml reaches, if it changes, and what imports a change."""
    imported = "from metaflow import FlowSpec"
    files = {
        "adopted.py": plain("@kubernetes(memory=9000)"),
        "team.py": f"{imported}\n\n\nclass TeamFlow(FlowSpec):\n    pass\n",
        "of_team.py": plain()
        .replace(imported, "from team import TeamFlow")
        .replace("(FlowSpec)", "(TeamFlow)"),
        "plain_one.py": plain(),
        "shared.py": plain()
        .replace(imported, "from churn_model import BaseFlow")
        .replace("(FlowSpec)", "(BaseFlow)"),
        "runner.py": "from shared import PlainFlow\n\nPlainFlow()\n",
        "broken.py": "def :\n",
        "flows/old.py": plain(),
    }
    for name, text in files.items():
        (project / name).write_text(text)
    trial = Trial(Project(project, "churn_model", ("*.py",)), project.parent)
    named = [project / "adopted.py", project / "team.py"]
    flows = read_flows(trial.project, named)
    own = which_flows.own_files(trial, flows, named)
    assert own == [project / "adopted.py"]
    for changes, expected in {
        False: ["of_team.py"],
        True: ["broken.py", "of_team.py", "runner.py", "shared.py"],
    }.items():
        others = which_flows.other_files(trial.project, own, named, named, changes)
        assert [file.name for file in others] == expected
