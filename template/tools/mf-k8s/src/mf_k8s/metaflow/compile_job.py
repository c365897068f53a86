"""What compile_flows asks of compile_worker, which loads this file without the package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CompileJob:
    """Files to compile."""

    package: str  # of the project
    folder: str  # for temporary files; it has an empty .metaflow
    options: Mapping[str, Sequence[str]]  # of Metaflow, by the flow's file
    with_batch: bool  # flows with @batch compile too
    replaced: Mapping[str, str]  # the files of code in whose place others are read
