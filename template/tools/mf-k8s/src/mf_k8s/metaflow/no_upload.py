"""Lets Metaflow create a flow without a datastore or an index of packages that answers.

Loaded by compile_worker, whose interpreter may be another revision's: it imports Metaflow only.
"""

from collections import deque
from typing import Any

code_packages: list[bytes] = []  # that Metaflow would have uploaded


def without_upload() -> None:
    """Let Metaflow name what it would upload, by its content, and upload nothing."""
    from metaflow import S3
    from metaflow.datastore import FlowDataStore
    from metaflow.plugins import DATASTORES

    save_data = FlowDataStore.save_data

    def keep(self: Any, data: Any, *_: Any, **__: Any) -> Any:
        packages = [*data]
        code_packages.extend(packages)
        return save_data(self, packages)

    def consume(self: Any, files: Any, *_: Any, **__: Any) -> None:
        deque(files, maxlen=0)  # their names are known once they have been asked for

    FlowDataStore.save_data = keep
    for datastore in DATASTORES:
        datastore.is_file = lambda self, paths: [True for _ in paths]
        datastore.save_bytes = consume
    S3.put = lambda self, key, *_, **__: key  # files of IncludeFile


def without_packages() -> None:
    """Let @pypi and @conda compile: packages change what a pod runs, not the pod's fields."""
    from metaflow.plugins.pypi import conda_environment, micromamba

    micromamba.Micromamba.__init__ = lambda *_: None
    conda_environment.CondaEnvironment.init_environment = lambda *_, **__: None
