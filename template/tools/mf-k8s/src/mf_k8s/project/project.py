"""Finds the project that a command works on, and holds it against this version of the tool."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..errors import CommandError, Finding, raise_if
from .contract import UPDATE_TOOL, contract_findings
from .tool_table import TABLE, read_table, table_finding, unknown_keys

CONFIG = "K8S_CONFIG"  # the variable that names another file than k8s.toml
ENVIRONMENT = "K8S_ENVIRONMENT"  # the variable that names a file of environments/
FLOWS = ("flows/**/*.py",)
IDENTITY = re.compile(r"^mf_k8s_identity: (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A project's folder, and what is special to it."""

    root: Path
    package: str  # its name
    flows: Sequence[str] = FLOWS  # patterns of the flows' files
    other_config: Path | None = None  # instead of k8s.toml, by the variable K8S_CONFIG
    # whose `k8s` lies over k8s.toml, by --env or the variable K8S_ENVIRONMENT
    environment_file: Path | None = None

    @property
    def name(self) -> str:
        return self.package.replace("_", "-")

    @property
    def identity(self) -> str:
        """Return what tells the project from others of its name: `copier copy` has made it.

        It is empty until a project of template 0.3.0 is updated, and without the template.
        """
        for file in sorted(self.root.glob(".copier-answers*.yml")):
            if found := IDENTITY.search(file.read_text(encoding="utf-8", errors="replace")):
                return found[1]
        return ""

    @property
    def environment(self) -> str:
        """Return the name of the environment whose values count; empty without one."""
        return self.environment_file.stem if self.environment_file else ""

    @property
    def config_file(self) -> Path:
        """Return k8s.toml, or the file that takes its place for BaseFlow too."""
        return self.other_config or self.root / "k8s.toml"

    @property
    def variables(self) -> dict[str, str]:
        """Return what a process must have that runs the project's flows, in whichever folder."""
        variables = {CONFIG: str(self.other_config)} if self.other_config else {}
        if self.environment_file or os.environ.get(ENVIRONMENT):
            variables[ENVIRONMENT] = str(self.environment_file or "")
        return variables

    def at(self, environment: str) -> "Project":
        """Return the project as an environment has it; without a name, as it is."""
        if not environment:
            return self
        return replace(self, environment_file=self.root / "environments" / f"{environment}.json")

    @property
    def source(self) -> Path:
        return self.root / "src"

    @property
    def settings_file(self) -> Path:
        return self.source / self.package / "settings.py"

    @property
    def flows_place(self) -> str:
        """Return where the flows are, as messages say it: `flows/`, or `*.py`."""
        return ", ".join(pattern.removesuffix("**/*.py") or pattern for pattern in self.flows)

    @property
    def no_flow(self) -> Finding:
        """Return what is wrong where no file starts a flow, and what to do."""
        return Finding(
            "no-flow",
            f"{self.flows_place} has no flow yet",
            self.flows_place,
            "add one, or, if your flows are elsewhere, set `flows` of"
            f" [tool.{TABLE}] in pyproject.toml",
        )

    def flow_files(self, names: Sequence[str] = ()) -> list[Path]:
        """Return the files that `names` stand for, or every Python file where the flows are.

        A name is a path, or the name of such a file with or without `.py`. Raise CommandError for a
        name that fits no file, or more than one, and for patterns of the project that fit none.
        """
        found = {file for pattern in self.flows for file in self.root.glob(pattern)}
        files = sorted(file for file in found if not self._is_hidden(file))
        if not files and self.flows != FLOWS:
            file = shown_path(self.root / "pyproject.toml")
            what = f"no file fits flows = {[*self.flows]} of [tool.{TABLE}] in {file}"
            raise CommandError(Finding("no-flow-file", what, file, "correct the patterns"))
        matches = {name: matching_files(name, files) for name in names}
        raise_if(self._name_findings(matches, files))
        return list(dict.fromkeys(file for (file,) in matches.values())) or files

    def _name_findings(
        self, matches: Mapping[str, Sequence[Path]], files: Sequence[Path]
    ) -> Iterator[Finding]:
        """Yield the names that fit none of the flows' files, or several."""
        for name, found in matches.items():
            if not found:
                known = ", ".join(file.stem for file in files) or "no flow"
                what = f"no flow is called {name}; {self.flows_place} has {known}"
                yield Finding("flow-unknown", what, self.flows_place)
            if len(found) > 1:
                paths = ", ".join(str(file.relative_to(self.root)) for file in found)
                what = f"{name} is the name of more than one flow"
                yield Finding("flow-ambiguous", what, remedy=f"use one of the paths {paths}")

    def _is_hidden(self, file: Path) -> bool:
        return any(part.startswith(".") for part in file.relative_to(self.root).parts)


