"""Which Python the project's pods have, and the files that say so."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .k8s_toml import read_toml

Version = tuple[int, int]  # like (3, 13)
NUMBER = re.compile(r"3\.(\d+)")
# As in python:3.13-slim, python3.13 and uv:0.9-python3.13-trixie
OF_IMAGE = re.compile(r"python[^/:]*?[:-]?v?3\.(\d+)")
FROM = re.compile(r"(?im)^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?")
ARGUMENT = re.compile(r"(?im)^[ \t]*ARG[ \t]+(\w+)=[\"']?([^\s\"']+)")


def pods_python(root: Path) -> Version | None:
    """Return the Python of a project's image: the Dockerfile's, if it says it, or the project's."""
    return of_dockerfile(root) or of_file(root)


def differs_here(root: Path) -> str:
    """Return that this is another Python than the pods', and what to do; nothing if it is not."""
    pods = pods_python(root)
    if not pods or pods == sys.version_info[:2]:
        return ""
    version = shown(pods)
    return (
        f"pods have Python {version}, and this is {shown(sys.version_info)}, which may get other"
        f" packages from uv.lock: `uv sync --python {version}`, without UV_PYTHON, gives you theirs"
    )


def shown(version: Sequence[object]) -> str:
    """Return `3.13` of a version of any length."""
    return ".".join(map(str, version[:2]))


def of_file(root: Path) -> Version | None:
    """Return what .python-version says, which uv and CI follow, or None."""
    file = root / ".python-version"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    lines = (line.strip() for line in text.splitlines())
    return version(next((line for line in lines if line and not line.startswith("#")), ""))


def of_dockerfile(root: Path) -> Version | None:
    """Return the Python that the name of the last stage's base image has, or None."""
    file = root / "Dockerfile"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    stages: dict[str, str] = {}
    name = ""
    for image, stage in FROM.findall(text):
        name = stages.get(image.lower(), image)
        if stage:
            stages[stage.lower()] = name
    for key, value in ARGUMENT.findall(text):
        name = re.sub(rf"\$({key}\b|{{{key}(:-[^}}]*)?}})", value.replace("\\", ""), name)
    found = OF_IMAGE.search(name)
    return (3, int(found[1])) if found else None


def of_linters(root: Path) -> dict[str, Version]:
    """Return the targets of ruff and mypy in pyproject.toml, by their names there."""
    tool = read_toml(root / "pyproject.toml").get("tool", {})
    targets = {}
    for program, key in (("ruff", "target-version"), ("mypy", "python_version")):
        text = str(tool.get(program, {}).get(key, "")).replace("py3", "3.")
        if found := version(text):
            targets[f"{key} of [tool.{program}]"] = found
    return targets


def version(text: str) -> Version | None:
    found = NUMBER.search(text)
    return (3, int(found[1])) if found else None
