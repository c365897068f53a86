"""Which environment variables the source reads: docs/variables.md has a row for each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mf_k8s.deploy.datastore import ROOTS
from mf_k8s.kind.installs import INSTALLS

from .texts import HOLE, Module, Source

TEMPLATE = Path(__file__).parents[2] / "template"
TOOL = TEMPLATE / "tools/mf-k8s/src/mf_k8s"
# Names of mappings that hold variables, and functions that are asked for one by its name.
MAPPINGS = {"environ", "variables", "process_variables"}
OF_BUILDS = {"own", "given"}  # in build_secrets.py
ASKED = {"file_of", "getenv"}
OF_MANIFESTS = ("pods/", "doctor/installing.py")  # variables of pods and controllers
# Where a read has no name in the source: all of a kind, or the one that a file names.
ANY_NAME = {
    "image/build_secrets.py",  # of an index, a proxy
    "kind/find_target.py",  # proxies, in both spellings
    "metaflow/configuration.py",  # what an environment overrides
    "metaflow/read_defaults.py",  # METAFLOW_KUBERNETES_…
    "programs/run.py",  # all, for another process
    "project/kind_toml.py",  # { from = "NAME" }
    "project/project.py",  # by file_of, whose calls have names
}
OF_PLATFORM = re.compile(r"(CI|GITHUB|RUNNER|GH)_\w+")  # what CI sets by itself, in its own files


def read_by_code() -> Iterator[str]:
    """Yield the variables that the tool, base.py, settings.py and a project's tests read.

    Raise SystemExit for a read whose name is not found.
    """
    folders = ("tools", "src", "tests")
    source = Source(file for name in folders for file in (TEMPLATE / name).rglob("*.py"))
    for module in source.modules:
        place = "/".join(module.file.parts[-2:])
        if place.startswith(OF_MANIFESTS):
            continue
        for name, prefix in names_read(module):
            for text in source.texts(module, name):
                if HOLE not in text:
                    yield prefix + text.upper()
                elif place not in ANY_NAME:
                    yield from named_by_the_code(place, prefix + text, name.lineno)


def named_by_the_code(place: str, text: str, line: int) -> Iterator[str]:
    """Yield the variables of a name with a part that only a run knows."""
    parts = {
        "K8S_…_MANIFEST": INSTALLS,
        "GITHUB_…": ("SERVER_URL", "REPOSITORY"),
        "METAFLOW_DATASTORE_SYSROOT_…": map(str.upper, ROOTS),
        "METAFLOW_…": (),  # any setting of Metaflow's
    }
    if text not in parts:
        raise SystemExit(
            f"{place}:{line} reads a variable: say in docs/from_code/variables.py which"
        )
    yield from (text.replace(HOLE, part) for part in parts[text])


def names_read(module: Module) -> Iterator[tuple[ast.expr, str]]:
    """Yield the names that are looked up in mappings of variables, and what goes before them."""
    mappings = OF_BUILDS if module.file.name == "build_secrets.py" else MAPPINGS
    for node in module.nodes:
        if isinstance(node, ast.Call):
            function = last_name(node.func)
            of = last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if node.args and (function in ASKED or (function == "get" and of in mappings)):
                yield node.args[0], ""
            if node.args and function == "setting":  # of Metaflow's configuration
                yield node.args[0], "METAFLOW_"
            yield from ((each.value, "") for each in node.keywords if each.arg == "envvar")
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if last_name(node.value) in mappings:
                yield node.slice, ""
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            if last_name(node.comparators[0]) in mappings:
                yield node.left, ""


def last_name(node: ast.expr) -> str:
    """Return the last name of an expression, as `environ` of os.environ, or of what it calls."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    return str(getattr(node, "attr", getattr(node, "id", "")))


def read_by_ci() -> Iterator[str]:
    """Yield the variables that the jobs of a project's CI read, and neither they nor CI set."""
    for file in TEMPLATE.rglob("*.jinja"):
        if ".github" in str(file) or ".gitlab-ci.yml" in str(file):
            text = file.read_text(encoding="utf-8")
            read = {*re.findall(r"\$\{?([A-Z][A-Z0-9_]{2,})\b", text)}
            set_here = {*re.findall(r"^ *([A-Z][A-Z0-9_]{2,})[:=]", text, re.M)}
            yield from (name for name in read - set_here if not OF_PLATFORM.fullmatch(name))
