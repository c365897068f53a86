"""`k8s check --live`: pods and WorkflowTemplates of a cluster, which is a stand-in here."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, own_target
from kubernetes_api import write_kubeconfig
from mf_k8s.check.live import check_live
from mf_k8s.check.print_reports import show_reports
from mf_k8s.cluster.target import Target
from mf_k8s.metaflow.compile_flows import compile_flows
from mf_k8s.pods.configure_template import configure_template
from mf_k8s.project.k8s_toml import read_config
from mf_k8s.project.merge_settings import shared_settings
from mf_k8s.project.project import Project
from own_copy import Run, differences, flow, k8s, one_line, project, replace, settings

__all__ = ["k8s", "project"]  # fixtures


class Cluster(BaseHTTPRequestHandler):
    """The lists of Kubernetes' API that `check --live` reads."""

    templates: list[Any] = []
    pods: list[Any] = []
    events: list[Any] = []
    forbidden = ""

    def do_GET(self) -> None:
        what = self.path.partition("?")[0].rpartition("/")[2]
        assert f"/namespaces/team-a/{what}" in self.path
        status = 403 if self.forbidden == what else 200
        lists = {
            "workflowtemplates": self.templates,
            "pods": self.pods,
            "events": self.events,
        }
        body = json.dumps({"items": lists[what]}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[type[Cluster], dict[str, str]]]:
    """Return a fake cluster, and the environment that leads to it."""
    handler = type("OneCluster", (Cluster,), {"templates": [], "pods": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = write_kubeconfig(tmp_path / "kubeconfig", server.server_port)
    yield handler, {"KUBECONFIG": str(config), "METAFLOW_KUBERNETES_NAMESPACE": "team-a"}
    server.shutdown()


RECORDED = ROOT / "tests/recorded"  # from Argo Workflows 3.7.12 on Kubernetes 1.34
TAKEN = (
    "@k8s(node_selector=None, tolerations=None, image_pull_secrets=None, service_account=None,"
    " gpu=None)"
)


@pytest.fixture
def recorded(project: Path, cluster: Any) -> tuple[list[Any], dict[str, str]]:
    """Return the pods of a cluster on which the project's flows have run, and how to reach it."""
    shutil.copy(RECORDED / "k8s.toml", project)
    shutil.copy(ROOT / "tests/flows/gang.py", project / "flows")
    (project / "flows/one.py").write_text(flow(TAKEN))
    cluster[0].pods = json.loads((RECORDED / "pods.json").read_text())
    for pod in cluster[0].pods:
        pod["status"] = {"phase": "Succeeded"}
    return cluster[0].pods, cluster[1]


def test_live_pods_are_as_the_code_says(k8s: Run, recorded: Any) -> None:
    _, env = recorded
    done = k8s("check", "gang", "one", "--live", "--format=json", **env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    pods = {item["of"]: set(item["pods"]) for item in json.loads(done.stdout)["flows"]}
    assert pods == {
        "run argo-gangflow-89dv4": {"train/control", "train/worker", "train/creator"},
        "run argo-oneflow-wfq5v": {"start"},
    }
    by_hand = k8s("check", "hello", "--live", METAFLOW_KUBERNETES_SECRETS="s3-on-kind", **env)
    assert (by_hand.returncode, by_hand.stderr) == (0, ""), by_hand.stdout
    assert "HelloFlow (run 1795460926675445): every pod matches k8s.toml" in by_hand.stdout


def test_live_pod_that_cannot_start(k8s: Run, recorded: Any, cluster: Any) -> None:
    """Its run does not pass, though what was made of it matches; events may be forbidden."""
    pods, env = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    waiting = {"reason": "ErrImagePull", "message": "ghcr.io/acme/churn:1.2.3: not found"}
    pod["status"] = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    cluster[0].forbidden = "events"
    pending = k8s("check", "one", "--live", **env)
    assert (pending.returncode, pending.stderr) == (1, "")
    assert "OneFlow (run argo-oneflow-wfq5v): a pod cannot start" in pending.stdout
    assert "- pods since 2026-11-23T19:06:23Z: 1 pending\n" in pending.stdout
    reason = "cannot start: there is no image ghcr.io/acme/churn:1.2.3 in its registry"
    assert f"- oneflow-wfq5v-start-3370577347 {reason}: build" in pending.stdout


def test_live_state_and_deployment_of_a_run(
    project: Path, recorded: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """A run of an older deployment may differ: what is deployed now is what counts."""
    pods, _ = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    monkeypatch.chdir(project)
    one = Project(project, "churn_model")
    (compiled,) = compile_flows(one, [project / "flows/one.py"])
    assert compiled.template
    config = read_config(one.config_file)
    template = configure_template(compiled.template, shared_settings(config), {})
    event = {"involvedObject": {"name": pod["metadata"]["name"]}, "message": "no volume data"}
    listed = {"pods": pods, "events": [event]}
    monkeypatch.setattr(Target, "list", lambda _, path, **__: listed[path.rpartition("/")[2]])

    pod["status"] = {"phase": "Pending"}
    (report,) = check_live(one, [compiled], own_target(), templates=[])
    assert (report.matches, report.phases, report.older_deployment) == (False, {"pending": 1}, "")
    assert report.cannot_start == {"oneflow-wfq5v-start-3370577347": "no volume data"}
    pod["status"] = {"phase": "Succeeded"}

    deployed = template["metadata"]["annotations"]
    deployed["metaflow/deployment_timestamp"] = "2026-11-29T13:46:30.858961+00:00"
    container = next(each for each in pod["spec"]["containers"] if each["name"] == "main")
    container["image"] = "ghcr.io/acme/churn:1.2.2"
    container["env"].append({"name": "METAFLOW_CODE_SHA", "value": "a1b2c3d4e5f6"})
    for part in template["spec"]["templates"]:
        for variable in part.get("container", {}).get("env", ()):
            if variable["name"] == "METAFLOW_CODE_SHA":
                variable["value"] = "0f9e8d7c6b5a"
    reports = list(check_live(one, [compiled], own_target(), templates=[template]))
    assert [report.matches for report in reports] == [True, True]
    show_reports(reports, markdown=True)
    output = capsys.readouterr().out
    assert "OneFlow (WorkflowTemplate oneflow): every pod matches k8s.toml" in output
    title = "OneFlow (run argo-oneflow-wfq5v)"
    assert f"{title}: differs from k8s.toml, as an older deployment may" in output
    assert "- pods since 2026-11-23T19:06:23Z: 1 succeeded\n" in output
    assert (
        "- started from an older deployment (code package a1b2c3d, now 0f9e8d7; deployed at"
        " 2026-11-23T19:05:27, now 2026-11-29T13:46:30)" in output
    )
    pod["metadata"]["annotations"]["metaflow/deployment_timestamp"] = "2026-11-29T13:46:30.858961"
    container["env"][-1]["value"] = "0f9e8d7c6b5a"
    (_, same) = check_live(one, [compiled], own_target(), templates=[template])
    assert (same.older_deployment, same.matches) == ("", False)


HERS = {
    "METAFLOW_KUBERNETES_NODE_SELECTOR": "pool=hers",
    "METAFLOW_KUBERNETES_LABELS": "floor=hers",
    "METAFLOW_KUBERNETES_TOLERATIONS": '[{"key": "hers", "operator": "Exists"}]',
    "METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "hers",
    "METAFLOW_KUBERNETES_CPU": "3",  # k8s.toml has its own, so this has no effect
}


def test_live_pods_have_what_metaflows_configuration_gives(k8s: Run, recorded: Any) -> None:
    """The step has taken k8s.toml's values away, so the company's are what is left."""
    pods, env = recorded
    (pod,) = [item for item in pods if item["metadata"]["name"].startswith("oneflow-wfq5v-start")]
    pod["metadata"]["labels"]["floor"] = "hers"
    pod["spec"]["nodeSelector"] = {"pool": "hers"}
    pod["spec"]["tolerations"].append({"key": "hers", "operator": "Exists"})
    pod["spec"]["serviceAccountName"] = "hers"
    done = k8s("check", "one", "--live", "--format=json", **env, **HERS)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(done.stdout)["flows"]
    assert report["notes"] == [
        "labels: from METAFLOW_KUBERNETES_LABELS",
        "node_selector: from METAFLOW_KUBERNETES_NODE_SELECTOR",
        "service_account: from METAFLOW_KUBERNETES_SERVICE_ACCOUNT",
        "tolerations: from METAFLOW_KUBERNETES_TOLERATIONS",
    ]
    without = k8s("check", "one", "--live", "--format=json", **env)
    assert without.returncode == 1
    assert differences(without) == {
        ("start", "node_selector"),
        ("start", "service_account"),
        ("start", "tolerations"),
    }


def test_live_names_a_setting_that_cannot_be_read(k8s: Run, cluster: Any) -> None:
    done = k8s("check", "hello", "--live", **cluster[1], METAFLOW_KUBERNETES_TOLERATIONS="hers")
    assert done.returncode == 2
    assert "METAFLOW_KUBERNETES_TOLERATIONS of Metaflow's configuration" in one_line(done)


def test_live_hook_of_an_older_run(k8s: Run, recorded: Any) -> None:
    done = k8s("check", "one", "--live", "--run=argo-oneflow-n2fdq", "--format=json", **recorded[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(settings(done)) == {"error-msg-capture-hook"}


def test_live_run_by_the_name_that_argo_shows(k8s: Run, recorded: Any) -> None:
    done = k8s("check", "one", "--live", "--run=oneflow-wfq5v", "--format=json", **recorded[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert [report["of"] for report in json.loads(done.stdout)["flows"]] == [
        "run argo-oneflow-wfq5v"
    ]


def test_live_run_that_is_not_there(k8s: Run, recorded: Any, cluster: Any) -> None:
    annotations = {"metaflow/flow_name": "OneFlow"}
    metadata = {"name": "oneflow", "annotations": annotations}
    cluster[0].templates = [{"metadata": metadata, "spec": {"templates": []}}]
    done = k8s("check", "one", "--live", "--run=oneflow-nowhere", **recorded[1])
    assert done.returncode == 2
    assert (
        "no pod of run oneflow-nowhere of OneFlow in namespace team-a is this project's: "
        in one_line(done)
    )


def test_live_drift_is_named(k8s: Run, recorded: Any, project: Path) -> None:
    pods, env = recorded
    replace(project / "k8s.toml", "gpu = 1", "gpu = 2")
    worker = next(pod for pod in pods if pod["metadata"]["name"].startswith("js-x-worker"))
    mounts = worker["spec"]["containers"][0]["volumeMounts"]
    mounts[:] = [item for item in mounts if item["name"] != "metaflow-training"]
    done = k8s("check", "gang", "--live", "--format=json", **env)
    assert done.returncode == 1
    assert differences(done) == {
        ("train/control", "gpu"),
        ("train/worker", "gpu"),
        ("train/worker", "persistent_volume_claims"),
    }
    claims = settings(done)["train/worker"]["persistent_volume_claims"]
    assert claims == {"metaflow-training": "no path"}


def test_live_template_of_a_hand_made_create(k8s: Run, project: Path, cluster: Any) -> None:
    """Its step lost its service account, and its hook a toleration that only `deploy` gives."""
    handler, env = cluster
    shutil.copy(RECORDED / "k8s.toml", project)
    (project / "flows/one.py").write_text(flow())
    pod = json.loads((RECORDED / "pods.json").read_text())[1]
    initial = pod["spec"]["initContainers"][0]["env"]
    (template,) = [json.loads(v["value"]) for v in initial if v["name"] == "ARGO_TEMPLATE"]
    del template["serviceAccountName"]
    end = json.loads(json.dumps(template))
    end["metadata"]["annotations"]["metaflow/step_name"] = "end"
    hook = {"name": "error-msg-capture-hook", "container": {"image": "ghcr.io/acme/churn:1.2.3"}}
    annotations = {"metaflow/flow_name": "OneFlow"}
    metadata = {"name": "oneflow", "annotations": annotations}
    handler.templates = [{"metadata": metadata, "spec": {"templates": [template, end, hook]}}]
    done = k8s("check", "one", "--live", "--format=json", **env)
    assert done.returncode == 1, done.stderr
    hook_lost = {"node_selector", "tolerations", "image_pull_secrets", "secrets", "service_account"}
    hook_lost |= {"labels"}
    steps_lost = {("start", "service_account"), ("end", "service_account")}
    assert differences(done) == steps_lost | {("error-msg-capture-hook", key) for key in hook_lost}


def test_live_looks_at_this_projects_flows_only(
    k8s: Run, project: Path, cluster: Any, recorded: Any
) -> None:
    """Another project has a flow of the same class: marked by its deploy, or by its @project."""
    pods, env = recorded
    of_one = [pod for pod in pods if "oneflow" in pod["metadata"]["name"]]
    for pod in of_one:
        pod["metadata"].setdefault("labels", {})["mf-k8s/project"] = "churn-model"
    assert k8s("check", "one", "--live", **env).returncode == 0
    annotations = {"metaflow/flow_name": "OneFlow", "metaflow/project_name": "vision"}
    metadata = {"name": "vision.prod.oneflow", "annotations": annotations}
    cluster[0].templates = [{"metadata": metadata, "spec": {"templates": []}}]
    for pod in of_one:
        pod["metadata"]["labels"]["mf-k8s/project"] = "vision"
    nothing = k8s("check", "one", "--live", **env)
    assert nothing.returncode == 2
    assert "no WorkflowTemplate and no pod of OneFlow in namespace team-a is this" in one_line(
        nothing
    )


def test_live_says_what_is_missing(k8s: Run, cluster: Any) -> None:
    handler, env = cluster
    nothing = k8s("check", "hello", "--live", **env)
    assert nothing.returncode == 2
    assert (
        "no WorkflowTemplate and no pod of HelloFlow in namespace team-a is this project's: deploy"
        " it, or name another --env or --namespace" in one_line(nothing)
    )
    handler.forbidden = "pods"
    done = k8s("check", "hello", "--live", **env)
    assert done.returncode == 2
    assert one_line(done) == (
        "k8s: your account is not allowed to list pods in namespace team-a: ask for a Role that"
        " allows it"
    )
