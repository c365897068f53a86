"""The jobs of a project's workflow on GitHub, run by act on this machine as on a runner."""

import hashlib
import json
import os
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from conftest import EXAMPLE, UV, delete_cluster, run, serve_registry
from teams import commit, git, replace

ACT = UV.with_name("act")
NEEDED = ("docker", "kind", "kubectl")
CLUSTER = "mf-template-act"

pytestmark = [
    pytest.mark.kind,
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason=f"not all on PATH: {', '.join(NEEDED)}"
    ),
]


ORGANISATION = """
environments: {dev: default, prod: default}
datastore_root: s3://metaflow/churn-model
deploy_from_ci: true
"""
IMAGE = "localhost:5000/acme/score:1.2.3"
# A team's first flow: a library without types, a data file, and a bare @kubernetes.
SCORE = '''"""Scores customers."""

import io

import pandas as pd
from metaflow import IncludeFile, kubernetes, project, step

from churn_model import BaseFlow


@project(name="churn_model")
class ScoreFlow(BaseFlow):
    table = IncludeFile("table", default="data/customers.csv")

    @kubernetes
    @step
    def start(self):
        self.customers = pd.read_csv(io.StringIO(self.table))
        self.next(self.end)

    @step
    def end(self):
        print(len(self.customers))


if __name__ == "__main__":
    ScoreFlow()
'''


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose team has put its own flow in the examples' place, all committed.

    Its organisation has an environment besides prod, and lets CI deploy.
    """
    folder = tmp_path_factory.mktemp("act")
    fork, path = folder / "fork", folder / "churn-model"
    shutil.copytree(template, fork, ignore=shutil.ignore_patterns(".git"))
    (fork / "hooks/organisation.yml").write_text(ORGANISATION)
    how = {"defaults": True, "quiet": True, "unsafe": False}
    copier.run_copy(str(fork), path, data={**EXAMPLE, "image": IMAGE}, **how)
    for example in (path / "flows").glob("*.py"):
        example.unlink()
    (path / "flows/score.py").write_text(SCORE)
    (path / "data").mkdir()
    (path / "data/customers.csv").write_text("age\n30\n")
    run(UV, "add", "--quiet", "--no-sync", "pandas", cwd=path)
    git("init", "-q", "-b", "main", cwd=path)
    commit(path)
    return path


GH = """#!/bin/sh
echo "gh: $*" >&2
case "$*" in
    "run download"*) cp "{folder}/plan.md" .;;
    *--body-file*) cat body.md;;
esac
"""


@pytest.fixture(scope="module")
def actions(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder of programs, and act's options that put a stand-in in each action's place.

    That of setup-uv puts uv on PATH, that of upload-artifact keeps plan.md and rendered, from where
    a stand-in for gh downloads the plan; act does actions/checkout by itself.
    """
    folder = tmp_path_factory.mktemp("actions")
    (folder / "bin").mkdir()
    (folder / "bin/uv").symlink_to(UV)
    (folder / "bin/gh").write_text(GH.format(folder=folder))
    (folder / "bin/gh").chmod(0o755)
    commands = {
        "setup-uv": f'echo "{folder}/bin" >> "$GITHUB_PATH"',
        "upload-artifact": f'for item in plan.md rendered; do cp -r $item "{folder}" || true; done',
    }
    workflow = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())
    used = {step.get("uses") for job in workflow["jobs"].values() for step in job["steps"]}
    options = []
    for action in sorted(filter(None, used)):
        name = action.partition("@")[0].rpartition("/")[2]
        if name != "checkout":
            (folder / name).mkdir()
            step = {"shell": "bash", "run": commands.get(name, "true")}
            runs = {"using": "composite", "steps": [step]}
            (folder / name / "action.yml").write_text(yaml.safe_dump({"name": name, "runs": runs}))
            options += ["--local-repository", f"{action}={folder / name}"]
    return folder / "bin", options


