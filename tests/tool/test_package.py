"""The shape of the tool: files that can be read alone, no circles, no work at import."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import BIN, FIGURES, ROOT, run
from kubernetes.utils import parse_quantity as kubernetes_quantity
from mf_k8s.pods.quantities import parse_quantity, quantity

SOURCE = ROOT / "template/tools/mf-k8s/src"
MODULES = {
    ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file
    for file in SOURCE.rglob("*.py")
}
# Prints what importing all modules opens, runs or connects to, except the code itself.
AUDIT = """
import importlib, json, sys
seen = []
def hook(event, arguments):
    if event in ("subprocess.Popen", "socket.connect", "os.mkdir"):
        seen.append(f"{event} {arguments[0]}")
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
        seen.append(f"{event} {arguments[0]}")
import importlib.metadata, urllib.request  # the libraries' own work is not looked at
import packaging.version, rich.progress, rich.table, tomlkit, typer.rich_utils, yaml
sys.addaudithook(hook)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(seen))
"""


OF_PODS = "mf_k8s.metaflow.datastore_object"  # whose text is sent to pods


@pytest.mark.parametrize("name", MODULES)
def test_a_file_can_be_read_alone(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= 250


def test_what_it_imports_is_what_it_requires() -> None:
    """The tests' environment has more, which a project lacks. A pod's image has its own client."""
    names = {"pyyaml": "yaml"}
    project = tomllib.loads((SOURCE.parent / "pyproject.toml").read_text())["project"]
    required = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    found = set()
    for file in (file for name, file in MODULES.items() if name != OF_PODS):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    of_others = {"boto3", "botocore", "certifi", "urllib3"}  # what Metaflow and kubernetes require
    expected = {names.get(name, name) for name in required} | of_others
    assert found - sys.stdlib_module_names == expected


def test_a_planted_import_is_found(tmp_path: Path) -> None:
    """import-linter holds the rooms apart, as pyproject.toml says."""
    shutil.copytree(SOURCE / "mf_k8s", tmp_path / "mf_k8s")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = {
        "project/project": "from ..metaflow.compile_flows import compile_flows",
        "cluster/api": "from ..check.compare import check_flows",
        "kind/nodes": "import metaflow",
        "check/report": "from kubernetes import client",
        "pods/quantities": "import os",
        "show/tables": "from .progress import stage",
        "show/progress": "from .tables import Printer",
    }
    for module, line in planted.items():
        with open(tmp_path / f"mf_k8s/{module}.py", "a") as file:
            file.write(f"\n\ndef planted() -> None:\n    {line}\n")
    (tmp_path / "mf_k8s/planted.py").touch()
    done = subprocess.run(
        [BIN / "lint-imports", "--no-cache", "--no-logo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    found = set(re.findall(r"^- +mf_k8s\.(\S+) -> (\S+) \(l", done.stdout, re.MULTILINE))
    assert found == {
        ("project.project", "mf_k8s.metaflow.compile_flows"),
        ("cluster.api", "mf_k8s.check.compare"),
        ("kind.nodes", "metaflow"),
        ("check.report", "kubernetes"),
        ("pods.quantities", "os"),
    }
    assert "- mf_k8s.planted" in done.stdout  # it is in no layer
    assert "No cycles are allowed in mf_k8s.show." in done.stdout


WRITES = {"clear", "pop", "popitem", "putenv", "setdefault", "unsetenv", "update"}


def writes_variables(node: ast.AST) -> bool:
    """Return whether a node of code changes os.environ, or gives it another name to do so by."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and any(alias.name != "PathLike" for alias in node.names)
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    if isinstance(node, ast.Call):
        targets = [node.func] if getattr(node.func, "attr", "") in WRITES else []
    return any(
        ast.unparse(target).startswith(("os.environ", "os.putenv", "os.unsetenv"))
        for target in targets
        if target
    )


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("os.environ['A'] = '1'", True),
        ("os.environ |= {}", True),
        ("del os.environ['A']", True),
        ("os.environ.pop('A', None)", True),
        ("os.putenv('A', '1')", True),
        ("from os import environ", True),
        ("a = os.environ.get('A')", False),
        ("run(env={**os.environ})", False),
    ],
)
def test_what_writes_variables(line: str, writes: bool) -> None:
    assert any(map(writes_variables, ast.walk(ast.parse(line)))) == writes


