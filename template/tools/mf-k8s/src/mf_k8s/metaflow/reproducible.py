"""Lets Metaflow's create give the same bytes at any time and on every machine.

What Metaflow makes of the time, of chance or of the machine is left out or fixed. Nothing in a pod
reads what is left out (metaflow/metaflow_environment.py, metaflow/metadata_provider/metadata.py).
"""

import io
import json
import os
import random
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMESTAMP = "metaflow/deployment_timestamp"
# Of get_environment_info, besides what git knows. Metaflow wants the keys to be there.
MACHINE = dict.fromkeys(("platform", "python_version", "python_version_code", "app"), "")
FILE_TIME = 1575360000  # what Metaflow gives to the files of a code package
PROGRAM = (b"#!", b"\x7fELF")  # how a file that can be executed begins
LARGEST_BLOCK = 0xFFFF  # of uncompressed bytes, in RFC 1951


def fix_what_varies(seed: str) -> None:
    """Patch Metaflow; `seed` stands for chance, so that it is not the same for every flow."""
    from metaflow import metaflow_environment
    from metaflow.packaging_sys.tar_backend import TarPackagingBackend
    from metaflow.plugins.argo import argo_workflows

    workflows: Any = argo_workflows.ArgoWorkflows
    annotations = workflows._base_kubernetes_annotations

    def without_time(self: Any) -> dict[str, Any]:
        return {key: text for key, text in annotations(self).items() if key != TIMESTAMP}

    workflows._base_kubernetes_annotations = without_time
    argo_workflows.random = random.Random(seed)  # names a file in start's pod

    metaflow_environment.metaflow_git.get_repository_info = lambda path: {}
    environment: Any = metaflow_environment.MetaflowEnvironment
    all_information = environment.get_environment_info

    def without_machine(self: Any, include_ext_info: bool = False) -> dict[str, Any]:
        information: dict[str, Any] = all_information(self, include_ext_info)
        return information | MACHINE

    environment.get_environment_info = without_machine
    for name in ("create", "add_file", "add_data", "close", "get_blob"):
        setattr(TarPackagingBackend, name, getattr(CodePackage, name))


class CodePackage:
    """What replaces the methods of Metaflow's TarPackagingBackend.

    Its files are in the order of their names, without owners, and are not compressed: what zlib
    makes of them depends on its version. What a checkout on Windows or WSL changes does not count:
    the line ends of code, and the rights, by which every file can be executed there.
    """

    members: dict[str, tuple[bytes, bool]]  # content by name, and whether it can be executed

    def create(self) -> "CodePackage":
        self.members = {}
        return self

    def add_file(self, filename: str, arcname: str | None = None) -> None:
        content = Path(filename).read_bytes()
        if filename.endswith((".py", ".json")):  # where a line end has no meaning
            content = content.replace(b"\r\n", b"\n")
        self.members[arcname or filename] = content, content.startswith(PROGRAM)

    def add_data(self, data: io.BytesIO, arcname: str) -> None:
        self.members[arcname] = stable_content(arcname, data.getvalue()), False

    def close(self) -> None:
        pass

    def get_blob(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, (content, is_executable) in sorted(self.members.items()):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(content), FILE_TIME
                info.mode = 0o755 if is_executable else 0o644
                archive.addfile(info, io.BytesIO(content))
        return stored_gzip(buffer.getvalue())


def stable_content(name: str, content: bytes) -> bytes:
    """Return what Metaflow generates for a code package, without what depends on the machine.

    These are the order of the files of modules, and the records of how they were installed.
    """
    from metaflow.packaging_sys import MFCONTENT_MARKER, MetaflowCodeContentV1Base

    if name == MFCONTENT_MARKER:
        information = json.loads(content)
        information["module_files"].sort()
        return json.dumps(information).encode()
    if os.path.basename(name) == MetaflowCodeContentV1Base._dist_info_file:
        return json.dumps(dict(map(without_installation, json.loads(content).items()))).encode()
    return content


def without_installation(item: tuple[str, Mapping[str, str]]) -> tuple[str, dict[str, str]]:
    """Return a distribution's name and its METADATA and RECORD, as Metaflow packs them.

    Of RECORD only the lines of code are left: the others are those of the installation.
    """
    name, files = item
    record = [
        line
        for line in files["RECORD"].splitlines()
        if ".dist-info/" not in line and ".py," in line and not line.startswith("__editable__")
    ]
    return name, {**files, "RECORD": "".join(f"{line}\n" for line in sorted(record))}


def stored_gzip(content: bytes) -> bytes:
    """Return content as gzip (RFC 1952) of uncompressed blocks (RFC 1951, 3.2.4)."""
    starts = range(0, len(content) or 1, LARGEST_BLOCK)
    parts = [b"\x1f\x8b\x08\x00" + bytes(5) + b"\xff"]  # no name, no time, unknown system
    for start in starts:
        block = content[start : start + LARGEST_BLOCK]
        is_last = start == starts[-1]
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*parts, struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)])
