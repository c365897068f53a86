"""Creates a flow without a cluster, with the same result everywhere. A script.

Its argument is the job of record_requests.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from .no_upload import without_upload
from .record_requests import Job, record_requests
from .reproducible import fix_what_varies


def import_metaflow(folder: str) -> None:
    """Import Metaflow, so that it finds no .metaflow/config.json in this or a folder above it.

    It looks from the working directory upwards (init_local_config in metaflow_config_funcs.py).
    `folder` is an empty one, where it keeps temporary files, too.
    """
    here = os.getcwd()
    Path(folder, ".metaflow").mkdir()
    os.chdir(folder)
    import metaflow.plugins  # noqa: F401

    os.chdir(here)


def without_cluster() -> None:
    """Let Metaflow find a cluster that has nothing, and keep the production token nowhere."""
    from kubernetes import client, config
    from metaflow.plugins.argo import argo_workflows_cli

    def not_found(*_: Any, **__: Any) -> None:
        raise client.ApiException(status=404)

    config.load_kube_config = config.load_incluster_config = lambda *_, **__: None
    client.CustomObjectsApi.get_namespaced_custom_object = not_found
    argo_workflows_cli.store_token = lambda *_: None


def answer(_method: Any, _client: Any, **arguments: Any) -> dict[str, Any]:
    """Answer as a cluster that has nothing: there is nothing to delete."""
    from kubernetes.client import ApiException

    if "body" not in arguments:
        raise ApiException(status=404)
    return {}


if __name__ == "__main__":
    job = Job(**json.loads(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        import_metaflow(folder)
        without_cluster()
        if not job.upload:
            without_upload()
        fix_what_varies(Path(job.file).name)
        record_requests(job, answer)
