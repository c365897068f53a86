"""Makes a project from the example answers, tests it, checks it and runs a flow: `make demo`."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "demo" / "churn-model"
BIN = Path(sys.executable).parent
UV = (str(BIN / "uv"), "run", "--quiet")

STEPS = {
    "generate it from tests/example-answers.yml": (
        str(BIN / "copier"), "copy", "--quiet", "--defaults", "--vcs-ref", "HEAD",
        "--data-file", str(ROOT / "tests/example-answers.yml"),
        "--data", f"python_version=3.{min(sys.version_info.minor, 13)}", str(ROOT), str(PROJECT),
    ),
    "make its environment": (str(BIN / "uv"), "sync", "--quiet"),
    "test it as CI does, with the check of every pod": (*UV, "k8s", "test"),
    "run flows/train.py on this machine": (*UV, "python", "flows/train.py", "--quiet", "run"),
}  # fmt: skip


def main() -> None:
    shutil.rmtree(PROJECT, ignore_errors=True)
    PROJECT.mkdir(parents=True)
    # A Metaflow of its own, so that neither this machine's settings nor its runs are touched.
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= {"METAFLOW_HOME": str(PROJECT / ".metaflow"), "METAFLOW_USER": "demo"}
    env |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    env.pop("VIRTUAL_ENV", None)
    started = time.monotonic()
    for number, (what, command) in enumerate(STEPS.items(), 1):
        print(f"[{number}/{len(STEPS)}] {what} …", flush=True)
        before = time.monotonic()
        if subprocess.run(command, cwd=PROJECT, env=env).returncode:
            sys.exit(f"demo: FAILED to {what}; what there is of the project: {PROJECT}")
        print(f"      {time.monotonic() - before:.0f} s", flush=True)
    print(f"demo: done in {time.monotonic() - started:.0f} s; the project is {PROJECT}")


if __name__ == "__main__":
    main()
