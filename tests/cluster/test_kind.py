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
from conftest import EXAMPLE, FIGURES, ROOT, own_target, run
from jinja2 import Environment, FileSystemLoader
from kind_clusters import (
    FLOWS,
    NEEDS_KIND,
    Project,
    container,
    exports,
    from_a_branch_to_pruned,
    in_background,
    last_phase,
    lines,
    make_team,
    one_commit_in_two_places,
    seen,
    start_workflow,
)
from mf_k8s.cluster.write_or_undo import write_all
from mf_k8s.errors import CommandError

pytestmark = NEEDS_KIND
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


REPORTED = """
from churn_model import BaseFlow
from metaflow import step


class ReportedFlow(BaseFlow):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        raise ValueError("on purpose")


if __name__ == "__main__":
    ReportedFlow()
"""
ENFORCE = "pod-security.kubernetes.io/enforce"


def restricted_settings() -> dict[str, Any]:
    """Return what `restricted: true` of hooks/organisation.yml gives to each project."""
    extension = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"
    templates = Environment(loader=FileSystemLoader(ROOT), extensions=[extension])
    macro = "{% from 'hooks/organisation.jinja' import restricted %}{{ restricted() }}"
    settings: dict[str, Any] = json.loads(templates.from_string(macro).render())
    return settings


@contextmanager
def watched_pods(cluster: Project, workflow: str) -> Iterator[dict[str, Any]]:
    """Yield a dictionary that, in the end, has each pod of a workflow by name, as it was last.

    Argo deletes the agent as soon as it is done.
    """
    file = cluster.folder / ".kind/watched.json"
    chosen = f"--selector=workflows.argoproj.io/workflow={workflow}"
    watch = ["kubectl", "--kubeconfig", str(cluster.folder / ".kind/kubeconfig"), "get", "pods"]
    found: dict[str, Any] = {}
    with open(file, "w") as output:
        process = subprocess.Popen(
            [*watch, "--namespace", cluster.namespace, chosen, "--watch", "--output=json"],
            stdout=output,
        )
        try:
            yield found
        finally:
            process.terminate()
            process.wait()
    text = file.read_text()
    while text := text.lstrip():
        try:
            pod, end = json.JSONDecoder().raw_decode(text)
        except ValueError:  # the last one, of which a part was written
            break
        found[pod["metadata"]["name"]] = pod
        text = text[end:]
    left = json.loads(cluster.kubectl("get", "pods", chosen, "--output=json"))["items"]
    found |= {pod["metadata"]["name"]: pod for pod in left}


def test_a_namespace_that_enforces_restricted(seed: Project) -> None:
    """It admits and runs each pod: steps, the error hook, Argo's agent; all with the labels.

    The agent, which calls a web hook, needs rights of the service account, and its token.
    """
    layer = seed.folder / "src/churn_model/organisation.json"
    labels = {"labels": {"cost-centre": "ml"}}
    layer.write_text(json.dumps({"k8s": {**restricted_settings(), **labels}}))
    flow, token = seed.folder / "flows/reported.py", seed.folder / ".kind/token.json"
    flow.write_text(REPORTED)
    account = {"kubernetes.io/service-account.name": "metaflow"}
    token.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "metaflow.service-account-token", "annotations": account},
                "type": "kubernetes.io/service-account-token",
            }
        )
    )
    sets = "workflowtasksets.argoproj.io,workflowtasksets.argoproj.io/status"
    seed.kubectl("create", "role", "agent", "--verb=list,watch,patch", f"--resource={sets}")
    of_default = "--serviceaccount=default:metaflow"
    seed.kubectl("create", "rolebinding", "agent", "--role=agent", of_default)
    seed.kubectl("apply", "--filename", str(token))
    seed.kubectl("label", "namespace", "default", f"{ENFORCE}=restricted")
    try:
        hook = ("--notify-on-error", "--notify-slack-webhook-url=http://127.0.0.1:9/hook")
        seed.k8s("deploy", "reported", "--env", "kind", "--", *hook)
        with watched_pods(seed, "restricted") as found:
            start_workflow(seed, "restricted", "reportedflow")
            assert last_phase(seed, "restricted") == "Failed"
    finally:
        seed.kubectl("label", "namespace", "default", f"{ENFORCE}-")
        seed.kubectl("delete", "role,rolebinding", "agent")
        seed.kubectl("delete", "secret", "metaflow.service-account-token")
        layer.unlink()
        flow.unlink()
    steps = {
        name: pod["metadata"]["annotations"].get("metaflow/step_name")
        for name, pod in found.items()
    }
    assert {*steps.values()} == {"start", "end", None} and len(steps) == 4
    assert len([name for name in steps if name.endswith("-agent")]) == 1
    assert {pod["metadata"]["labels"].get("cost-centre") for pod in found.values()} == {"ml"}
    phases = {steps[name]: pod["status"]["phase"] for name, pod in found.items() if steps[name]}
    assert phases == {"start": "Succeeded", "end": "Failed"}
    (reporting,) = [pod for name, pod in found.items() if "error-msg-capture-hook" in name]
    assert reporting["status"]["phase"] == "Succeeded"


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


def test_from_a_branch_to_pruned(seed: Project, copy: Callable[..., Path], tmp_path: Path) -> None:
    """On Argo 4, which knows `schedules` alone, and none that is empty."""
    team = make_team(copy, tmp_path / "promoted", seed, **EXAMPLE)
    one_commit_in_two_places(seed, team)
    from_a_branch_to_pruned(seed, team, SEED["image"])


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


LACKS = {
    "secret": ({"secrets": ["nowhere"]}, "there is no Secret nowhere"),
    "claim": ({"persistent_volume_claims": {"nowhere": "/x"}}, "there is no claim nowhere"),
    "gpu": ({"gpu": 99}, "with too little nvidia.com/gpu"),
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
    assert "HelloFlow (run " in output
    assert "HelloFlow (compiled for kind): does not match k8s.toml" in output
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
