"""The template as a released one looks: a clean git repository with a tag."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.com")


def git(folder: Path, *command: str) -> str:
    """Run git, and return what it prints."""
    done = subprocess.run(["git", *IDENTITY, *command], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


def copy_working_tree(folder: Path) -> None:
    """Copy the template as it is in the working tree, as the release 0.1.0.

    Without what a fork sets in hooks/organisation.yml, which would change what is expected.
    """
    for name in filter(None, git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "hooks/organisation.yml").write_text("{}\n")
    tag_as_released(folder)


def copy_without_tool(template: Path, folder: Path) -> None:
    """Copy a template without its tool, tagged: 120 of a project's 142 files are the tool's.

    They are copied as they are, and an update would have git and Copier look at each six times.
    Only a schema of environments is there, which is included.
    """
    schema = Path("template/tools/mf-k8s/src/mf_k8s/environment.schema.json")
    for name in ("hooks", "template"):
        shutil.copytree(template / name, folder / name, ignore=shutil.ignore_patterns("tools"))
    (folder / schema).parent.mkdir(parents=True)
    for file in ("copier.yml", ".gitattributes", schema):
        shutil.copy2(template / file, folder / file)
    tag_as_released(folder)


def tag_as_released(folder: Path) -> None:
    """Make a folder a git repository whose one commit is the release 0.1.0."""
    for command in ("init -q -b main", "add -A", "commit -q -m release", "tag v0.1.0"):
        git(folder, *command.split())
