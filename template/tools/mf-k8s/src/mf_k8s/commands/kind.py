"""The commands of `k8s kind`."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import raise_if
from .options import Debug, Flows


def up(debug: Debug = False) -> None:
    """Make the cluster, or bring it in line with k8s.toml.

    It has what the flows ask for; when it is there already, this takes seconds.

    Without internet, these name what it downloads: K8S_KIND_NODE_IMAGE, K8S_S3_IMAGE and, as a file
    or URL, K8S_ARGO_MANIFEST, K8S_JOBSET_MANIFEST, K8S_EVENTS_MANIFEST. K8S_KIND_CLUSTER gives the
    cluster another name than the project's. K8S_KIND_FOLDER is the folder in which .kind is, under
    another name for each clone, instead of in the project, which may be on a network disk or
    read-only; every command needs it.
    """
    from ..doctor.before_deploy import diagnose_cluster
    from ..kind.cluster import find_cluster
    from ..kind.compilation_stamp import compilation_stamp
    from ..kind.up import EXAMINED, bring_up
    from ..programs.run import engine_findings, require_programs
    from ..project.project import find_project
    from ..show.progress import print_error, stage

    project = find_project().at("kind")
    require_programs(["docker", "kind", "kubectl"])
    raise_if(engine_findings())
    cluster = find_cluster(project)
    bring_up(project, cluster)
    stamp, examined = compilation_stamp(project), cluster.folder / EXAMINED
    if examined.exists() and examined.read_text(encoding="utf-8") == stamp:
        return
    with stage("doctor") as examining:
        diagnosis = diagnose_cluster(project, cluster)
        examining.result = str(diagnosis)
    diagnosis.print_problems()
    for finding in diagnosis.examined.errors:
        print_error(f"k8s: the doctor: {finding}")
    if not (diagnosis.problems or diagnosis.examined.errors):
        examined.write_text(stamp, encoding="utf-8")


def test(context: typer.Context, flows: Flows = None, debug: Debug = False) -> None:
    """Run flows on the cluster in both ways, and check their pods.

    Each flow runs by `run --with kubernetes` and, deployed, on Argo Workflows. No @schedule is left
    on the cluster.

    tests/kind.toml has the flows' parameters, and says which flows are left out. What follows -- is
    used instead: uv run k8s kind test hello -- --who=me.
    """
    from ..kind.cluster import find_running_cluster
    from ..kind.find_target import kind_target
    from ..kind.flow_tests import test_flows
    from ..metaflow.read_place import read_place
    from ..project.project import find_project

    project = find_project().at("kind")
    cluster = find_running_cluster(project)
    target = kind_target(project, cluster, read_place(project, "kind"))
    passed = test_flows(project, cluster, target, flows or (), context.obj or ())
    raise typer.Exit(0 if passed else 1)


def env() -> None:
    """Print shell exports that point this shell at the cluster.

    eval "$(uv run k8s kind env)"
    """
    import shlex

    from ..kind.cluster import find_running_cluster
    from ..kind.find_target import cluster_variables, say_what_passes_the_proxy
    from ..metaflow.read_place import read_place
    from ..programs.run import process_variables
    from ..project.environment_layer import read_layer
    from ..project.environments import CONFIGURING
    from ..project.project import find_project

    project = find_project()
    cluster = find_running_cluster(project)
    variables = cluster_variables(read_place(project, "kind"), cluster)
    if read_layer(project.at("kind")):
        variables |= project.at("kind").variables
    say_what_passes_the_proxy(variables)
    for name in process_variables().keys() - variables.keys():
        if name.startswith(CONFIGURING):
            print(f"unset {name}")
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


def logs(
    folder: Annotated[Path, typer.Argument(help="Where to write them; made if it is missing.")],
) -> None:
    """Collect logs, events and workflows in FOLDER.

    They show why a flow failed.
    """
    import shutil

    from ..kind.cluster import find_running_cluster
    from ..project.project import find_project

    cluster = find_running_cluster(find_project())
    folder.mkdir(parents=True, exist_ok=True)
    everything = ("--all-namespaces",)
    cluster.kubectl("cluster-info", "dump", *everything, "--output-directory", str(folder))
    workflows = cluster.kubectl("get", "workflows,workflowtemplates", *everything, "--output=yaml")
    (folder / "workflows.yaml").write_text(workflows, encoding="utf-8")
    if (cluster.folder / "logs").exists():
        shutil.copytree(cluster.folder / "logs", folder / "flows", dirs_exist_ok=True)


def down() -> None:
    """Delete the cluster and all that it keeps: claims, S3, runs."""
    import shutil

    from ..kind.cluster import find_cluster
    from ..kind.make_nodes import delete_cluster
    from ..programs.run import require_programs, succeeds
    from ..project.project import find_project

    cluster = find_cluster(find_project())
    require_programs(["docker", "kind"])
    was_made = cluster.config_file.exists()
    if was_made:
        if cluster.is_made:  # what pods wrote in claims may belong to root
            succeeds("docker", "start", cluster.control_plane)
            in_node = ("docker", "exec", cluster.control_plane)
            succeeds(*in_node, "find", "/claims", "-mindepth", "1", "-delete")
        delete_cluster(cluster)
    shutil.rmtree(cluster.folder, ignore_errors=True)
    print(f"kind cluster {cluster.name} is gone" if was_made else "this project had no cluster")
