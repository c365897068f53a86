"""To which branch of @project a deploy goes, and which environments exclude each other."""

import json
import re
from pathlib import Path

import pytest
from deployed import FOREIGN, GONE, Deploy, deploy, project, put
from kubernetes_api import Api
from mf_k8s.deploy.project_branch import split_branch_options
from mf_k8s.project.environments import branch_of

__all__ = ["deploy", "project"]  # fixtures


def test_a_branch_must_be_chosen(project: Path, api: type[Api], deploy: Deploy) -> None:
    """Metaflow's default would be a branch of the user's own. A dry run shows what is gone."""
    environment = project / "environments/prod.json"
    environment.write_text(json.dumps({"METAFLOW_KUBERNETES_NAMESPACE": "team-a"}))
    second, text = project / "flows/again.py", (project / "flows/hello.py").read_text()
    second.write_text(text.replace("HelloFlow", "AgainFlow"))
    code, output = deploy("--env", "prod")
    assert code == 2
    for file in ("flows/again.py", "flows/hello.py"):
        assert (
            f"k8s: {file} has @project, and nothing says whether it goes to production or to which"
            ' branch: write "production": true or "branch": "NAME" into environments/prod.json'
            in output
        )
    second.unlink()
    put(api, GONE | FOREIGN)
    everything = {*api.objects}
    command = ("--env", "prod", "--dry-run", "--prune", "--", "--branch", "new")
    code, output = deploy(*command)
    assert code == 0, output
    assert "churnmodel.test.new.helloflow in namespace team-a of http://127.0.0.1:" in output
    assert "obsolete         WorkflowTemplate churnmodel.test.new.goneflow\n" in output
    assert "goneflow\n" not in output.replace("churnmodel.test.new.goneflow\n", "")
    assert {*api.objects} == everything


def test_environments_of_one_namespace_need_a_project(project: Path, deploy: Deploy) -> None:
    """Without @project a flow has one name: staging would replace production."""
    hello = project / "flows/hello.py"
    hello.write_text(re.sub(r"@project\(.*\)\n", "", hello.read_text()))
    staging = {"METAFLOW_KUBERNETES_NAMESPACE": "team-a", "context": "fake", "branch": "next"}
    (project / "environments/staging.json").write_text(json.dumps(staging))
    code, output = deploy("--env", "prod", "--dry-run")
    assert code == 2
    assert (
        "flows/hello.py has no @project, so environments/prod.json and environments/staging.json"
        " would both write helloflow in namespace team-a: give the flow @project, or each"
        " environment its own namespace" in output
    )


def test_environments_of_one_branch_are_refused(project: Path, deploy: Deploy) -> None:
    """A copy of prod.json that is still production would replace production's flows.

    An environment that is wrong does not stop the others.
    """
    (project / "environments/dev.json").write_text('{"contxt": "dev", "metrics": 1}')
    prod = json.loads((project / "environments/prod.json").read_text())
    (project / "environments/staging.json").write_text(json.dumps(prod | {"production": True}))
    (project / "environments/prod.json").write_text(json.dumps(prod | {"production": True}))
    code, output = deploy("--env", "staging", "--dry-run")
    assert code == 2
    assert (
        "environments/staging.json and environments/prod.json both write the branch prod in"
        " namespace team-a: give each its own `branch` or namespace\n" in output
    )
    code, output = deploy("--env", "staging", "--dry-run", "--", "--branch", "next")
    assert code == 0, output  # prod.next
    assert (
        "\nenvironments/staging.json is not compared with an environment that is wrong:"
        " environments/dev.json: no key contxt; did you mean context?\n"
        "environments/staging.json is not compared with an environment that is wrong:"
        " environments/dev.json: no key metrics; " in output
    )


@pytest.mark.parametrize(
    ("options", "others", "branch"),
    [
        (["--tag", "a"], ["--tag", "a"], ""),
        (["--production", "--tag=a"], ["--tag=a"], "prod"),
        (["--branch", "new", "--tag=a"], ["--tag=a"], "test.new"),
        (["--branch=new", "--production"], [], "prod.new"),
    ],
)
def test_options_of_project(options: list[str], others: list[str], branch: str) -> None:
    """Metaflow takes them before `argo-workflows`, or as variables."""
    variables, found = split_branch_options(options)
    assert (found, branch_of(variables)) == (others, branch)
