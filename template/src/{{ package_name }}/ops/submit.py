"""Runs Metaflow's own `argo-workflows create`, and holds what it writes until all of it is right.

A script, because a process can create one flow only (see compile.py).
"""

import json
import runpy
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .pods import complete


def submit(file: str, held: str, shared: str, mode: str) -> None:
    """Create the flow in `file`, and leave a list of the requests in `held`, both as JSON.

    `shared` are k8s.toml's settings, as JSON; in the mode `write` the requests are made.
    """
    from kubernetes import client  # type: ignore  # it has no types

    api: Any = client.CustomObjectsApi
    requests: list[partial[Any]] = []

    def holding(method: Any) -> Any:
        def hold(this: Any, **request: Any) -> Any:
            if request["plural"] == "workflowtemplates" and "body" in request:
                request["body"] = complete(request["body"], json.loads(shared))
            answer = method(this, **request, dry_run="All")
            requests.append(partial(method, this, **request))
            return answer

        return hold

    for verb in ("create", "replace", "delete"):
        name = f"{verb}_namespaced_custom_object"
        setattr(api, name, holding(getattr(api, name)))
    sys.argv = [file, "--no-pylint", "argo-workflows", "create"]
    sys.path.insert(0, str(Path(file).parent))
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    if mode == "write":
        for request in requests:
            request()
    kept = [one.keywords for one in requests if "body" in one.keywords]
    Path(held).write_text(json.dumps(kept))


if __name__ == "__main__":
    submit(*sys.argv[1:])
