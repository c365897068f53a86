"""The development cluster, for real: `make test-kind`, with Docker, kind and kubectl.

Expected values are the answers, by hand; what is on the cluster is read by kubectl.
"""

import copy as copying
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import EXAMPLE, FIGURES, ROOT, UV, delete_cluster, own_target, run
from mf_k8s.cluster.write_or_undo import write_all
from mf_k8s.errors import CommandError
from teams import commit, git

pytestmark = pytest.mark.kind
MISSING = [name for name in ("docker", "kind", "kubectl") if not shutil.which(name)]
if MISSING:
    pytestmark = [pytestmark, pytest.mark.skip(reason=f"not on PATH: {', '.join(MISSING)}")]
FLOWS = ROOT / "tests"
CLUSTER = "mf-template-argo-4"
SEED = {
    "image": "ghcr.io/acme/churn:1.2.3",
    "service_account": "metaflow",
    "gpu": {"nvidia.com/gpu": "1"},
    "shared_memory": "8196Mi",
    "claims": {"metaflow-training": "/cache"},
}
SHAPES = [
    *(f"flows/{name}" for name in ("conditional", "gang", "hooked")),
    *(f"cluster/flows/{name}" for name in ("parent", "proof", "resumed")),
]
DEAD_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
DEAD_PROXY |= {"NO_PROXY": "", "no_proxy": ""}
MANY_PODS = {"nested": 6, "recursion": 3} if os.environ.get("LONG") else {}  # pods that differ


class Project:
    """A project and its cluster. `env` holds variables for its command `k8s`."""

    def __init__(self, folder: Path, namespace: str, **env: str) -> None:
        self.folder, self.namespace, self.env = folder, namespace, env
        run(UV, "sync", "--quiet", cwd=folder)

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


