"""Says what to do about a flow that Metaflow refuses to compile."""

import json
import os
import re
from pathlib import Path

from ..project.merge_conflicts import conflict_in
from ..project.python_version import differs_here

# Of code for another Python
NOT_HERE = re.compile(r"\b(SyntaxError|ImportError|ModuleNotFoundError)\b")
# Of metaflow/user_configs/config_options.py and metaflow/includefile.py
UNREAD = re.compile(r"default configuration file '([^']+)' could not be read for '([^']+)'")
MISSING = re.compile(r"missing configuration for '([^']+)'")
NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^'.]+)")
INCLUDED = re.compile(r"IncludeFile: could not open file '([^']+)'")


def with_remedy(error: str, file: Path, root: Path) -> str:
    """Return why a flow's file did not compile, with the remedy where one is known.

    Metaflow reads a file that a flow names from where it is started: `k8s` starts flows in the
    project's folder, and many flows are written to be started in their own.
    """
    error = re.sub(r"^Usage: .*? Error: ", "", error)
    options = ["--environment=pypi"] if "--environment=" in error else []
    for name, config in UNREAD.findall(error):
        if (file.parent / name).is_file():
            options += ["--config", config, os.path.relpath(file.parent / name, root)]
    for config in MISSING.findall(error):
        options += ["--config", config, "FILE"]
    if options:
        place = "into the flow's table in tests/kind.toml"
        return f"{error}; write options = {json.dumps(options)} {place}"
    for name in INCLUDED.findall(error):
        if (file.parent / name).is_file():
            default = f'default=os.path.join(os.path.dirname(__file__), "{name}")'
            return f"{error}; the file is beside the flow: write {default}"
    if "SyntaxError" in error and (conflict := conflict_in(text_of(file))):
        return f"{os.path.relpath(file, root)} {conflict}"
    if NOT_HERE.search(error) and (other := differs_here(root)):
        return f"{error}; {other}"
    if (missing := NO_MODULE.search(error)) and not (root / "src" / missing[1]).is_dir():
        return f"{error}; `uv add` the package that has it; a module of the project belongs in src/"
    return error


def text_of(file: Path) -> str:
    return file.read_text("utf-8", errors="replace") if file.exists() else ""
