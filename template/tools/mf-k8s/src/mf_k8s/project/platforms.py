"""For which platforms the project's image is built: `platform` of [tool.mf-k8s]."""

import json
import re
from collections.abc import Iterable, Sequence

from ..errors import CommandError
from .project import Project
from .tool_table import read_table, table_finding

DEFAULT = "linux/amd64"  # of most clusters; a laptop may be another
PLATFORM = re.compile(r"linux/[a-z0-9]+(/v\d+)?")  # as Docker writes it


def image_platforms(project: Project) -> Sequence[str]:
    """Return the platforms of the image; raise CommandError if that is none of Docker's words."""
    file = project.root / "pyproject.toml"
    table = read_table(file) if file.is_file() else None
    value = (table or {}).get("platform", DEFAULT)
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(each, str) and PLATFORM.fullmatch(each) for each in found):
        example = '"linux/amd64" or ["linux/amd64", "linux/arm64"]'
        raise CommandError(table_finding(file, "platform", "must be of the nodes", example))
    return [*dict.fromkeys(found)]


def of_nodes(platform: str) -> str:
    """Return a platform in the words of Kubernetes' node labels, which know no variant."""
    return "/".join(platform.split("/")[:2])


def named(platforms: Sequence[str]) -> str:
    return " and ".join(platforms)


def platform_line(platforms: Iterable[str]) -> str:
    """Return the advice by which the image is built for these platforms."""
    found = sorted({*platforms})
    value = json.dumps(found[0] if len(found) == 1 else found)
    return f"write platform = {value} below [tool.mf-k8s] of pyproject.toml"
