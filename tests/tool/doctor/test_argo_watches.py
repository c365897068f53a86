"""The rules argo-installed, argo-watches and jobset."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_manifests import VIEW, argo, healthy, in_namespace, manifest
from examinations import answers, flow_pod, shown
from examinations import examination as examination_of
from kinds_of_objects import Manifest
from mf_k8s.doctor.answers import FlowPod
from mf_k8s.doctor.examination import Examination
from mf_k8s.doctor.rules.argo_watches import READS
from mf_k8s.kind.installs import ARGO_RELEASES, INSTALLS
from mf_k8s.pods.argo_controller import read_controller
from mf_k8s.project.project import Project
from simulated_cluster import Cluster, Simulate

Examine = Callable[..., Examination]
CRON = ("create", {"plural": "cronworkflows", "body": {"metadata": {"name": "one"}}})
ARGO_RIGHTS = {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["list"]}
INSTALL = (
    "kubectl create namespace argo --dry-run=client -o yaml | kubectl apply -f -"
    " && kubectl apply --server-side --force-conflicts -n argo -f"
    f" https://github.com/{INSTALLS['ARGO'][0]}".replace("ARGO_RELEASE", ARGO_RELEASES["4"])
)


@pytest.fixture
def examination(tmp_path: Path) -> Examine:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'churn-model'\n")
    project = Project(tmp_path, "churn_model")

    def examination(cluster: Cluster, *pods: FlowPod, **more: Any) -> Examination:
        return examination_of(cluster, *pods, project=project, **more)

    return examination


def without(*kinds: str) -> list[Manifest]:
    return [item for item in healthy() if item["kind"] not in kinds]


def patch_of(remedy: str) -> Any:
    """Return the patch in the first command of a remedy."""
    words = shlex.split(remedy.partition(" && ")[0])
    return json.loads(words[words.index("-p") + 1])


def test_argo_is_installed(simulate: Simulate, examination: Examine) -> None:
    case = examination(simulate(*healthy()), requests=[CRON])
    assert shown(case, "argo-installed") == ["ok: Argo Workflows is installed"]
    none = examination(simulate(*without("CustomResourceDefinition"), installed=[]))
    (line,) = shown(none, "argo-installed")
    assert line.startswith(
        "problem: the cluster has no workflowtemplates, workflows, workflowtaskresults of Argo"
    )
    assert line.endswith(INSTALL)


def test_a_controller_watches(simulate: Simulate, examination: Examine) -> None:
    case = examination(simulate(*healthy()))
    assert shown(case, "argo-watches") == ["ok: v4.0.5 in namespace argo"]
    own = argo("v3.7.12", "team-a", "--namespaced")
    several = examination(simulate(*healthy("team-a"), *own, namespace="team-a"))
    assert shown(several, "argo-watches") == ["ok: v4.0.5 in namespace argo"]
    items = without("Deployment", "ConfigMap")
    first = argo("v4.0.5", "argo", instanceID="blue")
    plain = examination(simulate(*items, *first, *argo("v3.7.12", "argo-b")))
    assert shown(plain, "argo-watches") == ["ok: v3.7.12 in namespace argo-b"]
    none = examination(simulate(*without("Deployment")))
    assert shown(none, "argo-watches") == [
        f"problem: no workflow controller is on the cluster | {INSTALL}"
    ]


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (["--namespaced"], []),
        (
            ["--loglevel", "debug", "--namespaced", "--managed-namespace", "b"],
            ["--loglevel", "debug"],
        ),
        (["--namespaced=true", "--managed-namespace=b", "--qps", "9"], ["--qps", "9"]),
    ],
)
def test_another_namespace_is_watched(
    simulate: Simulate, examination: Examine, args: list[str], left: list[str]
) -> None:
    """Its account may work everywhere, if its manifest was not namespace-install.yaml."""
    namespace = "b" if "b" in str(args[1:]) else "argo"
    items = [*healthy("team-a"), *argo("v4.0.5", "argo", *args)]
    role = {"kind": "ClusterRole", "name": "argo-cluster-role"}
    subjects = [{"kind": "ServiceAccount", "name": "argo", "namespace": "argo"}]
    items += [
        manifest("ClusterRole", "argo-cluster-role", rules=[ARGO_RIGHTS]),
        manifest("ClusterRoleBinding", "argo", roleRef=role, subjects=subjects),
    ]
    (answer,) = answers(examination(simulate(*items, namespace="team-a")), "argo-watches")
    assert answer.what == (
        f"the workflow controller in namespace argo watches namespace {namespace}, not team-a"
    )
    assert answer.remedy.startswith(
        "kubectl -n argo patch deployment workflow-controller --type=strategic -p "
    )
    container = {"name": "workflow-controller", "command": ["workflow-controller"], "args": left}
    assert patch_of(answer.remedy) == {"spec": {"template": {"spec": {"containers": [container]}}}}
    cluster = simulate(*items[:-1], namespace="team-a")
    (answer,) = answers(examination(cluster), "argo-watches")
    assert answer.remedy == (
        "kubectl -n team-a apply --server-side -f https://github.com/argoproj/argo-workflows"
        f"/releases/download/{ARGO_RELEASES['4']}/namespace-install.yaml"
    )


def test_watched_by_variable_and_by_config_map(simulate: Simulate, examination: Examine) -> None:
    items = [*healthy("team-a"), *argo(config="namespace: b\nparallelism: 3\n")]
    (answer,) = answers(examination(simulate(*items, namespace="team-a")), "argo-watches")
    assert "watches namespace b, not team-a" in answer.what
    assert patch_of(answer.remedy) == {"data": {"config": "parallelism: 3\n"}}
    (deployment,) = [item for item in argo() if item["kind"] == "Deployment"]
    env = [{"name": "ARGO_NAMESPACED", "value": "true"}]
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = env
    assert read_controller(deployment, None).only_namespace == "argo"


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"instanceID": "blue", "parallelism": "3"}, {"instanceID": None}),
        (
            {"config": "parallelism: 3\ninstanceID: blue\nlinks: []\n"},
            {"config": "parallelism: 3\nlinks: []\n"},
        ),
    ],
)
def test_instance_id(
    simulate: Simulate, examination: Examine, settings: dict[str, str], left: Any
) -> None:
    cluster = simulate(*without("Deployment", "ConfigMap"), *argo("v4.0.5", "argo", **settings))
    (answer,) = answers(examination(cluster), "argo-watches")
    assert answer.what == (
        "the workflow controller in namespace argo takes up only workflows with the instance ID"
        " blue, and those of Metaflow have none"
    )
    assert patch_of(answer.remedy) == {"data": left}
    assert answer.remedy.endswith(
        " && kubectl -n argo rollout restart deployment workflow-controller"
    )


def test_controller_does_not_run(simulate: Simulate, examination: Examine) -> None:
    items = healthy()
    (deployment,) = [item for item in items if item["kind"] == "Deployment"]
    deployment["status"] = {"unavailableReplicas": 1}
    assert shown(examination(simulate(*items)), "argo-watches") == [
        "problem: no pod of the workflow controller in namespace argo is ready"
        " | kubectl -n argo describe pods -l app=workflow-controller"
    ]
    deployment["spec"]["replicas"] = 0
    assert shown(examination(simulate(*items)), "argo-watches") == [
        "problem: the workflow controller in namespace argo is scaled to 0"
        " | kubectl -n argo scale deployment workflow-controller --replicas=1"
    ]
    broken = [*without("ConfigMap"), *argo("v4.0.5", "argo", config="a: [")]
    (line,) = shown(examination(simulate(*broken)), "argo-watches")
    assert "cannot start: of its ConfigMap workflow-controller-configmap, it is not valid" in line


def test_with_the_rights_of_a_viewer(simulate: Simulate, examination: Examine) -> None:
    """A Deployment of another kind in the own namespace does not mean that there is no Argo."""
    web = manifest(
        "Deployment", "web", spec={"template": {"spec": {"containers": [{"name": "a"}]}}}
    )
    viewer = [in_namespace(VIEW, "default")]
    case = examination(simulate(*healthy(), web, rights=viewer))
    (answer,) = answers(case, "argo-watches")
    assert (answer.state, answer.what) == (
        "cannot tell",
        "for want of the right to list deployments.apps in the whole cluster",
    )
    of_argo = examination(simulate(*healthy(), lacking={"list deployments.apps", "get configmaps"}))
    assert answers(of_argo, "argo-watches")[0].state == "cannot tell"
    unread = examination(simulate(*healthy(), lacking={"get configmaps"}))
    assert shown(unread, "argo-watches") == [
        "cannot tell: the workflow controller in namespace argo watches default, but whether only"
        " workflows with an instance ID: for want of the right to get configmaps where Argo runs"
    ]
    assert len(READS) == 4


def jobset_controller(available: int, replicas: int = 1) -> Manifest:
    containers = [{"name": "manager", "image": "registry.k8s.io/jobset/jobset:v0.10"}]
    spec = {"replicas": replicas, "template": {"spec": {"containers": containers}}}
    status = {"availableReplicas": available}
    return manifest("Deployment", "jobset", "jobset-system", spec=spec, status=status)


def test_jobset(simulate: Simulate, examination: Examine) -> None:
    definition = manifest("CustomResourceDefinition", "jobsets.jobset.x-k8s.io")
    labels = {"jobset.sigs.k8s.io/jobset-name": "x"}
    gang = flow_pod("GangFlow/train/worker")
    gang.manifest["metadata"]["labels"] = labels
    pods = flow_pod("GangFlow/start"), flow_pod("GangFlow/train/creator"), gang

    def lines(*items: Manifest) -> list[str]:
        return shown(examination(simulate(*healthy(), *items), *pods), "jobset")

    assert lines(definition, jobset_controller(1)) == [
        "ok: JobSet in namespace jobset-system | GangFlow/train/creator, GangFlow/train/worker"
    ]
    (line,) = lines()
    assert line == (
        "problem: the cluster has no jobsets of jobset.x-k8s.io/v1alpha2, which @parallel needs"
        " | GangFlow/train/creator, GangFlow/train/worker | kubectl create namespace jobset-system"
        " --dry-run=client -o yaml | kubectl apply -f - && kubectl apply --server-side"
        " --force-conflicts -n jobset-system -f"
        f" https://github.com/{INSTALLS['JOBSET'][0]}"
    )
    assert lines(definition)[0].startswith("problem: the cluster knows JobSet, but has no control")
    assert lines(definition, jobset_controller(0))[0].startswith("problem: no pod of JobSet's")
    (line,) = lines(definition, jobset_controller(0, replicas=0))
    assert line.endswith("kubectl -n jobset-system scale deployment jobset --replicas=1")
    assert shown(examination(simulate(*healthy()), pods[0]), "jobset") == []
