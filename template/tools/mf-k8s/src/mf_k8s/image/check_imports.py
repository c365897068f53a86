"""Imports in the image, by running it, each module that the flows import."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence

from ..check.flow_imports import imports, reason_missing
from ..errors import Finding
from ..metaflow.compile_flows import CompiledFile
from ..programs.run import run_program
from ..project.image_packages import chosen
from ..project.project import Project, shown_path

# It prints, of each name that cannot be imported, the error. A name like `a.b` may be an attribute.
SCRIPT = """
import contextlib, importlib, json, sys
def problem(name):
    parent, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        of_parent = sys.modules.get(parent)
        if error.name != name or not of_parent:
            return str(error)
        return "" if hasattr(of_parent, last) else str(error)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
names = json.loads(sys.argv[1])
with contextlib.redirect_stdout(sys.stderr):
    found = {name: problem(name) for name in names}
print(json.dumps({name: text for name, text in found.items() if text}))
"""


def imported_modules(project: Project, compiled: Sequence[CompiledFile]) -> dict[str, str]:
    """Return the modules that steps import from the image, each with a file that does so."""
    found: dict[str, str] = {}
    for result in compiled:
        flow = result.flow
        if not flow:
            continue
        present = {*sys.stdlib_module_names, *flow["sent_modules"]}
        others = {step for step, own in flow["packages"].items() if own is not None}
        if others != flow["packages"].keys():
            for importer, name in imports(project, result.file, others):
                if name.partition(".")[0] not in present:
                    found.setdefault(name, shown_path(importer))
    return found


def import_findings(project: Project, image: str, modules: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the modules that an image on this machine cannot import, and why."""
    command = ("docker", "run", "--rm", "--network=none", "--entrypoint=", image)
    printed = run_program(*command, "python", "-c", SCRIPT, json.dumps(sorted(modules)))
    seen: set[str] = set()
    for name, reason in json.loads(printed.splitlines()[-1]).items():
        top = name.partition(".")[0]
        if top not in seen:  # else it is the same fault
            seen.add(top)
            what = f"{image} cannot import {name}, which {modules[name]} does: {reason}"
            # else its parent is there, and only this module is not
            whole = f"No module named '{top}." not in reason
            remedy = advice(project, top) if whole else "is it in the version that uv.lock has?"
            yield Finding("image-lacks-module", what, modules[name], remedy)


def advice(project: Project, module: str) -> str:
    """Return what to do about a module that an image lacks."""
    listed = tuple(chosen(project.root).requirements(project.root) or ())
    if reason := reason_missing(project, module, listed):
        return reason.partition(": ")[2] or reason
    return "pyproject.toml lists its package, so mend the Dockerfile"
