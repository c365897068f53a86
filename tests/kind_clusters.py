"""What the tests with a real cluster share: a project with its cluster, and what is read of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, UV, delete_cluster, run
from teams import commit, git

NEEDS_KIND = [pytest.mark.kind]
MISSING = [name for name in ("docker", "kind", "kubectl") if not shutil.which(name)]
if MISSING:
    NEEDS_KIND += [pytest.mark.skip(reason=f"not on PATH: {', '.join(MISSING)}")]


FLOWS = ROOT / "tests"


class Project:
    """A project and its cluster. `env` holds variables for its command `k8s`."""

    def __init__(self, folder: Path, namespace: str, **env: str) -> None:
        self.folder, self.namespace, self.env = folder, namespace, env
        sync = (UV, "sync", "--quiet", "--python", sys.executable)
        run(*sync, cwd=folder, **{**os.environ, **env})

    @contextmanager
    def cluster(self, name: str) -> Iterator[str]:
        """Run a cluster that only these tests use. Yield what `kind up` prints.

        A cluster of that name is from a run that was killed, and is deleted.
        """
        self.env["K8S_KIND_CLUSTER"] = name
        delete_cluster(name)
        try:
            yield self.k8s("kind", "up")
        finally:
            self.k8s("kind", "down")
        assert name not in run("kind", "get", "clusters", cwd=self.folder).split()
        assert not (self.folder / ".kind").exists()

    def k8s(self, *command: str, code: int = 0, **env: str) -> str:
        """Run `k8s`, which must end with `code`, and give all that it prints."""
        done = subprocess.run(
            [self.folder / ".venv/bin/k8s", *command],
            cwd=self.folder, env={**os.environ, **self.env, **env}, timeout=1800, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == code, f"k8s {command}: {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout

    def kubectl(self, *command: str) -> str:
        where = ("--kubeconfig", str(self.folder / ".kind/kubeconfig"), "-n", self.namespace)
        return run("kubectl", *where, *command, cwd=self.folder)

    def get(self, what: str) -> list[Any]:
        return json.loads(self.kubectl("get", what, "-o", "json"))["items"]

    def pods(self, flow: str) -> list[Any]:
        """Return the pods of all runs of a flow, its steps' and its hooks'."""
        return [
            pod
            for pod in self.get("pods")
            if pod["metadata"].get("annotations", {}).get("metaflow/flow_name") == flow
        ]

    def edit(self, file: str, old: str, new: str) -> None:
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))


def container(pod: Any) -> Any:
    """Return the container that runs Metaflow: Argo's own is beside it, and comes first."""
    found = pod["spec"]["containers"]
    return next((item for item in found if item["name"] == "main"), found[0])


def seen(pod: Any) -> dict[str, Any]:
    """Return of a live pod what the answers say."""
    spec, main = pod["spec"], container(pod)
    limits = main["resources"].get("limits", {})
    paths = {item["name"]: item["mountPath"] for item in main["volumeMounts"]}
    claims = [item for item in spec["volumes"] if "persistentVolumeClaim" in item]
    shm = [item["emptyDir"] for item in spec["volumes"] if paths.get(item["name"]) == "/dev/shm"]
    return {
        "image": main["image"],
        "service_account": spec["serviceAccountName"],
        "gpu": {name: count for name, count in limits.items() if name.endswith("/gpu")},
        "shared_memory": shm[0]["sizeLimit"] if shm else None,
        "claims": {
            item["persistentVolumeClaim"]["claimName"]: paths[item["name"]] for item in claims
        },
    }


def lines(output: str) -> dict[str, str]:
    """Return what `kind test` says of each flow and way, without the time."""
    found = (line.split(maxsplit=2) for line in output.splitlines() if line.endswith(" s"))
    return {f"{flow} {way}": rest.rsplit(maxsplit=2)[0] for flow, way, rest in found}


def in_background(project: Project, *command: str, **env: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [project.folder / ".venv/bin/k8s", *command],
        cwd=project.folder, env={**os.environ, **env}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's & ignores it
    )  # fmt: skip