def matching_files(name: str, files: Iterable[Path]) -> list[Path]:
    """Return the file at a path, or those of `files` that have this name, with `.py` or without."""
    if Path(name).is_file():
        return [Path(name).resolve()]
    return [file for file in files if name in (file.stem, file.name)]


def shown_path(file: str | Path) -> str:
    """Return a path as messages show it: relative to the working directory."""
    return os.path.relpath(file)


def find_project(start: Path | None = None) -> Project:
    """Return the project that has `start`, by default the working directory, inside it.

    Raise CommandError if there is none, if files are missing, or if it does not fit this version.
    """
    folder = (start or Path.cwd()).resolve()
    for root in (folder, *folder.parents):
        file = root / "pyproject.toml"
        table = read_table(file) if file.is_file() else None
        if table is not None:
            package, flows = package_name(table, file), flow_patterns(table, file)
            project = Project(root, package, flows, file_of(CONFIG), file_of(ENVIRONMENT))
            raise_if(missing_files(project))
            raise_if(version_findings(project, str(table.get("required-version", ""))))
            raise_if(unknown_keys(table, file))
            return project
    what = (
        f"no project here: neither {folder} nor a folder above it has a pyproject.toml with a table"
        f" [tool.{TABLE}]"
    )
    raise CommandError(Finding("no-project", what, remedy="change to a project's folder"))


def file_of(variable: str) -> Path | None:
    """Return the file that an environment variable names."""
    path = os.environ.get(variable)
    return Path(os.path.abspath(path)) if path else None


def package_name(table: dict[str, Any], file: Path) -> str:
    name = table.get("package") if isinstance(table, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        fault = "must name the project's package"
        example = 'package = "churn_model" for src/churn_model'
        raise CommandError(table_finding(file, "", fault, example))
    return name


def flow_patterns(table: dict[str, Any], file: Path) -> Sequence[str]:
    """Return what [tool.mf-k8s] says of where the flows are; raise CommandError if it is wrong."""
    given = table.get("flows", FLOWS)
    patterns: Sequence[Any] = given if given and isinstance(given, list | tuple) else [None]
    for pattern in patterns:
        path = Path(pattern) if isinstance(pattern, str) else Path("..")
        if path.suffix != ".py" or path.is_absolute() or ".." in path.parts:
            fault, example = "must be a list of patterns in the project", '["*.py"]'
            example += " for the files of its top folder"
            raise CommandError(table_finding(file, "flows", fault, example))
    return patterns


def missing_files(project: Project) -> Iterator[Finding]:
    """Yield the files that `k8s` needs and a project lacks."""
    folder = project.settings_file.parent
    if not folder.is_dir():
        where, file = shown_path(folder), shown_path(project.root / "pyproject.toml")
        remedy = f"correct `package` of [tool.{TABLE}] in {file}, or restore the folder with git"
        yield Finding("package-missing", f"{where} is missing", where, remedy)
        return
    for path in (folder / "base.py", project.settings_file, folder / "k8s.schema.json"):
        if not path.is_file():
            file = shown_path(path)
            yield Finding(
                "project-file-missing",
                f"{file} is missing, and `k8s` needs it",
                file,
                f"restore it with `git checkout -- {file}`, or with"
                " `uvx copier recopy --defaults -r :current: --skip '*'`",
            )


def version_findings(project: Project, required: str) -> Iterator[Finding]:
    """Yield why this version of the tool and the project's files do not fit together."""
    from importlib.metadata import version as installed_version

    version = installed_version(TABLE)
    path = project.root / "pyproject.toml"
    file = shown_path(path)
    try:
        fits = SpecifierSet(required).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        yield table_finding(path, "required-version", "must be versions", f'">=0.3.0": {error}')
        return
    if not fits:
        what = f"mf-k8s {version} is installed, but {file} requires {required}"
        remedy = f"allow that version in its dependency group `ops`, then {UPDATE_TOOL}"
        yield Finding("tool-version", what, file, remedy)
    yield from contract_findings(project.settings_file, shown_path(project.settings_file), version)
