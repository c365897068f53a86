"""Runs the project's tests and linters, as CI does."""

import typer


def test() -> None:
    """Run what CI runs: style, types, the check and every flow.

    Those are the commands of `test` under [tool.mf-k8s] in pyproject.toml. All are run. Conflicts
    that an update has left in files fail it, too.
    """
    from ..project.ci_commands import failure, listed_commands, passes, program_of
    from ..project.merge_conflicts import REMEDY, conflicts_in_files
    from ..project.project import find_project

    project = find_project()
    programs = [(line, program_of(line, project)) for line in listed_commands(project)]
    conflicts = conflicts_in_files(project.root)
    for place in conflicts:
        print(f"{place} has a conflict: {REMEDY}")
    failed = [line for line, program in programs if not passes(line, program, project)]
    for line in failed:
        print(failure(line))
    raise typer.Exit(1 if failed or conflicts else 0)
