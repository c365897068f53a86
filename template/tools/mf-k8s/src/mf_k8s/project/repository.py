"""The git repository that a project is in: a commit of it, or why git has none."""

from pathlib import Path

from ..errors import CommandError, Finding
from ..programs.run import git, git_or_nothing


def commit_of(root: Path, name: str) -> str:
    """Return a revision's hash; raise CommandError with the reason if git does not know it."""
    commit = git_or_nothing(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not commit:
        git(root, "rev-parse", "--show-toplevel")
        raise CommandError(missing_revision(root, name))
    return commit


def missing_revision(root: Path, name: str) -> Finding:
    """Return why a repository lacks a revision."""
    if not git_or_nothing(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        remedy = "run `git add -A` and `git commit`"
        return Finding("git-no-commit", "this repository has no commit yet", remedy=remedy)
    remedy = "it is a shallow clone; run `git fetch --unshallow`" if is_shallow(root) else ""
    return Finding("git-no-revision", f"this repository has no revision {name}", remedy=remedy)


def branching_point(root: Path) -> str:
    """Return the hash of the merge base of HEAD and origin/main, or else `HEAD`.

    Raise CommandError in a shallow clone that may lack it.
    """
    base = git_or_nothing(root, "merge-base", "HEAD", "origin/main")[:12]
    if not base and is_shallow(root):
        what = "this is a shallow clone, without the commit at which HEAD left origin/main"
        remedy = "run `git fetch --unshallow`, or name a revision, like --against HEAD"
        raise CommandError(Finding("git-shallow-clone", what, remedy=remedy))
    return base or "HEAD"


def is_shallow(root: Path) -> bool:
    return git_or_nothing(root, "rev-parse", "--is-shallow-repository") == "true"
