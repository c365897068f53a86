"""A project that is deployed as a person does, and what others have on its cluster."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import K8S, copy_project
from kubernetes_api import Api

PROD = {
    "METAFLOW_KUBERNETES_NAMESPACE": "team-a",
    "context": "fake",
    "production": True,
    "user": "churn-ci",
    "tags": ["team:churn risk"],
    "max_workers": 7,
}
OTHER = "churn-model of another"  # the same name, and another identity
FOREIGN = {  # what nobody may prune: another project's, another branch's, and what has no mark
    "workflowtemplates/namesakes": (OTHER, {"flow_name": "GoneFlow"}),
    "workflowtemplates/theirs": ("vision", {"flow_name": "GoneFlow"}),
    "workflowtemplates/churnmodel.test.new.goneflow": (
        "churn-model",
        {"flow_name": "GoneFlow", "branch_name": "test.new"},
    ),
    "workflowtemplates/byhand": ("", {"flow_name": "GoneFlow"}),
    "cronworkflows/theirs": ("vision", {}),
}
GONE = {  # as 0.3.0 has deployed it: without an identity
    "workflowtemplates/churnmodel.prod.goneflow": (
        "churn-model",
        {"flow_name": "GoneFlow", "branch_name": "prod"},
    ),
    "cronworkflows/churnmodel.prod.goneflow": ("churn-model", {}),
    "sensors/churnmodel-prod-goneflow": ("churn-model", {}),
}


def put(api: type[Api], present: dict[str, tuple[str, dict[str, str]]]) -> None:
    """Return the cluster objects: the project that marked each, and Metaflow's annotations."""
    for key, (project, annotations) in present.items():
        labels = {"mf-k8s/project": project} if project else {}
        if project == OTHER:
            labels = {"mf-k8s/project": "churn-model", "mf-k8s/identity": "another"}
        metadata = {
            "name": key.partition("/")[2],
            "namespace": "team-a",
            "labels": labels,
            "annotations": {f"metaflow/{name}": text for name, text in annotations.items()},
            "resourceVersion": "1",
        }
        api.objects[key] = {"metadata": metadata, "spec": {"templates": []}}


Deploy = Callable[..., tuple[int, str]]


@pytest.fixture
def project(example: Path, tmp_path: Path) -> Path:
    """Return a project with one flow, which has @project and @schedule."""
    project = tmp_path / "churn-model"
    copy_project(example, project)
    (project / "flows/train.py").unlink()
    hello = project / "flows/hello.py"
    text = hello.read_text().replace("import Par", "import schedule, Par")
    hello.write_text(text.replace("class Hello", "@schedule(hourly=True)\nclass Hello"))
    (project / "environments/prod.json").write_text(json.dumps(PROD))
    return project


@pytest.fixture
def deploy(project: Path, api: type[Api], s3: dict[str, str]) -> Deploy:
    """Return a function that deploys as a person does, and gives the exit code and all output."""

    def deploy(*arguments: str, **env: str) -> tuple[int, str]:
        own = {"METAFLOW_HOME": str(project / ".home"), "METAFLOW_USER": "ann"}
        path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project / "src")}
        done = subprocess.run(
            [K8S, "deploy", *arguments],
            cwd=project,
            env={**path, **s3, **own, "KUBECONFIG": os.environ["KUBECONFIG"], **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        return done.returncode, done.stdout

    return deploy
