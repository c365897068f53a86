"""Runs Metaflow's own `argo-workflows create` as a dry run, and keeps the requests that it makes.

A script, because a process can create one flow only (see compile.py).
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

from .pods import complete


def submit(file: str, held: str, shared: str) -> None:
    """Create the flow in `file`, and leave a list of [method, arguments] in `held`, as JSON.

    The methods are those of kubernetes.client.CustomObjectsApi. The server tries each request and
    keeps nothing. `shared` are k8s.toml's settings, as JSON.
    """
    from kubernetes import client  # type: ignore  # it has no types

    api: Any = client.CustomObjectsApi
    requests: list[tuple[str, dict[str, Any]]] = []

    def holding(name: str, method: Any) -> Any:
        def hold(this: Any, **request: Any) -> Any:
            if request["plural"] == "workflowtemplates" and "body" in request:
                request["body"] = complete(request["body"], json.loads(shared))
            answer = method(this, **request, dry_run="All")
            requests.append((name, request))
            return answer

        return hold

    for verb in ("create", "replace", "delete"):
        name = f"{verb}_namespaced_custom_object"
        setattr(api, name, holding(name, getattr(api, name)))
    sys.argv = [file, "--no-pylint", "argo-workflows", "create"]
    sys.path.insert(0, str(Path(file).parent))
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    Path(held).write_text(json.dumps(requests))


if __name__ == "__main__":
    submit(*sys.argv[1:])
