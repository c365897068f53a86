"""Every flow runs here, as tests/kind.toml says."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mf_k8s.testing import Flow, find_flows


@pytest.mark.parametrize("flow", find_flows(Path(__file__).parent), ids=str)
def test_flow_runs_here(flow: Flow, tmp_path: Path) -> None:
    """Run a flow as on a machine that has no Metaflow configuration."""
    if flow.skip:
        pytest.skip(flow.skip)
    command = [sys.executable, flow.file, *flow.options, "run", *flow.parameters]
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= dict.fromkeys(["METAFLOW_HOME", "METAFLOW_DATASTORE_SYSROOT_LOCAL"], str(tmp_path))
    env |= {"METAFLOW_USER": "tests", **flow.variables}
    done = subprocess.run(command, cwd=flow.folder, env=env, capture_output=True, text=True)
    if done.returncode:
        ends = ["\n".join(text.splitlines()[-15:]) for text in (done.stdout, done.stderr)]
        how = f"It was run as tests/kind.toml says: python {shlex.join(command[1:])}"
        pytest.fail("\n\n".join(filter(None, [*ends, how])), pytrace=False)
