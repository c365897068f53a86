"""Every pod of every flow has the configuration of k8s.toml, and every flow runs here."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mf_k8s.flow_files import starts_flow

ROOT = Path(__file__).parent.parent
FILES = filter(starts_flow, ROOT.glob("flows/**/*.py"))
FLOWS = sorted(str(file.relative_to(ROOT)) for file in FILES)
SETTINGS = tomllib.loads((ROOT / "tests" / "kind.toml").read_text())


def run(*command: str | Path, home: Path) -> None:
    """Run a command as on a machine without a Metaflow configuration; it must succeed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= {"METAFLOW_HOME": str(home), "METAFLOW_USER": "tests"}
    env["METAFLOW_DATASTORE_SYSROOT_LOCAL"] = str(home)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_pod_is_configured(tmp_path: Path) -> None:
    run(Path(sys.executable).with_name("k8s"), "check", home=tmp_path)


@pytest.mark.parametrize("flow", FLOWS)
def test_flow_runs_here(flow: str, tmp_path: Path) -> None:
    settings = SETTINGS.get(Path(flow).stem, {})
    if "skip" in settings:
        pytest.skip(settings["skip"])
    options, parameters = settings.get("options", ()), settings.get("parameters", ())
    run(sys.executable, flow, *options, "run", *parameters, home=tmp_path)
