"""The datastore of a deployed flow, which its pods must reach."""

from collections.abc import Iterable

from ..compile_flows import CompiledFile
from ..environments import Environment, metaflow_setting
from ..errors import CommandError

ROOTS = {"s3": "s3://bucket/folder", "gs": "gs://bucket/folder", "azure": "container/folder"}


def must_have_datastore(environment: Environment, compiled: Iterable[CompiledFile]) -> None:
    """Raise CommandError unless Metaflow is configured with a datastore that pods can reach."""
    where = environment.file if environment.name else "Metaflow's configuration"
    kind = metaflow_setting("DEFAULT_DATASTORE")
    root = f"METAFLOW_DATASTORE_SYSROOT_{kind.upper()}"
    by_option = any("--datastore" in option for flow in compiled for option in flow.options)
    if kind not in ROOTS and not by_option:
        raise CommandError(
            f"{where} has no datastore that pods can reach: set METAFLOW_DEFAULT_DATASTORE to s3,"
            " gs or azure, and METAFLOW_DATASTORE_SYSROOT_S3, _GS or _AZURE to its folder"
            + ("" if environment.name else "; or deploy with --env NAME")
        )
    if kind in ROOTS and not metaflow_setting(root.removeprefix("METAFLOW_")):
        raise CommandError(f"{where} has no {root}: set it, to a folder like {ROOTS[kind]}")
