"""What `docker build` gets: which folder, and what its ignore file hides of what uv needs."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import CommandError, Finding
from ..programs.run import UV, run_program
from ..project.image_packages import local_sources
from ..project.project import Project, shown_path
from ..project.uv_lock import workspace_of

OUTDATED = "needs to be updated"  # what uv says of a lock that is older than its pyproject.toml


@dataclass(frozen=True)
class BuildContext:
    """The folder that `docker build` gets: the project's, or that of its uv workspace."""

    folder: Path
    project: Path
    sent: Path | None = None  # a copy of the folder, which Docker gets

    @property
    def relative_project(self) -> str:
        return os.path.relpath(self.project, self.folder)

    @property
    def dockerfile(self) -> Path:
        return self.project / "Dockerfile"

    @property
    def ignore_file(self) -> Path:
        """Return the file that Docker reads: the Dockerfile's own comes first.

        https://docs.docker.com/build/concepts/context/#dockerignore-files
        """
        own = self.project / "Dockerfile.dockerignore"
        if own.exists() or self.folder != self.project:
            return own
        return self.folder / ".dockerignore"

    @property
    def patterns(self) -> list[str]:
        """Return the lines of the ignore file, without comments."""
        file = self.ignore_file
        text = file.read_text("utf-8-sig", errors="replace") if file.exists() else ""
        lines = (line.strip() for line in text.splitlines() if not line.startswith("#"))
        return [*filter(None, lines)]

    @property
    def arguments(self) -> list[str]:
        """Return the last arguments of `docker build`: the folder, and what that needs."""
        if self.folder == self.project and not self.sent:
            return [str(self.folder)]
        options = ["--file", str(self.dockerfile)]
        if self.folder != self.project:
            options.append(f"--build-arg=PROJECT={self.relative_project}")
        return [*options, str(self.sent or self.folder)]


def build_context(project: Project) -> BuildContext:
    return BuildContext(workspace_of(project.root) or project.root, project.root)


def context_findings(project: Project) -> Iterator[Finding]:
    """Yield why the packages of a project's uv.lock cannot be installed in its image."""
    context = build_context(project)
    if not (context.folder / "uv.lock").exists():
        yield Finding("no-uv-lock", "the Dockerfile needs uv.lock", "uv.lock", "run `uv lock`")
        return
    yield from lock_findings(project)
    sources = local_sources(project.root)
    for name, path in sources.items():
        if not path.is_relative_to(context.folder):
            what = f"uv.lock takes {name} from {shown_path(path)}, which docker build does not get"
            remedy = "move it below the project, or make both members of one uv workspace"
            yield Finding("image-source-outside", what, "uv.lock", remedy)
    inside = (path for path in sources.values() if path.is_relative_to(context.folder))
    files = [context.project / "pyproject.toml", context.folder / "uv.lock"]
    files += [context.folder / "pyproject.toml", *inside]
    yield from ignore_findings(context, files)


def lock_findings(project: Project) -> Iterator[Finding]:
    """Yield that uv.lock is older than pyproject.toml. What else uv says, the build says, too."""
    try:
        run_program(UV, "lock", "--check", folder=project.root)
    except CommandError as error:
        if error.findings[0].code == "program-missing":
            yield from error.findings
        elif OUTDATED in str(error):
            what = "uv.lock is older than pyproject.toml, so the image would lack what was added"
            yield Finding("uv-lock-outdated", what, "uv.lock", "run `uv lock`")


def ignore_findings(
    context: BuildContext, needed: Sequence[Path] | dict[Path, None]
) -> Iterator[Finding]:
    """Yield that the ignore file hides what uv needs, or that a workspace has none."""
    paths = [path.relative_to(context.folder).as_posix() for path in dict.fromkeys(needed)]
    file = shown_path(context.ignore_file)
    if context.folder != context.project and not context.ignore_file.exists():
        lines = " ".join(shlex.quote(line) for line in ["*", *(f"!{path}" for path in paths)])
        what = f"docker build would get all of {context.folder}, and install anew after each edit"
        yield Finding("image-context-whole", what, file, f"run `printf '%s\\n' {lines} > {file}`")
        return
    if hidden := [path for path in paths if is_hidden(path, context.patterns)]:
        lines = ", ".join(f"!{path}" for path in hidden)
        what = f"{file} hides {', '.join(hidden)}, which the build needs"
        yield Finding("image-source-hidden", what, file, f"add to it: {lines}")


def is_hidden(path: str, patterns: Sequence[str]) -> bool:
    """Return whether an ignore file hides a path, and all that is below it.

    The last pattern that fits decides.
    https://docs.docker.com/reference/dockerfile/#dockerignore-file
    """
    hidden, parts = False, path.split("/")
    parents = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for pattern in patterns:
        lets_in = pattern.startswith("!")
        plain = os.path.normpath(pattern.lstrip("!")).strip("/")
        if any(as_expression(plain).fullmatch(parent) for parent in parents):
            hidden = not lets_in
        elif lets_in and plain.startswith(f"{path}/"):
            hidden = False
    return hidden


def as_expression(pattern: str) -> re.Pattern[str]:
    """Return what a pattern of Go's filepath.Match means, with ** for any folders."""
    parts = re.split(r"(\*\*/?|\*|\?|\[[^]]*\])", pattern)
    known = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(
        "".join(
            known.get(part) or (part if part.startswith("[") and index % 2 else re.escape(part))
            for index, part in enumerate(parts)
        )
    )