def exports(project: Project) -> dict[str, str]:
    output = project.k8s("kind", "env")
    return dict(re.findall("export (.*?)='?(.*?)'?$", output, re.MULTILINE))


def context(cluster: Project) -> str:
    return cluster.kubectl("config", "current-context").strip()


PLACES = {"staging": {"branch": "next"}, "lab": {"production": True}}


def make_team(copy: Callable[..., Path], folder: Path, cluster: Project, **answers: Any) -> Project:
    """Make a project with two environments and no cluster: it deploys to that of another."""
    copy(folder, **answers | {"project_name": "promoted"})
    for name, place in PLACES.items():
        settings = {"context": context(cluster), "user": "lab-ci"} | place
        (folder / f"environments/{name}.json").write_text(json.dumps(settings))
    (folder / "flows/train.py").unlink()
    with open(folder / "k8s.toml", "a") as config:
        config.write("\n[workflow]\nparallelism = 2\nttl.seconds_after_completion = 3600\n")
    return Project(folder, cluster.namespace, **exports(cluster))


def from_a_branch_to_pruned(cluster: Project, team: Project, image: str) -> None:
    """Bring a flow with @project and @schedule to a branch and to production, and away again."""
    branch, production = "promoted.test.next.cronflow", "promoted.prod.cronflow"
    flow = scheduled(team)
    git("init", "-q", "-b", "main", cwd=team.folder)
    commit(team.folder)

    output = team.k8s("deploy", "cron", "--env", "staging")
    assert (
        f"(context {context(cluster)}), namespace {cluster.namespace}, account kubernetes-admin"
        in output
    )
    assert deployed(cluster) == {f"workflowtemplate/{branch}", f"cronworkflow/{branch}"}
    of_branch = deployed(cluster)
    team.k8s("deploy", "cron", "--env", "lab")
    assert deployed(cluster) - of_branch == {
        f"workflowtemplate/{production}", f"cronworkflow/{production}"
    }  # fmt: skip
    first = release(cluster, production)
    assert first["images"] == {"start": image, "end": image}
    assert first["parallelism"] == 2 and first["ttl"] == {"secondsAfterCompletion": 3600}

    team.edit("k8s.toml", f'"{image}"', f'"{image}-next"')  # which does not exist
    team.edit("k8s.toml", "parallelism = 2", "parallelism = 3")
    team.edit("flows/cron.py", "Hello, ", "Good day, ")
    commit(team.folder)
    team.k8s("deploy", "cron", "--env", "lab")
    second = release(cluster, production)
    assert second["images"] == {"start": f"{image}-next", "end": f"{image}-next"}
    assert second["parallelism"] == 3 and second["code"] != first["code"]
    git("reset", "-q", "--hard", "HEAD~1", cwd=team.folder)
    team.k8s("deploy", "cron", "--env", "lab")
    assert release(cluster, production) == first
    start_workflow(cluster, "promoted", production)

    flow.write_text(flow.read_text().replace(SCHEDULE, ""))
    environment = team.folder / "environments/lab.json"
    settings = environment.read_text()
    environment.write_text(settings.replace("lab-ci", "bob"))
    other = {"METAFLOW_HOME": str(team.folder / ".metaflow/of-bob")}
    before = deployed(cluster)
    output = team.k8s("deploy", "cron", "--env", "lab", code=2, **other)
    assert "it was deployed by lab-ci, and Metaflow lets only that user" in output
    assert deployed(cluster) == before and release(cluster, production) == first
    environment.write_text(settings)
    team.k8s("deploy", "cron", "--env", "lab", **other)  # the user is enough, without the token
    assert before - deployed(cluster) == {f"cronworkflow/{production}"}

    assert last_phase(cluster, "promoted") == "Succeeded"
    flow.unlink()
    team.k8s("deploy", "--env", "lab", "--prune", "--yes")
    assert deployed(cluster) == of_branch | {"workflowtemplate/promoted.prod.helloflow"}
    for name in deployed(cluster):
        cluster.kubectl("delete", name)


