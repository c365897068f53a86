"""The place that --env NAME stands for, the development cluster too; and `kind env`."""

import os
from collections.abc import Mapping

from ..cluster.target import Target, context_findings
from ..errors import CommandError, Finding, raise_if
from ..metaflow.compile_flows import EVENTS, USE_SCHEDULES
from ..metaflow.configuration import Configuration, lay_over, overridden, own_configuration
from ..metaflow.read_place import read_place
from ..programs.run import run_program
from ..project.environments import CONFIGURING, NO_ENVIRONMENT, Environment
from ..project.kind_toml import variables_of_tests
from ..project.project import Project
from ..show.progress import print_error
from .cluster import Cluster, find_running_cluster
from .installs import kind_yaml
from .make_nodes import S3_PORT

LOCAL = ("127.0.0.1", "localhost")  # where a kind cluster is


def cluster_variables(environment: Environment, cluster: Cluster) -> dict[str, str]:
    """Return the variables that point at the cluster; the environment is that of kind.

    Metaflow's configuration and tokens are then the cluster's own, in .kind. Raise CommandError if
    the cluster is not running.
    """
    try:
        address, *_ = run_program("docker", "port", cluster.control_plane, str(S3_PORT)).split()
    except CommandError as error:
        what = f"the cluster is not running ({error})"
        remedy = "`uv run k8s kind up` starts or makes it"
        raise CommandError(Finding("kind-not-running", what, remedy=remedy)) from error
    return {
        **{f"METAFLOW_ARGO_EVENTS_{name}": "default" for name in EVENTS},
        **USE_SCHEDULES,
        **dict(environment.variables),
        **kind_yaml()[-1]["stringData"],
        "AWS_ENDPOINT_URL_S3": f"http://{address}",
        "KUBECONFIG": str(cluster.kubeconfig),
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(cluster.folder),
        "METAFLOW_HOME": str(cluster.folder),
        "METAFLOW_PROFILE": "",
        **past_the_proxy(),
    }


def past_the_proxy() -> dict[str, str]:
    """Return variables by which no proxy is asked for the cluster, which is on this machine.

    kubectl goes past it by itself; the Kubernetes client and boto3 read both spellings.
    """
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    names = [name for name in os.environ if name.lower() in (*proxies, "no_proxy")]
    present = ",".join(os.environ[name] for name in names if name.lower() == "no_proxy")
    hosts = list(dict.fromkeys(filter(None, (host.strip() for host in present.split(",")))))
    if "*" in hosts or not any(os.environ[name] for name in names if name.lower() in proxies):
        return {}
    value = ",".join([*hosts, *(host for host in LOCAL if host not in hosts)])
    return dict.fromkeys(("NO_PROXY", "no_proxy"), value)


def say_what_passes_the_proxy(variables: Mapping[str, str]) -> None:
    """Print that NO_PROXY gets more than the user has set, where it does."""
    no_proxy = variables.get("NO_PROXY")
    if no_proxy and no_proxy not in (os.environ.get("NO_PROXY"), os.environ.get("no_proxy")):
        print_error(f"k8s: a proxy is set, which cannot reach the cluster, so NO_PROXY={no_proxy}")


def kind_target(project: Project, cluster: Cluster, environment: Environment) -> Target:
    """Return the cluster as a target; raise CommandError if it is not running."""
    variables = cluster_variables(environment, cluster)
    say_what_passes_the_proxy(variables)
    own = {
        name: text
        for name, text in own_configuration(project.at(environment.name)).variables.items()
        if not name.startswith(CONFIGURING)
    }
    configuration = Configuration(own | variables_of_tests(project) | variables)
    return Target(environment, configuration)


def find_target(project: Project, name: str) -> Target:
    """Return the place of --env NAME, and print what of the user's own configuration it overrides.

    Without a name it is that of the user's own. Raise CommandError if the environment is not valid,
    or if kubectl's current context is not the environment's.
    """
    own = own_configuration(project.at(name))
    if not name:
        return Target(NO_ENVIRONMENT, own)
    environment = read_place(project, name)
    if name == "kind":
        return kind_target(project, find_running_cluster(project), environment)
    target = Target(environment, lay_over(own, environment))
    raise_if(context_findings(target))
    if keys := overridden(own, environment):
        print_error(f"k8s: {environment.file} overrides your own {', '.join(keys)}")
    return target
