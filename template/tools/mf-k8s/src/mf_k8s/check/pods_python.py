"""Notes where this Python, or what a flow's code needs, is not the Python of the pods."""

import ast
from collections.abc import Iterator
from pathlib import Path

from ..pods.flow_facts import FlowFacts
from ..project.project import Project, shown_path
from ..project.python_version import (
    Version,
    differs_here,
    of_dockerfile,
    of_file,
    of_linters,
    pods_python,
    shown,
)
from .flow_imports import distributions, imported_by

# Modules of the standard library by the minor version of Python 3 that first has them, or no longer
# has them: the pages "What's New" of https://docs.python.org/3, and PEP 594.
ADDED = {
    "tomllib": 11,
    **dict.fromkeys(("annotationlib", "compression", "concurrent.interpreters"), 14),
    **dict.fromkeys(("pathlib.types", "string.templatelib"), 14),
}
REMOVED = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), 12),
    **dict.fromkeys(("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr"), 13),
    **dict.fromkeys(("lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev"), 13),
    **dict.fromkeys(("pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"), 13),
}


def python_notes(project: Project) -> Iterator[str]:
    """Yield where files of the project, or this Python, differ from the Python of the pods."""
    pods = pods_python(project.root)
    if not pods:
        return
    by = "the Dockerfile" if of_dockerfile(project.root) else ".python-version"
    own = of_file(project.root)
    others = {".python-version": own} if own and own != pods else {}
    others |= {name: found for name, found in of_linters(project.root).items() if found > pods}
    if others:
        places = ", ".join(f"{name} {shown(found)}" for name, found in others.items())
        yield (
            f"pods have Python {shown(pods)}, by {by}, and other files say otherwise: {places}."
            " Correct them, or have one written into all: `uvx copier update --defaults"
            f" -r :current: --data python_version={shown(pods)}`"
        )
    elif note := differs_here(project.root):
        yield note


def code_for_other_pythons(project: Project, file: Path, flow: FlowFacts) -> Iterator[str]:
    """Yield what a flow, or a module of the project that it imports, needs of another Python.

    Left out are steps with packages, and so a Python, of their own.
    """
    pods = pods_python(project.root)
    others = {step for step, own in flow["packages"].items() if own is not None}
    for importer, names in imported_by(project, file, others) if pods else ():
        assert pods
        yield from newer_syntax(importer, pods)
        for name in names:
            if name.partition(".")[0] not in {*flow["sent_modules"], *distributions()}:
                if reason := reason_lacking(name, pods):
                    yield f"{shown_path(importer)} imports {name}, {reason}"


def reason_lacking(module: str, pods: Version) -> str:
    """Return why the pods' Python lacks a module of the standard library; nothing if it has it."""
    first, end = ADDED.get(module), REMOVED.get(module)
    if first and pods < (3, first):
        return f"which Python has from 3.{first} on, and pods have {shown(pods)}"
    if end and pods >= (3, end) and not (module == "distutils" and "setuptools" in distributions()):
        return f"which Python {shown(pods)} of the pods no longer has"
    return ""


def newer_syntax(file: Path, pods: Version) -> Iterator[str]:
    """Yield the first syntax of a file that only a newer Python than the pods' knows."""
    try:
        ast.parse(file.read_bytes(), feature_version=pods)
    except ValueError:  # of what is no Python, which others say
        return
    except SyntaxError as error:
        if "supported in Python" in error.msg:
            # without the line, which is that of a word or two later
            yield f"{shown_path(file)}: {error.msg}, and pods have {shown(pods)}"