def one_commit_in_two_places(cluster: Project, team: Project) -> None:
    """Deploy a commit to two environments, each with an account and node selector of its own."""
    where = f"--serviceaccount={cluster.namespace}:next"
    results = "--resource=workflowtaskresults.argoproj.io"
    cluster.kubectl("create", "serviceaccount", "next")
    cluster.kubectl("create", "role", "next", "--verb=create,patch", results)
    cluster.kubectl("create", "rolebinding", "next", "--role=next", where)
    layers: dict[str, Any] = {
        "staging": {"service_account": "next", "node_selector": {"kubernetes.io/os": "linux"}},
        "lab": {"node_selector": {"of-the-lab": "yes"}},
    }
    cluster.kubectl("label", "nodes", "--all", "of-the-lab=yes")
    for name, layer in layers.items():
        file = team.folder / f"environments/{name}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"k8s": layer}))
    flows = {"staging": "promoted.test.next.helloflow", "lab": "promoted.prod.helloflow"}
    for name, template in flows.items():
        team.k8s("deploy", "hello", "--env", name)
        start_workflow(cluster, f"in-{name}", template)
    for name, template in flows.items():
        assert last_phase(cluster, f"in-{name}") == "Succeeded"
        output = team.k8s("check", "hello", "--live", "--env", name)
        assert f"WorkflowTemplate {template}" in output and "run argo-in-" in output
    found: dict[str, Any] = {"in-staging": [], "in-lab": []}
    for pod in cluster.pods("HelloFlow"):
        workflow = pod["metadata"]["labels"].get("workflows.argoproj.io/workflow")
        if workflow in found:
            found[workflow].append((pod["spec"]["serviceAccountName"], pod["spec"]["nodeSelector"]))
    assert found == {
        "in-staging": [("next", {"kubernetes.io/os": "linux"})] * 2,
        "in-lab": [("metaflow", {"of-the-lab": "yes"})] * 2,
    }
    for name in deployed(cluster):
        cluster.kubectl("delete", name)


def deployed(cluster: Project) -> set[str]:
    """Return the kinds and names of what the project `promoted` has on the cluster."""
    return {
        f"{item['kind'].lower()}/{item['metadata']['name']}"
        for item in cluster.get("workflowtemplates,cronworkflows")
        if item["metadata"]["name"].startswith("promoted.")
    }


def release(cluster: Project, name: str) -> dict[str, Any]:
    """Return what of a WorkflowTemplate belongs to the commit that it was deployed from."""
    spec = json.loads(cluster.kubectl("get", "workflowtemplate", name, "-o", "json"))["spec"]
    steps = {
        template["name"]: template["container"]
        for template in spec["templates"]
        if template["name"] in ("start", "end")
    }
    code = {
        variable["value"]
        for step in steps.values()
        for variable in step["env"]
        if variable["name"] == "METAFLOW_CODE_SHA"
    }
    images = {name: step["image"] for name, step in steps.items()}
    whole = {"parallelism": spec["parallelism"], "ttl": spec["ttlStrategy"]}
    return {"images": images, "code": code, **whole}


def start_workflow(cluster: Project, name: str, template: str) -> None:
    """Start a WorkflowTemplate as its CronWorkflow does, by kubectl alone."""
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"workflowTemplateRef": {"name": template}},
    }
    file = cluster.folder / ".kind/workflow.json"
    file.write_text(json.dumps(workflow))
    cluster.kubectl("create", "--filename", str(file))


def last_phase(cluster: Project, workflow: str) -> str:
    cluster.kubectl("wait", f"workflow/{workflow}", "--for=condition=Completed", "--timeout=300s")
    return cluster.kubectl("get", "workflow", workflow, "--output=jsonpath={.status.phase}")


def scheduled(project: Project) -> Path:
    """Add a flow with @project and @schedule to a project, and return its file."""
    text = (project.folder / "flows/hello.py").read_text().replace("HelloFlow", "CronFlow")
    text = text.replace("import Par", "import schedule, Par")
    file = project.folder / "flows/cron.py"
    file.write_text(text.replace("class Cron", f"{SCHEDULE}class Cron"))
    return file


SCHEDULE = "@schedule(hourly=True)\n"
