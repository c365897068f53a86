"""`copier copy --defaults` of this template against an empty one: about four times as long.

Most of it is tools/, which an organisation can publish instead: each part of each path is two
templates to Copier, and each file a process of git.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from pairs import compare, seconds

ROOT = Path(__file__).parent.parent
COPIER = Path(sys.executable).with_name("copier")


def repository(folder: Path) -> Path:
    """Make a folder a git repository with one commit and tag, packed as a template's clone is."""
    git = ("git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com")
    for command in ("init -q", "add -A", "commit -qm one", "tag v1.0.0", "gc -q"):
        seconds([*git, *command.split()], cwd=folder)
    return folder


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty")
        empty.mkdir()
        (empty / "copier.yml").write_text("_subdirectory: template\n")
        (empty / "template").mkdir()
        (empty / "template" / "file.txt").write_text("empty\n")
        ours = Path(folder, "ours")
        seconds(["git", "clone", "-q", "--depth=1", f"file://{ROOT}", ours], cwd=ROOT)
        shutil.rmtree(ours / ".git")  # git copies from a shallow clone more slowly
        number = iter(range(1000))

        def copy(template: Path) -> float:
            target = Path(folder, f"project-{next(number)}")
            command = [COPIER, "copy", "--quiet", "--defaults", "--vcs-ref=HEAD", template, target]
            return seconds(command, cwd=Path(folder))

        repository(ours), repository(empty)
        compare(
            "`copier copy --defaults`",
            "an empty template",
            lambda: copy(ours),
            lambda: copy(empty),
            rounds=15,
        )


if __name__ == "__main__":
    main()
