"""The options of `k8s check`, and its exit codes."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import Debug, Env, Flows, errors_in_json, wrong_options


def check(
    flows: Flows = None,
    format: Annotated[
        Literal["table", "json", "markdown", "mermaid"],
        typer.Option(help="How to print the result; mermaid is a graph of each flow."),
    ] = "table",
    live: Annotated[
        bool, typer.Option("--live", help="Compare what is deployed and running.")
    ] = False,
    namespace: Annotated[
        str, typer.Option(metavar="NAME", help="With --live: the namespace; by default Metaflow's.")
    ] = "",
    run: Annotated[
        str, typer.Option(metavar="ID", help="With --live: a run's ID; by default the newest.")
    ] = "",
    env: Env = "",
    rendered: Annotated[
        Path | None,
        typer.Option(
            "--rendered", metavar="FOLDER", help="Compare a folder that `k8s render` wrote."
        ),
    ] = None,
    explain: Annotated[
        str, typer.Option(metavar="STEP", help="Print the layers of a step, from low to high.")
    ] = "",
    debug: Debug = False,
) -> None:
    """Compare each pod of the flows with k8s.toml and the overrides.

    With --live, runs too: in which state their pods are, and why one cannot start. A run that was
    started from an older deployment may differ.

    With --explain, nothing is compared: it prints what Metaflow's settings in the environment,
    k8s.toml, the environment, pools, the step and --with give to a step, and what comes of it.
    """
    from ..check.compare import name_clashes
    from ..check.explain import explain_step, layers_as_json, show_layers
    from ..check.live import check_live
    from ..check.places import check_places, places_to_check
    from ..check.print_reports import reports_on_flows, show_graphs, show_reports
    from ..check.report import as_json
    from ..gitops.compare_folder import check_rendered
    from ..kind.find_target import find_target
    from ..metaflow.compile_flows import compile_flows
    from ..project.kind_toml import print_tables_without_flow, variables_of_tests
    from ..project.project import find_project
    from ..show.progress import print_error, with_progress

    with errors_in_json(format, equal=False, flows=[]):
        if (namespace or run) and not live:
            raise wrong_options("--namespace and --run need --live")
        if explain and (live or rendered or format == "mermaid"):
            raise wrong_options("--explain takes no --live, --rendered or --format mermaid")
        if rendered and (flows or live or env or format != "table"):
            raise wrong_options("--rendered takes no flow and no other option")
        project = find_project()
        if rendered:
            raise typer.Exit(check_rendered(project, rendered))
        files = project.flow_files(flows or ())
        if explain:
            found = explain_step(project, files, explain, env)
            if format == "json":
                print(layers_as_json(found))
            else:
                show_layers(found, explain, format == "markdown")
            return
        if not flows:
            print_tables_without_flow(project)
        if live:
            target = find_target(project, env)
            if namespace:
                target = target.with_variables({"METAFLOW_KUBERNETES_NAMESPACE": namespace})
            variables = {**variables_of_tests(project), **target.variables}
            compiled = compile_flows(project.at(env), files, variables)
            work, count = check_live(project.at(env), compiled, target, run), None
        else:
            places = places_to_check(project, env)
            work, count = check_places(project, files, places), len(files) * len(places)
        reports = list(with_progress(work, "Comparing", count))
        reports = reports_on_flows(reports, named=bool(flows))
        clashes = {} if live else name_clashes(project, reports)
    if not reports:
        print_error(f"k8s: {project.no_flow}")
    for report in reports:
        if report.flow in clashes:
            report.failures.append(str(clashes[report.flow]))
    if format == "json":
        print(as_json(reports))
    elif format == "mermaid":
        show_graphs(reports)
    else:
        show_reports(reports, format == "markdown")
    failed = [report for report in reports if report.error]
    for report in failed:
        print_error(f"k8s: {report.error}")
        if debug:
            print_error(report.log)
    raise typer.Exit(2 if failed else 0 if all(report.matches for report in reports) else 1)
