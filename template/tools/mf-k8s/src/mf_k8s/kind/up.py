"""Makes the development cluster, or brings it in line with k8s.toml and the flows."""

import json
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ..errors import CommandError, raise_if
from ..metaflow.compile_flows import compile_flows, not_compiled
from ..pods.expected_pods import expected_pods
from ..pods.project_labels import annotation
from ..pods.read_pods import Pod
from ..programs.run import stop_programs
from ..project.environment_layer import merged_config
from ..project.environments import read_environment
from ..project.kind_toml import print_missing_values, secrets_of_tests
from ..project.project import Project, shown_path
from ..show.progress import print_error, stage
from .cluster import Cluster, read_json
from .compilation_stamp import compilation_stamp
from .images import LoadRequest, load_images
from .installs import apply, apply_missing, argo_release, await_deployments, install, kind_yaml
from .make_nodes import (
    cluster_config,
    configure_nodes,
    create_cluster,
    inotify_advice,
    reuse_or_delete,
)
from .namespace_objects import is_rule_of_accounts, needed_objects, with_values, workflow_objects
from .plan_nodes import advertise, labels_and_taints, node_capacity, real_cores

EXAMINED = (
    "examined"  # in the cluster's folder: the flows of which the doctor said that all is well
)


@dataclass(frozen=True)
class Needs:
    """Every pod of every flow, and what must be installed for them: ARGO, JOBSET, EVENTS."""

    pods: list[Pod]
    installs: list[str]


def bring_up(project: Project, cluster: Cluster) -> None:
    """Make or change the cluster, and print what is done; raise CommandError if it fails."""
    started = time.monotonic()
    argo_release(project)  # a wrong choice is reported before anything is made
    print_missing_values(project)
    cluster.make_folders()
    with ThreadPoolExecutor() as pool:
        request: Future[LoadRequest] = Future()
        loading = pool.submit(load_images, project, cluster, request)
        try:
            needs = bring_up_nodes(project, cluster, request)
            loading.result()
        except BaseException:
            request.cancel()
            stop_programs()
            raise
    with stage("ready") as ready:
        await_deployments(cluster)
        ready.result = ", ".join(["S3", *needs.installs])
    print(f"kind cluster {cluster.name} is up after {time.monotonic() - started:.1f} s")


def bring_up_nodes(project: Project, cluster: Cluster, request: "Future[LoadRequest]") -> Needs:
    """Compile the flows, make the nodes that their pods need, and apply what the pods name."""
    with stage("flows") as compiling:
        needs = find_needs(project, cluster)
        compiling.result = f"{len(needs.pods)} pods"
    capacity, nodes = node_capacity(needs.pods), labels_and_taints(needs.pods)
    config, cores = cluster_config(cluster, len(nodes)), real_cores()
    changed = read_json(cluster.capacity_file) != [cores, capacity]
    if changed:
        advertise(cluster, capacity, cores)
    was_up = reuse_or_delete(cluster, config)
    request.set_result((sorted({pod["image"] for pod in needs.pods if "image" in pod}), len(nodes)))
    if not was_up:
        (cluster.folder / EXAMINED).unlink(missing_ok=True)
        if advice := inotify_advice(len(nodes)):
            print_error(f"k8s: {advice}")
        with stage("cluster") as creating:
            create_cluster(cluster, config)
            creating.result = f"{cluster.name}: new, nodes: {len(nodes)}"
    with stage("nodes") as configuring:
        configuring.result = configure_nodes(cluster, capacity, nodes, restart=was_up and changed)
    cluster.capacity_file.write_text(json.dumps([cores, capacity]), encoding="utf-8")
    with stage("objects") as applying:
        applying.result = apply_objects(project, cluster, needs)
    return needs


def find_needs(project: Project, cluster: Cluster) -> Needs:
    """Return what the flows need; kept until something changes that they may depend on.

    Raise CommandError as check does.
    """
    stamp = compilation_stamp(project)
    kept_file = cluster.folder / "pods.json"
    kept = read_json(kept_file)
    if kept and kept.get("stamp") == stamp:
        return Needs(kept["pods"], kept["installs"])
    needs = compile_needs(project)
    kept_file.write_text(json.dumps({"stamp": stamp, **asdict(needs)}), encoding="utf-8")
    return needs


def compile_needs(project: Project) -> Needs:
    config, installs = merged_config(project), {"ARGO"}
    pods: list[Pod] = []
    results = list(compile_flows(project, project.flow_files()))
    raise_if(not_compiled(shown_path(each.file), each.error) for each in results if each.error)
    for result in results:
        if result.flow and result.template:
            pods += expected_pods(config, result.flow).values()
            if result.has_parallel_step:
                installs.add("JOBSET")
            if annotation(result.template, "triggers"):
                installs.add("EVENTS")
    if not pods:
        raise CommandError(project.no_flow)
    return Needs(pods, sorted(installs))


def apply_objects(project: Project, cluster: Cluster, needs: Needs) -> str:
    """Apply all that the pods and their runs need, and return what was done, to print.

    What somebody may have filled or changed is made where it is missing, and else left alone.
    """
    namespace = read_environment(project, "kind").namespace
    dns, *s3_server = kind_yaml()
    apply(cluster, [dns], "kube-system")
    workflow = merged_config(project).get("workflow", {})
    objects = needed_objects(needs.pods, namespace, "JOBSET" in needs.installs)
    rules = [item for item in objects if is_rule_of_accounts(item)]
    named = [item for item in objects if not is_rule_of_accounts(item)]
    values = secrets_of_tests(project)
    named = with_values([*named, *workflow_objects(workflow, needs.pods)], values)
    made = apply_missing(cluster, named, namespace, values)
    apply(cluster, [*rules, *s3_server], namespace)
    make_claim_folders(cluster, needs.pods)
    for name in needs.installs:
        install(project, cluster, name)
    return f"{made} made, {len(named) - made} already there"


def make_claim_folders(cluster: Cluster, pods: Iterable[Pod]) -> None:
    for claim in {claim for pod in pods for claim in pod.get("persistent_volume_claims", ())}:
        folder = cluster.folder / "claims" / claim
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # whichever user the image has