def test_variables_are_for_child_processes() -> None:
    """One function lends them to this process; else a command could work with one place only."""
    found = [
        (name, getattr(statement, "name", ""))
        for name, file in MODULES.items()
        for statement in ast.parse(file.read_text()).body
        if any(map(writes_variables, ast.walk(statement)))
    ]
    assert found == [("mf_k8s.programs.run", "lent_variables")]


def test_each_command_has_its_file() -> None:
    """Typer's help lists the commands; each is a file of its name."""
    commands = run(Path(sys.executable).with_name("k8s"), "--help", cwd=ROOT)
    for folder in ("check", "plan", "deploy", "adopt", "image", "kind"):
        assert f" {folder} " in commands
        assert f"mf_k8s.commands.{folder}" in MODULES


@pytest.mark.parametrize("group", [[], ["kind"]])
def test_help_says_what_each_command_does_in_a_whole_sentence(group: list[str]) -> None:
    """At 80 columns the help cuts longer ones off, with three dots."""
    help = run(Path(sys.executable).with_name("k8s"), *group, "--help", cwd=ROOT)
    assert "..." not in help.partition("Commands:")[2]


def test_importing_does_no_work(tmp_path: Path) -> None:
    """In an empty folder: it reads no project and starts nothing."""
    names = sorted(set(MODULES) - {"mf_k8s.metaflow.compile_worker"})
    output = run(sys.executable, "-B", "-c", AUDIT, json.dumps(names), cwd=tmp_path)
    assert json.loads(output) == []


def test_help_imports_typer_and_nothing_slow() -> None:
    """The rooms are imported by the function of a command, when it is called."""
    code = "import sys, {}; print(*sys.modules)"
    typer, cli = (
        {*run(sys.executable, "-c", code.format(name), cwd=ROOT).split()}
        for name in ("typer", "mf_k8s.cli")
    )
    assert {name.split(".")[0] for name in cli - typer} - sys.stdlib_module_names == {"mf_k8s"}
    assert not cli & {"asyncio", "importlib.metadata", "logging", "tempfile", "tomllib"}
    assert not cli & {"mf_k8s.check", "mf_k8s.cluster", "mf_k8s.kind", "mf_k8s.project"}


@pytest.mark.parametrize(
    "text", ["1", "1.5", "100m", "4096M", "6G", "8196Mi", "2Ti", "3k", "1E", "5u", "7n"]
)
def test_quantities_are_those_of_kubernetes(text: str) -> None:
    assert parse_quantity(text) == kubernetes_quantity(text)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("6000.0M", "6000M"),
        ("6G", "6000M"),
        ("8Gi", "8192Mi"),
        ("1.50", "1.5"),
        ("1500m", "1.5"),
        ("1e3", "1000"),
    ],
)
def test_a_quantity_has_one_spelling(text: str, spelling: str) -> None:
    assert quantity(text) == spelling


def test_size_of_a_project(example: Path) -> None:
    """A project's own part is small enough to be read: all but tools/."""
    others = {"tools", *(line.strip("/") for line in (example / ".gitignore").read_text().split())}
    files = [file for file in example.rglob("*") if file.is_file() and not others & {*file.parts}]
    files = [file for file in files if file.name != "uv.lock"]
    lines = sum(len(file.read_text().splitlines()) for file in files)
    FIGURES["a project's own part"] = f"{len(files)} files, {lines} lines"
    assert len(files) <= 23
    assert lines <= 1400


def test_the_package_of_a_project_is_the_teams(example: Path) -> None:
    """Four files of its own, and room for the team's."""
    names = sorted(file.name for file in (example / "src/churn_model").iterdir())
    assert [name for name in names if name != "__pycache__"] == [
        "__init__.py",
        "base.py",
        "k8s.schema.json",
        "settings.py",
    ]
