"""Every flow runs here, as tests/kind.toml says."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from mf_k8s.flow_files import starts_flow
from mf_k8s.flow_settings import read_flow_settings, variables_for_pytest
from mf_k8s.project import find_project

PROJECT = find_project(Path(__file__).parent)
FLOWS = [str(file.relative_to(PROJECT.root)) for file in PROJECT.flow_files() if starts_flow(file)]
SETTINGS = read_flow_settings(PROJECT)


@pytest.mark.parametrize("flow", FLOWS)
def test_flow_runs_here(flow: str, tmp_path: Path) -> None:
    """Run a flow as on a machine that has no Metaflow configuration."""
    settings = SETTINGS.get(Path(flow).stem, {})
    if "skip" in settings:
        pytest.skip(settings["skip"])
    options, parameters = settings.get("options", ()), settings.get("parameters", ())
    command = [sys.executable, flow, *options, "run", *parameters]
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= dict.fromkeys(["METAFLOW_HOME", "METAFLOW_DATASTORE_SYSROOT_LOCAL"], str(tmp_path))
    env |= {"METAFLOW_USER": "tests", **variables_for_pytest(PROJECT)}
    done = subprocess.run(command, cwd=PROJECT.root, env=env, capture_output=True, text=True)
    if done.returncode:
        ends = ["\n".join(text.splitlines()[-15:]) for text in (done.stdout, done.stderr)]
        how = f"It was run as tests/kind.toml says: python {shlex.join(command[1:])}"
        pytest.fail("\n\n".join(filter(None, [*ends, how])), pytrace=False)
