"""Flows are compiled on trial, with new contents, and nothing is written."""

import json
import sys
from pathlib import Path

import pytest
from adopting import CONFIG, add, empty, entries, plain, project
from conftest import run
from mf_k8s.adopt.adoption import uncompiled
from mf_k8s.adopt.read_flows import read_flows
from mf_k8s.adopt.trial_compilation import Trial
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.project.project import Project
from pods import by_step

__all__ = ["empty", "project"]  # fixtures

# Flows that do not compile as they are, and why.
BROKEN = {
    "package": (
        plain(head="import no_such_package\n"),
        "ModuleNotFoundError: No module named 'no_such_package'; `uv add` the package that has"
        " it; a module of the project belongs in src/",
    ),
    "variable": (
        plain("@kubernetes(image=os.environ['NO_SUCH_IMAGE'])", "import os\n"),
        "KeyError: 'NO_SUCH_IMAGE'",
    ),
}


def test_a_flow_that_does_not_compile(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is: what is missing is said."""
    add(project, **{name: text for name, (text, _) in BROKEN.items()})
    monkeypatch.chdir(project)
    files = [project / f"flows/{name}.py" for name in BROKEN]
    results = Trial(Project(project, "churn_model"), tmp_path).compile(files, CONFIG)
    for (name, (_, reason)), result in zip(BROKEN.items(), results, strict=True):
        with pytest.raises(CommandError) as stopped:
            raise_if(uncompiled([result], "before"))
        assert str(stopped.value) == (
            f"flows/{name}.py does not compile before its adoption: {reason}; nothing is written"
        )


SIZED = """from metaflow import kubernetes

MEMORY = 5000


def sized(step):
    return kubernetes(memory=MEMORY)(step)
"""


def test_a_file_that_is_replaced(project: Path, tmp_path: Path) -> None:
    """Its new content is imported and inspected, through a link too; the file itself stays."""
    (project / "src/churn_model/sizes.py").write_text(SIZED)
    (project / "flows/linked.py").symlink_to("../src/churn_model/sizes.py")
    (project / "flows/plain.py").write_text(plain("@sized", "from linked import sized"))
    imports = (sys.executable, "-c", "import linked")
    run(*imports, cwd=project / "flows", PYTHONDONTWRITEBYTECODE="")
    assert [*(project / "flows/__pycache__").iterdir()]
    before = entries(project)
    trial = Trial(Project(project, "churn_model"), tmp_path)
    results = trial.compile([project / "flows/plain.py"], CONFIG)
    new = plain("@sized", "from linked import sized\n" + "# one more line\n" * 20)
    trial.replace(
        {
            project / "flows/plain.py": new.encode(),
            project / "src/churn_model/sizes.py": SIZED.replace("5000", "6000").encode(),
        }
    )
    results += trial.compile([project / "flows/plain.py"], CONFIG)
    pods = [by_step(json.dumps(result.template)) for result in results]
    assert [each["start"]["memory"] for each in pods] == [5000, 6000]
    assert entries(project) == before


def test_flows_of_one_name_in_files_of_one_name(project: Path, tmp_path: Path) -> None:
    """Where the files do not start them, each is started by a file of its own."""
    files = [project / f"flows/{folder}/same.py" for folder in ("a", "b")]
    for file, memory in zip(files, (5000, 6000), strict=True):
        file.parent.mkdir()
        text = plain(f"@kubernetes(memory={memory})")
        file.write_text(text.partition("\nif __name__")[0])
    trial = Trial(Project(project, "churn_model"), tmp_path)
    starters = [trial.starter(flow) for flow in read_flows(trial.project, files)]
    results = trial.compile(starters, CONFIG)
    assert [result.file for result in results] == files
    pods = [by_step(json.dumps(result.template)) for result in results]
    assert [each["start"]["memory"] for each in pods] == [5000, 6000]
