"""The options of `k8s doctor`, and its exit codes."""

import difflib
from typing import Annotated

import typer

from ..errors import CommandError, Finding, raise_if
from .options import Debug, Env, Flows, OutputFormat, errors_in_json, wrong_options


def doctor(
    flows: Flows = None,
    env: Env = "",
    format: OutputFormat = "table",
    run: Annotated[
        str, typer.Option(metavar="ID", help="Say why this run is pending, or why it failed.")
    ] = "",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 2, too, if something cannot be told.")
    ] = False,
    probe_pod: Annotated[
        bool,
        typer.Option("--probe-pod", help="Start a pod for a moment, which asks the datastore."),
    ] = False,
    explain: Annotated[
        str, typer.Option(metavar="CODE", help="Explain a rule, and ask nothing.")
    ] = "",
    print_role: Annotated[
        bool, typer.Option("--print-role", help="Print the Roles that the doctor reads with.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Say whether every pod will run there, and what to do if not.

    It compiles the flows, and asks the cluster for all that their pods need: rights, claims,
    Secrets, quotas, nodes, images, Argo and the datastore. It writes nothing, but for one object in
    the datastore, which it removes.

    Each answer is ok, a problem with the command that mends it, or "cannot tell", with the right
    that is missing. --print-role prints the rights that it needs to tell all.

    With --run it asks about one run instead, on Argo or of `run --with kubernetes`: its pods,
    events and logs, and what Argo says of it.
    """
    from ..deploy.create import files_to_deploy
    from ..deploy.project_branch import with_options
    from ..doctor.examine import accepted_findings, examine_all, exit_code
    from ..doctor.explain_run import explain_run
    from ..doctor.prepare import prepare
    from ..doctor.print_answers import as_json, print_answers, print_run
    from ..doctor.roles import print_roles
    from ..doctor.rules import all_rules
    from ..doctor.run_codes import RUN_CODES
    from ..kind.find_target import find_target
    from ..project.project import find_project
    from ..show.progress import print_error, working

    rules = all_rules()
    if explain:
        texts = {code: rule.explanation for code, rule in rules.items()} | RUN_CODES
        if explain not in texts:
            near = ", ".join(difflib.get_close_matches(explain, texts)) or "none like it"
            what = f"no rule is called {explain}; there is {near}"
            remedy = "`uv run k8s doctor` prints the codes of its rules"
            raise CommandError(Finding("rule-unknown", what, remedy=remedy))
        print(texts[explain])
        return
    with errors_in_json(format, ok=False, answers=[]):
        project = find_project().at(env)
        target = with_options(find_target(project, env), ())
        raise_if(accepted_findings(target.environment, rules))
        if print_role:
            print_roles(rules, target)
            return
        if run:
            if flows or probe_pod:
                raise wrong_options("--run asks about one run: name no flow, and no --probe-pod")
            with working("Looking"):
                explained = explain_run(project, target, run)
            print_run(explained, format, target, run)
            raise typer.Exit(exit_code(explained.answers, strict))
        files = files_to_deploy(project, flows or ())
        with working("Examining"):
            case, errors = prepare(project, target, files, probe_pod)
            examined = examine_all(case, rules)
    errors += examined.errors
    if format == "json":
        print(as_json(examined.answers, errors, case.pods))
    else:
        print(f"{'cluster':<16} {target}\n", flush=True)
        print_answers(examined.answers, case.pods, format == "markdown")
    for finding in errors:
        print_error(f"k8s: {finding}")
    raise typer.Exit(2 if errors else exit_code(examined.answers, strict))
