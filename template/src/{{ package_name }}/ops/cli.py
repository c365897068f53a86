"""The command `k8s`."""

import json
import os
import signal
import sys
from typing import Annotated, Literal

import typer

from . import ROOT, Problem, environment, kind, report, trial
from .progress import errors, part, progress

app = typer.Typer(no_args_is_help=True, add_completion=False)
kind_app = typer.Typer(no_args_is_help=True)
app.add_typer(
    kind_app, name="kind", help="Run flows on a cluster on this machine, with the same k8s.toml."
)


Flows = Annotated[list[str] | None, typer.Argument(help="Files, or their names; all if none.")]
Format = Annotated[
    Literal["table", "json", "markdown"], typer.Option("--format", help="How to show it.")
]
Env = Annotated[
    str, typer.Option("--env", help="environments/NAME.json, over your own configuration.")
]
Debug = Annotated[bool, typer.Option(help="Show the traceback of an error.")]


@app.command()
def check(
    flows: Flows = None,
    format: Format = "table",
    live: Annotated[
        bool, typer.Option("--live", help="Compare what is deployed and running.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(help="With --live: the namespace; Metaflow's if none.")
    ] = "",
    run: Annotated[str, typer.Option(help="With --live: a run's ID; the newest if none.")] = "",
    env: Env = "",
    debug: Debug = False,
) -> None:
    """Compare every pod of flows with what k8s.toml and their overrides say.

    Ends with 0 if all is equal, 1 if something differs, 2 if something could not be checked.
    """
    from .check import check_flows, find_flows
    from .compile import compile_flows
    from .live import check_live

    if (namespace or run or env) and not live:
        raise Problem("--env, --namespace and --run belong to --live")
    use(env)
    files = find_flows(flows or ())
    results = compile_flows(files, ROOT)
    work = check_live(results, namespace, run) if live else check_flows(results)
    reports = list(progress(work, "Comparing", None if live else len(files)))
    without = [one for one in reports if not one["flow"] and not one["error"]]
    if without and (flows or without == reports):  # otherwise it may well be a helper
        raise Problem(f"no flow is started in {', '.join(one['file'] for one in without)}")
    for one in without:
        file = os.path.relpath(one["file"])
        errors.print(f"k8s: {file}: starts no flow, so it is left out", markup=False)
    reports = [one for one in reports if one not in without]
    if format == "json":
        print(report.as_json(reports))
    else:
        report.show(reports, format == "markdown")
    for one in reports:
        if one["error"]:
            said = one["log"] if debug else ""
            file = os.path.relpath(one["file"])
            errors.print(f"k8s: {file}: {one['error']}\n{said}", markup=False, end="")
    failed = any(one["error"] for one in reports)
    raise typer.Exit(2 if failed else not all(map(report.is_equal, reports)))


@app.command()
def plan(
    against: Annotated[
        str,
        typer.Option(help="Git revision; if none, where this branch left origin/main, or HEAD."),
    ] = "",
    format: Format = "table",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 2 on changes.")] = False,
    debug: Debug = False,
) -> None:
    """Show what changes in the pods between another revision and this tree.

    Ends with 0, or with --exit-code with 2 if something changes.
    """
    from .plan import plan as compare

    (found,) = progress(map(compare, [against]), "Comparing", None)
    if format == "json":
        print(json.dumps(found, indent=2))
    else:
        report.show_plan(found, format == "markdown")
    changed = found["changes"] or found["added"] or found["removed"]
    raise typer.Exit(2 if exit_code and changed else 0)


@app.command()
def image(
    push: Annotated[bool, typer.Option("--push", help="Push it, unless its tag is taken.")] = False,
    bump: Annotated[
        bool, typer.Option("--bump", help="With the next tag, then written into k8s.toml.")
    ] = False,
) -> None:
    """Build the image of the pods from the Dockerfile, under its name in k8s.toml."""
    from . import image as work
    from .expect import read_config
    from .tools import require

    require(("docker",))
    name, text = work.bumped() if bump else (read_config(work.CONFIG)["image"], "")
    with part("build") as say:
        work.build(name)
        say(f"{name}: built")
    if text:
        work.CONFIG.write_text(text, encoding="utf-8")
    if push:
        with part("push") as say:
            say(f"{name}: {work.push(name)}")


@app.command()
def deploy(
    flows: Annotated[list[str], typer.Argument(help="Files, or their names.")],
    env: Env = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what changes.")] = False,
) -> None:
    """Deploy flows to Argo Workflows, each pod configured: checked before and after.

    Nothing is written unless all flows pass the check and the server accepts all of it.
    """
    from .check import find_flows
    from .compile import compile_flows
    from .deploy import change, must_be_equal
    from .deploy import deploy as write
    from .live import api, check_live

    use(env)
    with part("compile") as say:
        results = list(compile_flows(find_flows(flows), ROOT))
        say(", ".join(os.path.relpath(one["file"]) for one in results))
    with part("dry run" if dry_run else "deploy") as say:
        templates = write(results, dry_run)
        names = [one["metadata"]["name"] for one in templates]
        namespace, cluster = templates[0]["metadata"]["namespace"], api().configuration.host
        say(f"{', '.join(names)} in namespace {namespace} of {cluster}")
    if dry_run:
        for template in templates:
            report.show_plan(change(template), markdown=False)
        return
    with part("check --live") as say:
        written = [f"WorkflowTemplate {name}" for name in names]
        reports = [one for one in check_live(results, "", None) if one["of"] in written]
        must_be_equal(reports)
        pods = sum(len(one["pods"]) for one in reports)
        say(f"{pods} pods, equal to k8s.toml")


def use(env: str) -> None:
    """Turn to an environment, and say what of the user's own configuration it overrides."""
    if env == "kind":
        kind.use()
    elif env:
        for line in environment.use(env):
            errors.print(f"k8s: environments/{env}.json: {line}", markup=False)


for command in (kind.up, trial.test, kind.env, kind.logs, kind.down):
    kind_app.command()(command)


def main() -> None:
    """Run the command; an error is one line on stderr and ends with 2."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    arguments, of_flows = sys.argv[1:] or ["--help"], []
    if arguments[:2] == ["kind", "test"] and "--" in arguments:
        split = arguments.index("--")
        arguments, of_flows = arguments[:split], arguments[split + 1 :]
    try:
        sys.exit(app(arguments, obj=of_flows, standalone_mode=False))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        said = getattr(error, "format_message", error.__str__)() or type(error).__name__
        errors.print(f"k8s: {' '.join(said.split())}", markup=False)
        sys.exit(2)
