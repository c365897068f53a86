"""The git repository that a project is in: a commit of it, or why git has none."""

from pathlib import Path

from ..errors import CommandError
from ..programs.run import git, git_or_nothing


def commit_of(root: Path, name: str) -> str:
    """Return a revision's hash; raise CommandError with the reason if git does not know it."""
    commit = git_or_nothing(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not commit:
        must_have_commit(root)
        remedy = ": it is a shallow clone; run `git fetch --unshallow`" if is_shallow(root) else ""
        raise CommandError(f"this repository has no revision {name}{remedy}")
    return commit


def must_have_commit(root: Path) -> None:
    """Raise CommandError unless a folder is in a repository that has a commit."""
    git(root, "rev-parse", "--show-toplevel")
    if not git_or_nothing(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        raise CommandError("this repository has no commit yet: run `git add -A` and `git commit`")


def branching_point(root: Path) -> str:
    """Return the hash of the merge base of HEAD and origin/main, or else `HEAD`.

    Raise CommandError in a shallow clone that may lack it.
    """
    base = git_or_nothing(root, "merge-base", "HEAD", "origin/main")[:12]
    if not base and is_shallow(root):
        raise CommandError(
            "this is a shallow clone, without the commit at which HEAD left origin/main: run"
            " `git fetch --unshallow`, or name a revision, like --against HEAD"
        )
    return base or "HEAD"


def is_shallow(root: Path) -> bool:
    return git_or_nothing(root, "rev-parse", "--is-shallow-repository") == "true"