@pytest.fixture(scope="module")
def seed(copy: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Return the seed example with flows of many shapes, and its cluster, which has Argo 4."""
    folder = copy(tmp_path_factory.mktemp("seed") / "churn-model", **EXAMPLE)
    project = Project(folder, "default")
    for name in [*SHAPES, *(f"flows/{name}" for name in MANY_PODS)]:
        shutil.copy(FLOWS / f"{name}.py", folder / "flows")
    with open(folder / "tests/kind.toml", "a") as settings:  # every command gives it its Config
        settings.write('\n[proof]\noptions = ["--config", "sizes", "sizes.json"]\n')
        settings.write('\n[resumed]\nskip = "fails at first"\n')
    (folder / "sizes.json").write_text('{"start": 8196, "end": 64}')
    started = time.monotonic()
    with project.cluster(CLUSTER) as output:
        FIGURES["kind up, the image built on the way"] = f"{time.monotonic() - started:.0f} s"
        print(output)
        yield project


def test_cluster(seed: Project) -> None:
    """The cluster has what k8s.toml and the flows ask for, and no right beyond."""
    (node,) = seed.get("nodes")
    assert int(node["status"]["allocatable"]["nvidia.com/gpu"]) >= 1
    inspect = ("docker", "inspect", "--format", "{{.HostConfig.Memory}}")
    bound = run(*inspect, f"{CLUSTER}-control-plane", cwd=seed.folder)
    machine = run("docker", "info", "--format", "{{.MemTotal}}", cwd=seed.folder)
    assert 0 < int(bound) < int(machine)
    seed.kubectl("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    assert [item["metadata"]["name"] for item in seed.get("pvc")] == ["metaflow-training"]
    controller = ("deployment", "workflow-controller", "--namespace", "argo", "--output", "json")
    pod = json.loads(seed.kubectl("get", *controller))["spec"]["template"]
    assert {"name": "DEFAULT_REQUEUE_TIME", "value": "2s"} in container(pod)["env"]
    account = "--as=system:serviceaccount:default:metaflow"
    rights = {
        ("create", "workflowtaskresults.argoproj.io"): "yes",
        ("patch", "workflowtaskresults.argoproj.io"): "yes",
        ("create", "jobsets.jobset.x-k8s.io"): "yes",  # for gang.py
        ("delete", "workflowtaskresults.argoproj.io"): "no",
        ("list", "jobsets.jobset.x-k8s.io"): "no",
        ("get", "pods"): "no",
        ("get", "secrets"): "no",
    }
    rules = seed.kubectl("get", "role", "argo-executor", "-o", "json")
    allowed = {
        (verb, f"{kind}.{rule['apiGroups'][0]}")
        for rule in json.loads(rules)["rules"]
        for kind in rule["resources"]
        for verb in rule["verbs"]
    }
    for (verb, what), answer in rights.items():
        if answer == "yes":
            assert seed.kubectl("auth", "can-i", verb, what, account).strip() == "yes"
            assert (verb, what) in allowed
        else:
            assert (verb, what) not in allowed


def test_up_again(seed: Project) -> None:
    (before,) = seed.get("nodes")
    started = time.monotonic()
    output = seed.k8s("kind", "up")
    FIGURES["kind up, again"] = f"{time.monotonic() - started:.1f} s"
    (after,) = seed.get("nodes")
    assert before["metadata"]["uid"] == after["metadata"]["uid"], output


def test_after_a_restart_of_the_machine(seed: Project) -> None:
    """Its nodes are stopped: that is said, and `kind up` starts them, with all that they hold."""
    (before,) = seed.get("nodes")
    run("docker", "stop", f"{CLUSTER}-control-plane", cwd=seed.folder)
    stopped = seed.k8s("kind", "test", code=2)
    assert (
        "the cluster is not running (" in stopped
        and "`uv run k8s kind up` starts or makes it" in stopped
    )
    seed.k8s("kind", "up")
    (after,) = seed.get("nodes")
    assert before["metadata"]["uid"] == after["metadata"]["uid"]


def test_flows(seed: Project) -> None:
    """Each flow passes both ways, and each of its pods is as the answers say.

    A proxy that refuses everything is passed by.
    """
    started = time.monotonic()
    output = seed.k8s("kind", "test", **DEAD_PROXY)
    line = "k8s: a proxy is set, which cannot reach the cluster, so NO_PROXY=127.0.0.1,localhost\n"
    assert output.startswith(line)
    FIGURES[f"kind test of {7 + len(MANY_PODS)} flows, both ways"] = (
        f"{time.monotonic() - started:.0f} s"
    )
    print(output)
    found = lines(output)
    matches = "{} pods match k8s.toml"
    # alike pods of a step count once; a JobSet has its creator, a control and a worker
    assert found == {
        "conditional argo": matches.format(4),  # of five steps one is skipped
        "conditional run": matches.format(4),
        "gang argo": matches.format(6),
        "gang run": matches.format(5),
        "hello argo": matches.format(2),
        "hello run": matches.format(2),
        "hooked argo": matches.format(3),
        "hooked run": matches.format(2),
        "parent argo": matches.format(2),
        "parent run": matches.format(2),
        "proof argo": matches.format(2),
        "proof run": matches.format(2),
        "train argo": matches.format(4),
        "train run": matches.format(4),
        **{
            f"{flow} {way}": matches.format(count)
            for flow, count in MANY_PODS.items()
            for way in ("argo", "run")
        },
    }
    # the HelloFlow that a step of ParentFlow starts makes no pod
    counts = {"HelloFlow": 4, "TrainFlow": 12} | ({"NestedFlow": 18} if MANY_PODS else {})
    for flow, count in counts.items():
        pods = seed.pods(flow)
        assert len(pods) == count
        assert [seen(pod) for pod in pods] == [SEED] * count
    assert memory(seed.pods("TrainFlow"), "train") == {"8192M"}
    assert memory(seed.pods("ParentFlow"), "start") == {"5G"}  # by a mutator: 5000M, as it prints


def memory(pods: list[Any], step: str) -> set[str]:
    """Return what the pods of a step ask for."""
    return {
        container(pod)["resources"]["requests"]["memory"]
        for pod in pods
        if pod["metadata"]["annotations"]["metaflow/step_name"] == step
    }


def test_resume_uses_what_k8s_toml_says_now(seed: Project) -> None:
    """A step failed, and k8s.toml gives it more memory."""
    flow = (seed.folder / ".venv/bin/python", "flows/resumed.py", "--no-pylint")
    env = {**os.environ, **exports(seed)}
    failed = subprocess.run([*flow, "run", "--with", "kubernetes"], cwd=seed.folder, env=env)
    assert failed.returncode == 1
    assert memory(seed.pods("ResumedFlow"), "end") == {"4096M"}
    (seed.folder / ".kind/claims/metaflow-training/ready").touch()
    seed.edit("k8s.toml", "memory = 4096", "memory = 5001")
    run(*flow, "resume", "--with", "kubernetes", cwd=seed.folder, **env)
    seed.edit("k8s.toml", "memory = 5001", "memory = 4096")
    assert memory(seed.pods("ResumedFlow"), "end") == {"4096M", "5001M"}


def test_exit_hook(seed: Project) -> None:
    hooks = [
        pod
        for pod in seed.pods("HookedFlow")
        if "metaflow/step_name" not in pod["metadata"]["annotations"]
    ]
    assert len(hooks) == 1
    assert seen(hooks[0]) == SEED | {"gpu": {}, "shared_memory": None, "claims": {}}


def test_deploy_dry_run(seed: Project) -> None:
    seed.k8s("deploy", "hello", "--env", "kind")
    (before,) = [item for item in seed.get("workflowtemplates") if "hello" in str(item["metadata"])]
    flow = (seed.folder / "flows/hello.py").read_text()
    seed.edit(
        "flows/hello.py", "    @step\n    def end", "    @k8s(memory=5000)\n    @step\n    def end"
    )
    seed.edit("flows/hello.py", "import BaseFlow", "import BaseFlow, k8s")
    output = seed.k8s("deploy", "hello", "--env", "kind", "--dry-run", **DEAD_PROXY)
    assert "4096M" in output and "5000M" in output and "unchanged" in output
    (after,) = [item for item in seed.get("workflowtemplates") if "hello" in str(item["metadata"])]
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    output = seed.k8s("deploy", "hello", "--env", "kind")
    assert "churnmodel.user.kind.helloflow in namespace default of https://127.0.0.1:" in output
    assert lines(output)["check --live"] == "3 pods match k8s.toml"  # two steps' and the hook's
    (after,) = [item for item in seed.get("workflowtemplates") if "hello" in str(item["metadata"])]
    memory = [
        item["container"]["resources"]["requests"]["memory"]
        for item in after["spec"]["templates"]
        if (item.get("metadata") or {}).get("annotations", {}).get("metaflow/step_name") == "end"
    ]
    assert memory == ["5000M"]
    (seed.folder / "flows/hello.py").write_text(flow)


def test_another_projects_template_is_not_replaced(seed: Project) -> None:
    """Both have a ProofFlow, with no @project: deployed by kind test, this one is ours."""
    seed.kubectl("label", "workflowtemplate", "proofflow", "--overwrite", "mf-k8s/project=vision")
    before = seed.kubectl("get", "workflowtemplate", "proofflow", "-o", "yaml")
    output = seed.k8s("deploy", "proof", "--env", "kind", code=2)
    assert (
        "WorkflowTemplate proofflow in namespace default belongs to the project vision:"
        ' give this flow another class name, or @project(name="churn_model")' in output
    )
    assert seed.kubectl("get", "workflowtemplate", "proofflow", "-o", "yaml") == before
    pods = seed.pods("ProofFlow")
    marked = [pod for pod in pods if pod["metadata"]["labels"].get("mf-k8s/project")]
    assert {pod["metadata"]["labels"]["mf-k8s/project"] for pod in marked} == {"churn-model"}
    assert len(marked) == 2  # those of Argo's run


def test_failed_deploy_changes_nothing(seed: Project) -> None:
    """A service account that may not write WorkflowTemplates."""
    token = seed.kubectl("create", "token", "metaflow").strip()
    config = json.loads(seed.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    weak = seed.folder / ".kind/weak.json"
    weak.write_text(json.dumps(config))
    env = {**exports(seed), "KUBECONFIG": str(weak), "METAFLOW_BRANCH": "weak"}
    before = seed.kubectl("get", "workflowtemplates", "-o", "yaml")
    output = seed.k8s("deploy", "hello", code=2, **env)
    assert (
        "your account system:serviceaccount:default:metaflow lacks rights in namespace default that"
        " this deploy needs: get, list, create, update workflowtemplates.argoproj.io and get"
        " cronworkflows.argoproj.io; ask for a Role there that has them" in output
    )
    assert seed.kubectl("get", "workflowtemplates", "-o", "yaml") == before


def test_a_refused_write_puts_back_what_was_written(seed: Project) -> None:
    """The server drops the nulls that Metaflow's client writes: that is no change of another's."""
    (before,) = [item for item in seed.get("workflowtemplates") if "hello" in str(item["metadata"])]
    name = before["metadata"]["name"]
    changed = copying.deepcopy(before)
    changed["spec"] |= {"parallelism": 77, "archiveLogs": None}
    place = {"group": "argoproj.io", "version": "v1alpha1", "namespace": seed.namespace}
    place["plural"] = "workflowtemplates"
    bad = {**changed, "metadata": {"name": "Not_A_Name"}}
    with pytest.raises(CommandError) as stopped:
        write_all(
            own_target(KUBECONFIG=str(seed.folder / ".kind/kubeconfig")),
            [
                ("replace_namespaced_custom_object", place | {"name": name, "body": changed}),
                ("create_namespaced_custom_object", place | {"body": bad}),
            ],
        )
    assert str(stopped.value).endswith(f"; workflowtemplates/{name} was put back as it was")
    (after,) = [item for item in seed.get("workflowtemplates") if "hello" in str(item["metadata"])]
    assert after["spec"] == before["spec"]
    assert int(after["metadata"]["generation"]) > int(before["metadata"]["generation"])


def exports(project: Project) -> dict[str, str]:
    output = project.k8s("kind", "env")
    return dict(re.findall("export (.*?)='?(.*?)'?$", output, re.MULTILINE))


def test_deploy_expects_what_the_environment_adds(seed: Project) -> None:
    """A node selector of Metaflow's configuration is expected, named, and written for every pod."""
    selector = {"kubernetes.io/os": "linux"}  # a label of every node: the flow could run
    env = {**exports(seed), "METAFLOW_KUBERNETES_NODE_SELECTOR": "kubernetes.io/os=linux"}
    output = seed.k8s("deploy", "hello", "--", "--branch=linux", **env)
    note = "node_selector: from METAFLOW_KUBERNETES_NODE_SELECTOR"
    name = "churnmodel.test.linux.helloflow"
    assert f"HelloFlow (WorkflowTemplate {name}): {note}" in output
    (written,) = [
        item for item in seed.get("workflowtemplates") if item["metadata"]["name"] == name
    ]
    steps = [item for item in written["spec"]["templates"] if item["name"] in ("start", "end")]
    assert [item["nodeSelector"] for item in steps] == [selector] * 2
    assert written["spec"]["nodeSelector"] == selector  # the hook's, which has none of its own
    seed.kubectl("delete", "workflowtemplate", name)


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


def test_from_a_branch_to_pruned(seed: Project, copy: Callable[..., Path], tmp_path: Path) -> None:
    """On Argo 4, which knows `schedules` alone, and none that is empty."""
    team = make_team(copy, tmp_path / "promoted", seed, **EXAMPLE)
    from_a_branch_to_pruned(seed, team, SEED["image"])


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


def test_rendered_files_run(seed: Project) -> None:
    """Applied by kubectl alone, where nothing of the flow was.

    The definitions of Argo 4 have every field of a workflow, and the server refuses others.
    """
    name = "churnmodel.user.kind.helloflow"
    seed.k8s("deploy", "hello", "--env", "kind")
    seed.kubectl("delete", "workflowtemplate", name)
    seed.k8s("render", "hello", "conditional", "gang", "--env", "kind", "-o", "rendered")
    seed.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", "rendered")
    start_workflow(seed, "rendered", name)
    assert last_phase(seed, "rendered") == "Succeeded"
    pods = [pod for pod in seed.pods("HelloFlow") if pod["metadata"]["name"].startswith("rendered")]
    assert [seen(pod) for pod in pods] == [SEED] * 2
    shutil.rmtree(seed.folder / "rendered")


def test_deploy_writes_all_flows_or_none(seed: Project) -> None:
    """The second passes the check, and fails when Metaflow creates it for this cluster."""
    text = (seed.folder / "flows/hello.py").read_text().replace("HelloFlow", "LateFlow")
    fails = 'import os\n\nassert os.environ["METAFLOW_USER"] != "kind", "too late"\n'
    (seed.folder / "flows/late.py").write_text(fails + text)
    seed.k8s("deploy", "hello", "--env", "kind")
    before = seed.kubectl("get", "workflowtemplates", "-o", "yaml")
    output = seed.k8s("deploy", "hello", "late", "--env", "kind", code=2)
    (seed.folder / "flows/late.py").unlink()
    assert "k8s: flows/late.py: " in output and "too late" in output
    assert seed.kubectl("get", "workflowtemplates", "-o", "yaml") == before


SCHEDULE = "@schedule(hourly=True)\n"
LACKS = {
    "secret": ({"secrets": ["nowhere"]}, 'secret "nowhere" not found'),
    "claim": ({"persistent_volume_claims": {"nowhere": "/x"}}, '"nowhere" not found'),
    "gpu": ({"gpu": 99}, "Insufficient nvidia.com/gpu"),
    "image": ({"image": "ghcr.io/acme/nowhere:1"}, "ghcr.io/acme/nowhere:1"),
    "service-account": ({"service_account": "nobody"}, "nobody"),
}


def test_pods_that_cannot_start(seed: Project) -> None:
    """Each is explained, by what it lacks, soon: all of them at once, both ways, in 5 minutes."""
    tests = {}
    for name, (lacks, _) in LACKS.items():
        text = (FLOWS / "cluster/flows/lacking.py").read_text()
        title = f"lacking_{name.replace('-', '_')}"
        class_name = f"Lacking{name.replace('-', '').capitalize()}Flow"
        (seed.folder / f"flows/{title}.py").write_text(text.replace("LackingFlow", class_name))
        tests[name] = in_background(seed, "kind", "test", title, LACKS=json.dumps(lacks))
    for name, (_, why) in LACKS.items():
        output, _ = tests[name].communicate(timeout=300)
        assert tests[name].returncode == 1, output
        run_said, argo_said = re.split(" run +FAILED", output)
        assert why in run_said and "cannot start" in run_said, f"{name}: {output}"
        assert why in argo_said, f"{name}: {output}"
        (seed.folder / f"flows/lacking_{name.replace('-', '_')}.py").unlink()


def test_interrupted_test_leaves_nothing_running(seed: Project) -> None:
    """Ctrl-C ends the run, and the pod that it has made."""

    def active() -> list[str]:
        return [
            item["metadata"]["name"] for item in seed.get("jobs") if item["status"].get("active")
        ]

    assert active() == []  # nor do the runs of the test before this, which were given up
    test = in_background(seed, "kind", "test", "hello")
    try:
        while not active():
            assert test.poll() is None, test.stdout and test.stdout.read()
            time.sleep(0.2)
        os.killpg(test.pid, signal.SIGINT)
        output, _ = test.communicate(timeout=60)
    finally:
        test.kill()
    assert test.returncode == 130 and "interrupted" in output, output
    assert active() == []


def test_broken_base_flow_is_red(seed: Project) -> None:
    """BaseFlow gives `end` only its image: the live pod shows it, and nothing is deployed."""
    base = seed.folder / "src/churn_model/base.py"
    text = base.read_text()
    seed.edit(
        "src/churn_model/base.py",
        "        if self.command.creates_on_argo and",
        '        if where.endswith(" end"):\n            settings = {"image": settings["image"]}\n'
        "        if self.command.creates_on_argo and",
    )
    output = seed.k8s("kind", "test", "hello", code=1)
    base.write_text(text)
    assert lines(output) == {"hello run": "FAILED", "hello argo": "FAILED"}
    assert "HelloFlow (run " in output and "HelloFlow (compiled): does not match k8s.toml" in output
    assert "expected metaflow" in output


def test_changed_configuration(seed: Project) -> None:
    """An edit of k8s.toml is on the cluster after the next `kind up`, with no other edit."""
    old = {pod["metadata"]["name"] for pod in seed.pods("HelloFlow")}
    seed.edit("k8s.toml", "gpu = 1", "gpu = 2")
    seed.edit("k8s.toml", "shared_memory = 8196", "shared_memory = 64")
    with open(seed.folder / "k8s.toml", "a") as config:  # as people do: at the end of the file
        config.write('persistent_volume_claims.extra = "/extra"\n')
    seed.k8s("kind", "up")
    output = seed.k8s("kind", "test", "hello", "--", "--who=kind")
    assert set(lines(output).values()) == {"2 pods match k8s.toml"}
    pods = [pod for pod in seed.pods("HelloFlow") if pod["metadata"]["name"] not in old]
    changed = {
        "gpu": {"nvidia.com/gpu": "2"},
        "shared_memory": "64Mi",
        "claims": {"extra": "/extra", "metaflow-training": "/cache"},
    }
    assert [seen(pod) for pod in pods] == [SEED | changed] * 4


def test_logs(seed: Project, tmp_path: Path) -> None:
    seed.k8s("kind", "logs", str(tmp_path))
    kept = [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")]
    assert "flows/hello-run.log" in kept and "workflows.yaml" in kept
    assert any("helloflow" in name and name.endswith("logs.txt") for name in kept)
