"""What is deployed already: whose it is, by name and identity."""

from pathlib import Path
from typing import Any

import pytest
from conftest import own_target
from kubernetes_api import Api
from mf_k8s.deploy.already_deployed import change_by, foreign_templates
from mf_k8s.errors import CommandError, raise_if
from mf_k8s.pods.project_labels import is_own, marks
from mf_k8s.project.project import Project


def test_a_namesake_is_another_project(api: type[Api], tmp_path: Path) -> None:
    """What has no identity, as of 0.3.0, is everybody's of that name, on either side."""
    template = {"metadata": {"name": "train", "namespace": "team-a"}}
    project = Project(tmp_path, "churn_model")
    answers = tmp_path / ".copier-answers.yml"
    for labels, message in (
        ({"mf-k8s/project": "churn-model"}, ""),
        ({"mf-k8s/project": "churn-model", "mf-k8s/identity": "mine"}, ""),
        ({"mf-k8s/project": "vision", "mf-k8s/identity": "theirs"}, "the project vision: give"),
        (
            {"mf-k8s/project": "churn-model", "mf-k8s/identity": "theirs"},
            "another project of the name churn-model: give this flow another class name, or another"
            " name in @project; or, if the two are one, write `mf_k8s_identity: theirs` into"
            " .copier-answers.yml",
        ),
    ):
        answers.write_text("image: a:1\n# Why\nmf_k8s_identity: mine\n")
        present = {"metadata": {"name": "train", "labels": labels}}
        api.objects["workflowtemplates/train"] = present
        if message:
            with pytest.raises(CommandError) as stopped:
                raise_if(foreign_templates(project, own_target(), [template]))
            assert f"WorkflowTemplate train in namespace team-a belongs to {message}" in str(
                stopped.value
            )
        else:
            raise_if(foreign_templates(project, own_target(), [template]))
        assert is_own(present, marks(project), "") == (not message)
        answers.unlink()
        assert is_own(present, marks(project), "") == (labels["mf-k8s/project"] != "vision")


def test_a_field_that_is_null_is_no_change() -> None:
    """Metaflow writes nulls into some variables of a pod, and a cluster drops them."""

    def template(variable: dict[str, object]) -> dict[str, Any]:
        part = {"name": "start", "container": {"name": "start", "image": "a:1", "env": [variable]}}
        spec = {"templates": [part], "arguments": {"parameters": []}}
        return {"metadata": {"name": "train"}, "spec": spec}

    own = template({"name": "USER", "value": "ann", "value_from": None})
    assert change_by(own, {"train": template({"name": "USER", "value": "ann"})})["changes"] == []
    (change,) = change_by(own, {"train": template({"name": "USER", "value": "bob"})})["changes"]
    assert (change["setting"], change["new"]) == ("variable USER", "another value")
