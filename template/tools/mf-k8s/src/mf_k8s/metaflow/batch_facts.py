"""Reads what AWS Batch would give the steps of a flow: from the job that Metaflow would submit.

Loaded by compile_worker for `k8s adopt --from-batch`. It imports Metaflow only, as read_flow_facts.
The values are named and counted as the parameters of @kubernetes.
"""

import inspect
import math
import platform
from types import SimpleNamespace
from typing import Any

GIB_IN_MB = 1024**3 / 1000**2
# Parameters of @batch that another one of @kubernetes says.
KUBERNETES_NAMES = {"privileged": "security_context", "ephemeral_storage": "disk"}
KUBERNETES_NAMES |= dict.fromkeys(("inferentia", "trainium"), "extended_resources")


class Client:
    """Stands for AWS: keeps the job definition that Metaflow registers."""

    def __init__(self, on_fargate: bool) -> None:
        self.kind = "FARGATE" if on_fargate else "EC2"
        self.container: dict[str, Any] = {}

    def describe_job_queues(self, **_: Any) -> Any:
        return {"jobQueues": [{"computeEnvironmentOrder": [{"computeEnvironment": "none"}]}]}

    def describe_compute_environments(self, **_: Any) -> Any:
        return {"computeEnvironments": [{"computeResources": {"type": self.kind}}]}

    def describe_job_definitions(self, **_: Any) -> Any:
        return {"jobDefinitions": []}

    def register_job_definition(self, **definition: Any) -> Any:
        self.container = definition["containerProperties"]
        return {"jobDefinitionArn": "none"}


def watch_steps() -> dict[str, list[Any]]:
    """Return the decorators of each step, in a dictionary that fills while a flow is compiled.

    Metaflow gives @kubernetes to each step without it, and refuses that beside @batch
    (KubernetesDecorator.step_init): from here on it does not see @batch there.
    """
    from metaflow.plugins.kubernetes.kubernetes_decorator import KubernetesDecorator

    initialize = KubernetesDecorator.step_init
    steps: dict[str, list[Any]] = {}

    def step_init(
        decorator: Any, flow: Any, graph: Any, step: str, decos: Any, *others: Any, **named: Any
    ) -> None:
        steps[step] = decos
        without = [each for each in decos if each.name != "batch"]
        initialize(decorator, flow, graph, step, without, *others, **named)

    KubernetesDecorator.step_init = step_init
    return steps


def add_batch(facts: dict[str, Any], steps: dict[str, list[Any]]) -> None:
    """Add to a flow's facts what AWS Batch gives each step, if one of them has @batch.

    A step that has neither decorator gets the default @batch, as from `step-functions create`.
    """
    from metaflow.plugins.aws.batch.batch_decorator import BatchDecorator

    own = {name: [each for each in steps[name] if each.name == "batch"] for name in steps}
    if not any(own.values()):
        return
    facts["batch"] = {}
    for name, decorators in steps.items():
        of_step = facts["steps"][name]
        if of_step["overrides"]:  # its own @kubernetes
            continue
        batch = own[name][0] if own[name] else BatchDecorator()
        batch.external_init()
        batch.step_init(None, None, name, decorators, None, SimpleNamespace(TYPE="s3"), None)
        values = job_values(batch.attributes)
        written = written_in(batch) | {
            key for each in decorators if each.name == "resources" for key in written_in(each)
        }
        if values["image"] != "python:" + ".".join(platform.python_version_tuple()[:2]):
            written.add("image")  # by Metaflow's configuration
        requested = {KUBERNETES_NAMES.get(key, key) for key in written}
        if "gpu" in requested:
            values.setdefault("gpu", 0)
        facts["batch"][name] = values
        if own[name]:
            overrides = {key: value for key, value in values.items() if key in requested}
            of_step.update(overrides=[{"pool": None, "values": overrides}], resources={})


def written_in(decorator: Any) -> set[str]:
    written: set[str] = decorator._user_defined_attributes
    return {key for key in written if decorator.attributes.get(key, ...) is not None}


def job_values(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return what the job with these attributes of @batch has, as Metaflow describes it to AWS."""
    from metaflow.plugins.aws.batch.batch_client import BatchJob

    client = Client(on_fargate=bool(attributes.get("ephemeral_storage")))
    job = BatchJob(client).cpu(attributes["cpu"]).memory(attributes["memory"])
    job.gpu(attributes["gpu"])
    given = {**attributes, "job_queue": "none", "num_parallel": 0, "execution_role": "none"}
    job.job_def(**{name: given.get(name) for name in inspect.signature(job.job_def).parameters})
    overrides = job.payload["containerOverrides"]
    requests = {each["type"]: each["value"] for each in overrides["resourceRequirements"]}
    container = client.container
    linux = container.get("linuxParameters", {})
    chips = [each for each in linux.get("devices", ()) if "neuron" in each["hostPath"]]
    found = {
        "image": container["image"],
        "cpu": float(requests["VCPU"]),
        "memory": int(requests["MEMORY"]),
        "gpu": int(requests["GPU"]) if "GPU" in requests else None,
        "shared_memory": linux.get("sharedMemorySize"),
        "security_context": {"privileged": True} if container.get("privileged") else None,
        "extended_resources": {"aws.amazon.com/neuron": str(len(chips))} if chips else None,
        "use_tmpfs": attributes["use_tmpfs"],
        "tmpfs_tempdir": attributes["tmpfs_tempdir"],
        "tmpfs_path": attributes["tmpfs_path"],
    }
    if "ephemeralStorage" in container:
        found["disk"] = math.ceil(container["ephemeralStorage"]["sizeInGiB"] * GIB_IN_MB)
    for mount in linux.get("tmpfs", ()):
        found |= {"tmpfs_size": mount["size"], "tmpfs_path": mount["containerPath"]}
    return {key: value for key, value in found.items() if value is not None}
