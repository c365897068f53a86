"""Runs Metaflow's own `argo-workflows create` as a dry run, and keeps the requests that it makes.

A script, because a process can create one flow only (see compile_worker).
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from ..complete_template import complete_template
from ..ownership import mark

VERBS = ("create", "replace", "delete")


def dry_run(file: str, requests_file: str, project: str, shared: str, *options: str) -> None:
    """Create the flow in `file` as a dry run, and write its requests to `requests_file`, as JSON.

    They are a list of [method of kubernetes.client.CustomObjectsApi, its arguments]. The server
    tries each and keeps nothing. All is marked with `project`, a name. `shared`, as JSON, are the
    settings that all pods have in common. `options` go before Metaflow's command.
    """
    from kubernetes import client

    api: Any = client.CustomObjectsApi
    requests: list[tuple[str, dict[str, Any]]] = []
    settings = json.loads(shared)

    def without_effect(name: str, method: Any) -> Any:
        def send(this: Any, **request: Any) -> Any:
            if "body" in request:
                if request["plural"] == "workflowtemplates":
                    request["body"] = complete_template(request["body"], settings)
                mark(request["body"], project)
            answer = method(this, **request, dry_run="All")
            requests.append((name, request))
            return answer

        return send

    for verb in VERBS:
        name = f"{verb}_namespaced_custom_object"
        setattr(api, name, without_effect(name, getattr(api, name)))
    sys.argv = [file, "--no-pylint", *options, "argo-workflows", "create"]
    sys.path.insert(0, str(Path(file).parent))
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    Path(requests_file).write_text(json.dumps(requests))


if __name__ == "__main__":
    dry_run(*sys.argv[1:])