@pytest.fixture(scope="module")
def act(
    project: Path, actions: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    """Return a function that runs a job, which must succeed, and gives what it printed.

    The variables K8S_… reach it, by which a runner with no internet overrides what is downloaded.
    """
    folder = tmp_path_factory.mktemp("runner")
    variables = {name: value for name, value in os.environ.items() if name.startswith("K8S_")}
    variables["K8S_KIND_CLUSTER"] = CLUSTER
    variables["METAFLOW_HOME"] = str(folder / "metaflow")
    programs, stand_ins = actions
    path = f"{programs}:{os.environ['PATH']}"  # a runner has gh
    options = ["-P", "ubuntu-latest=-self-hosted", "--action-cache-path", str(folder), *stand_ins]
    for name, value in variables.items():
        options += ["--env", f"{name}={value}"]

    def act(job: str, event: str = "push", **payload: Any) -> str:
        (folder / "event.json").write_text(json.dumps(payload))
        command = [ACT, event, "-j", job, "--eventpath", folder / "event.json"]
        env = {**os.environ, "PATH": path}
        return run(*command, "--no-cache-server", *options, cwd=project, timeout=1800, **env)

    return act


@pytest.fixture(scope="module")
def kind_job(act: Callable[..., str]) -> Iterator[str]:
    """Yield what the job kind prints. Its cluster is there until no test needs it any more."""
    delete_cluster(CLUSTER)  # of a killed run
    try:
        yield act("kind")
    finally:
        delete_cluster(CLUSTER)


def test_test(act: Callable[..., str]) -> None:
    assert "Job succeeded" in act("test")


def test_plan(act: Callable[..., str], project: Path, actions: tuple[Path, list[str]]) -> None:
    """A pull request's commit that gives each pod a second GPU is said in a comment on it.

    And what would be deployed to each environment is an artifact.
    """
    base = git("rev-parse", "HEAD", cwd=project).strip()
    replace(project, [("k8s.toml", "\ngpu = 1\n", "\ngpu = 2\n")])
    commit(project)
    head = {"repo": {"fork": False}}
    pull_request = {"number": 7, "base": {"sha": base}, "head": head}
    try:
        output = act("comment", "pull_request", pull_request=pull_request)
    finally:
        git("reset", "--hard", "--quiet", base, cwd=project)
    assert output.count("Job succeeded") == 2  # plan makes it, comment posts it
    assert "gh: pr comment 7 --body-file body.md" in output
    comment = output.partition("<!-- k8s plan -->\n")[2]
    assert "## ScoreFlow: changed" in comment, output
    changes = re.findall(r"\| gpu \| ([\w, ]+?) +\| (.+?) +\| (.+?) +\|", comment)
    assert changes == [("start, end", "nvidia.com/gpu: 1", "nvidia.com/gpu: 2")], output
    rendered = (actions[0].parent / "rendered").glob("*/kustomization.yaml")
    assert {file.parent.name for file in rendered} == {"dev", "prod"}


def test_kind(kind_job: str) -> None:
    """The flow runs both ways, in a cluster made from nothing but the project."""
    for way in ("run", "argo"):
        assert re.search(rf"score {way} +\d+ pods match k8s.toml", kind_job), kind_job[-4000:]


# What the team writes in the place of the step that logs in: a context of kubectl, and keys.
LOGIN = f"""        run: |
          kind get kubeconfig --name {CLUSTER} > "$RUNNER_TEMP/kubeconfig"
          s3=$(docker port {CLUSTER}-control-plane 30070)
          {{
            echo "KUBECONFIG=$RUNNER_TEMP/kubeconfig"
            echo "AWS_ENDPOINT_URL_S3=http://$s3"
            echo AWS_ACCESS_KEY_ID=metaflow
            echo AWS_SECRET_ACCESS_KEY=metaflow-on-kind
            echo AWS_DEFAULT_REGION=us-east-1
          }} >> "$GITHUB_ENV"

"""
STEP = r"(?<=registry, datastore and cluster\"\n)        run: \|\n( {10}.*\n)+\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a registry that runs here."""
    yield from serve_registry(tmp_path_factory.mktemp("registry"))


@pytest.mark.usefixtures("kind_job")
def test_deploy(act: Callable[..., str], project: Path, registry: str) -> None:
    """A push to main goes to dev, its tag to prod, with one image: built, pushed, then found.

    The tag is deployed by hand, as for a rollback. By hand, a branch is not.
    """
    base = git("rev-parse", "HEAD", cwd=project).strip()
    workflow = project / ".github/workflows/deploy.yml"
    text, count = re.subn(STEP, lambda _: LOGIN, workflow.read_text())
    assert count == 1
    workflow.write_text(text)
    replace(project, [("k8s.toml", "localhost:5000", registry)])
    for name in ("dev", "prod"):
        file = project / f"environments/{name}.json"
        own = {"context": f"kind-{CLUSTER}", "METAFLOW_KUBERNETES_SECRETS": "kind-s3"}
        file.write_text(json.dumps(json.loads(file.read_text()) | own))
    commit(project)
    head = git("rev-parse", "HEAD", cwd=project)
    git("update-ref", "refs/remotes/origin/main", head.strip(), cwd=project)
    image = f"{registry}/acme/score:{head[:12]}"
    try:
        main = act("deploy", ref="refs/heads/main")
        branch = act("deploy", "workflow_dispatch", ref="refs/heads/main")
        tag = act("deploy", "workflow_dispatch", ref="refs/tags/v1.0.0")
    finally:
        git("reset", "--hard", "--quiet", base, cwd=project)
    assert f"{image}: built" in main and f"{image}: pushed" in main
    assert f"{image}: " not in branch
    assert f"{image}: not needed, the registry has it" in tag
    digest = digest_of(image)
    for name in ("churnmodel.test.dev.scoreflow", "churnmodel.prod.scoreflow"):
        steps = {
            template["name"]: (
                template["container"]["image"],
                template["metadata"]["annotations"]["mf-k8s/image-digest"],
            )
            for template in deployed(name, project)["spec"]["templates"]
            if template["name"] in ("start", "end")
        }
        pushed = (f"{image}@{digest}", f"{registry}/acme/score@{digest}")
        assert steps == dict.fromkeys(("start", "end"), pushed)


def digest_of(image: str) -> str:
    """Return the digest that a registry on this machine gives to an image."""
    address, _, path = image.partition("/")
    name, _, tag = path.partition(":")
    url = f"http://{address}/v2/{name}/manifests/{tag}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return f"sha256:{hashlib.sha256(answer.read()).hexdigest()}"


def deployed(name: str, folder: Path) -> Any:
    """Return a WorkflowTemplate on the cluster of the job kind."""
    kubeconfig = folder / ".git/kubeconfig"  # which is not committed
    kubeconfig.write_text(run("kind", "get", "kubeconfig", "--name", CLUSTER, cwd=folder))
    command = ("kubectl", "--kubeconfig", kubeconfig, "get", "workflowtemplate", name)
    return json.loads(run(*command, "--output=json", cwd=folder))
