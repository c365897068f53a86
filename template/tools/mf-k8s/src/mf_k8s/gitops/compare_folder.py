"""Compares a folder of rendered files with what a rendering writes now."""

import os
from pathlib import Path

from ..errors import CommandError, Finding
from ..project.project import Project, shown_path
from ..show.progress import print_line
from .folder import faults, read_folder
from .manifests import KUSTOMIZATION
from .render_flows import recorded_rendering, render_flows


def check_rendered(project: Project, folder: Path) -> int:
    """Compare a folder with what a rendering writes now; return the exit code, 0 if they are equal.

    Raise CommandError if it is no rendering's folder.
    """
    present = read_folder(folder)
    if KUSTOMIZATION not in present:
        where = shown_path(folder)
        what = f"{where} has no {KUSTOMIZATION}"
        raise CommandError(Finding("folder-not-rendered", what, where, "name a rendered folder"))
    rendering = recorded_rendering(present[KUSTOMIZATION])
    found = faults(present, render_flows(project, rendering, upload=False))
    for name, fault in found.items():
        print_line(f"{shown_path(folder / name)} {fault}")
    if found:
        place = os.path.relpath(folder, project.root)
        print_line(f"render again, in the project's folder: uv run {rendering} -o {place}")
    else:
        print_line(f"{shown_path(folder)} is what `{rendering}` writes")
    return 1 if found else 0
