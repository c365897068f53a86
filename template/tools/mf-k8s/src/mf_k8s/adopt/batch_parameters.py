"""What becomes of the parameters of @batch, and of @resources beside it.

They are those of BatchDecorator in metaflow/plugins/aws/batch/batch_decorator.py; what they mean to
AWS Batch is in batch_client.py beside it. A number of `memory` stays as it is: Metaflow calls it MB
on both, and AWS Batch takes it for MiB.
"""

import math
from collections.abc import Mapping
from typing import Any

MIB_OF_GIB, BYTES_OF_MIB, BYTES_OF_MB = 1024, 1024**2, 1000**2
SAME = {"cpu", "gpu", "memory", "image", "shared_memory"}  # the name and meaning of @kubernetes
SAME |= {"use_tmpfs", "tmpfs_size", "tmpfs_path", "tmpfs_tempdir"}
CONVERTED = {"privileged", "ephemeral_storage", "inferentia", "trainium"}
# What has no counterpart, and what to do instead.
DROPPED = {
    "queue": "choose nodes by node_selector and tolerations, or a pool of k8s.toml",
    "iam_role": "give the role to the service account that service_account names",
    "execution_role": "a private registry needs image_pull_secrets",
    "max_swap": "pods do not set swap",
    "swappiness": "pods do not set swap",
    "efa": "EKS with AWS's EFA plugin has vpc.amazonaws.com/efa for extended_resources",
    "host_volumes": "Metaflow mounts persistent_volume_claims only",
    "efs_volumes": "make a claim of the file system, for persistent_volume_claims",
    "aws_batch_tags": "tags are of AWS; those of pods are labels",
    "log_driver": "the cluster collects the logs of pods",
    "log_options": "the cluster collects the logs of pods",
    "executable": "Argo Workflows runs `python`: put the right one first on the image's PATH",
}
# With @resources, AWS Batch gives the larger of both (compute_resource_attributes in
# metaflow/plugins/aws/aws_utils.py), and @resources has these defaults.
OF_RESOURCES: dict[str, Any] = {"cpu": 1, "memory": 4096}
SIZES = ("cpu", "memory", "gpu", "shared_memory")


def converted(name: str, value: Any) -> dict[str, Any]:
    """Return the parameters of @kubernetes that mean the same; none for a default."""
    if not value:
        return {}
    if name == "privileged":
        return {"security_context": {"privileged": True}}
    if name == "ephemeral_storage":  # GiB, of which the pod needs as many MB
        megabytes = int(value) * MIB_OF_GIB * BYTES_OF_MIB / BYTES_OF_MB
        return {"disk": math.ceil(megabytes)}
    return {"extended_resources": {"aws.amazon.com/neuron": str(value)}}  # whole chips


def larger(batch: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, Any]:
    """Return what @resources adds to @batch, or changes, where the steps have both."""
    added: dict[str, Any] = {}
    for key in SIZES:
        own = batch.get(key)
        other = resources.get(key, OF_RESOURCES.get(key) if own is not None else None)
        if other is not None and (own is None or float(other) > float(own)):
            added[key] = other
    if resources.get("disk") is not None:
        added["disk"] = resources["disk"]
    return added
