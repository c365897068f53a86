"""Finds the project that a command works on, and compares it with this version of the tool."""

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..errors import CommandError
from .conflicts import conflict_in

# The contract with projects. A change of it raises the number here and in their settings.py:
# - `BaseFlow` and its mutator `StepConfiguration` in base.py, `k8s_overrides` on a step's function,
#   and k8s.schema.json beside them, on which this package relies;
# - `mf_k8s.testing`, on which a project's tests rely. In contract 1 that was not there.
# The number before is taken too, so that a new version stops no project of the release before.
CONTRACT = 2
TABLE = "mf-k8s"  # [tool.mf-k8s] in the project's pyproject.toml
FLOWS = ("flows/**/*.py",)
IDENTITY = re.compile(r"^mf_k8s_identity: (\w+)", re.MULTILINE)
UPDATE_TOOL = "run `uv sync --upgrade-package mf-k8s`"


@dataclass(frozen=True)
class Project:
    """A project's folder, the name of its package, and patterns of its flows' files."""

    root: Path
    package: str
    flows: Sequence[str] = FLOWS

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
    def not_secret(self) -> list[str]:
        """Return the variables and parameters whose values [tool.mf-k8s] says are no secrets."""
        file = self.root / "pyproject.toml"
        names = (read_table(file) or {}).get("not-secret", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CommandError(
                f"{shown_path(file)}: [tool.{TABLE}] not-secret must be a list of names of"
                ' variables and parameters, like ["EOS_TOKEN"]'
            )
        return names

    @property
    def config_file(self) -> Path:
        """Return k8s.toml, or the file that K8S_CONFIG names, as for BaseFlow."""
        return Path(os.environ.get("K8S_CONFIG") or self.root / "k8s.toml")

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
    def no_flow(self) -> str:
        """Return what is wrong where no file starts a flow, and what to do."""
        return (
            f"{self.flows_place} has no flow yet: add one, or, if your flows are elsewhere, set"
            f" `flows` of [tool.{TABLE}] in pyproject.toml"
        )

    def flow_files(self, names: Sequence[str] = ()) -> list[Path]:
        """Return the files that `names` stand for, or every Python file where the flows are.

        A name is a path, or the name of such a file with or without `.py`. Raise CommandError for a
        name that fits no file, or more than one, and for patterns of the project that fit none.
        """
        found = {file for pattern in self.flows for file in self.root.glob(pattern)}
        files = sorted(file for file in found if not self._is_hidden(file))
        if not files and self.flows != FLOWS:
            raise CommandError(
                f"no file fits flows = {[*self.flows]} of [tool.{TABLE}] in"
                f" {shown_path(self.root / 'pyproject.toml')}: correct the patterns"
            )
        return list(dict.fromkeys(self._flow_file(name, files) for name in names)) or files

    def _flow_file(self, name: str, files: Sequence[Path]) -> Path:
        if Path(name).is_file():
            return Path(name).resolve()
        matches = [file for file in files if name in (file.stem, file.name)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            paths = ", ".join(str(file.relative_to(self.root)) for file in matches)
            raise CommandError(
                f"{name} is the name of more than one flow: use one of the paths {paths}"
            )
        known = ", ".join(file.stem for file in files) or "no flow"
        raise CommandError(f"no flow is called {name}; {self.flows_place} has {known}")

    def _is_hidden(self, file: Path) -> bool:
        return any(part.startswith(".") for part in file.relative_to(self.root).parts)


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
            project = Project(root, package_name(table, file), flow_patterns(table, file))
            must_be_whole(project)
            must_fit(project, str(table.get("required-version", "")))
            return project
    raise CommandError(
        f"no project here: neither {folder} nor a folder above it has a pyproject.toml with a table"
        f" [tool.{TABLE}]; change to a project's folder"
    )


def read_table(file: Path) -> dict[str, Any] | None:
    """Return the table [tool.mf-k8s] of a pyproject.toml, or None if it has none."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8-sig")
        tool = tomllib.loads(text).get("tool", {})
    except ValueError as error:  # of the encoding, or of TOML
        reason = conflict_in(text) or f"is not TOML: {error}"
        raise CommandError(f"{shown_path(file)} {reason}") from error
    return tool.get(TABLE) if isinstance(tool, dict) else None


def package_name(table: dict[str, Any], file: Path) -> str:
    name = table.get("package") if isinstance(table, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        raise CommandError(
            f"{shown_path(file)}: [tool.{TABLE}] must name the project's package,"
            ' like package = "churn_model" for src/churn_model'
        )
    return name


def flow_patterns(table: dict[str, Any], file: Path) -> Sequence[str]:
    """Return what [tool.mf-k8s] says of where the flows are; raise CommandError if it is wrong."""
    given = table.get("flows", FLOWS)
    patterns: Sequence[Any] = given if given and isinstance(given, list | tuple) else [None]
    for pattern in patterns:
        path = Path(pattern) if isinstance(pattern, str) else Path("..")
        if path.suffix != ".py" or path.is_absolute() or ".." in path.parts:
            raise CommandError(
                f"{shown_path(file)}: [tool.{TABLE}] flows must be a list of patterns in the"
                ' project, like ["*.py"] for the files of its top folder'
            )
    return patterns


def must_be_whole(project: Project) -> None:
    folder = project.settings_file.parent
    for file in (folder / "base.py", project.settings_file, folder / "k8s.schema.json"):
        if not folder.is_dir():
            raise CommandError(
                f"{shown_path(folder)} is missing: correct `package` of [tool.{TABLE}] in"
                f" {shown_path(project.root / 'pyproject.toml')}, or restore the folder with git"
            )
        if not file.is_file():
            raise CommandError(
                f"{shown_path(file)} is missing, and `k8s` needs it: restore it with"
                f" `git checkout -- {shown_path(file)}`, or with"
                " `uvx copier recopy --defaults -r :current: --skip '*'`"
            )


def must_fit(project: Project, required: str) -> None:
    """Raise CommandError unless this version of the tool and the project's files fit together."""
    from importlib.metadata import version as installed_version

    version = installed_version(TABLE)
    file = shown_path(project.root / "pyproject.toml")
    try:
        fits = SpecifierSet(required).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise CommandError(
            f'{file}: [tool.{TABLE}] required-version must be versions, like ">=0.3.0": {error}'
        ) from error
    if not fits:
        raise CommandError(
            f"mf-k8s {version} is installed, but {file} requires {required}: allow that version in"
            f" its dependency group `ops`, then {UPDATE_TOOL}"
        )
    settings = project.settings_file
    number = re.search(r"^CONTRACT = (\d+)$", settings.read_text(encoding="utf-8"), re.MULTILINE)
    contract = int(number[1]) if number else 0
    taken = f"contract {contract}, not {CONTRACT - 1} or {CONTRACT}"
    if contract > CONTRACT:
        raise CommandError(
            f"{shown_path(settings)} needs a newer mf-k8s than {version} ({taken}): {UPDATE_TOOL}"
        )
    if contract < CONTRACT - 1:
        raise CommandError(
            f"{shown_path(settings)} is too old for mf-k8s {version} ({taken}): run"
            " `uvx copier update`"
        )
