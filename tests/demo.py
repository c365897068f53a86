"""Makes a project, runs what Copier prints up to the first result, and tests it: `make demo`."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = ROOT / "demo" / "churn-model"
CARD = PROJECT / "card.html"
BIN = Path(sys.executable).parent
COPY = (
    str(BIN / "copier"), "copy", "--defaults", "--vcs-ref", "HEAD",
    "--data-file", str(ROOT / "tests/example-answers.yml"),
    "--data", f"python_version=3.{min(sys.version_info.minor, 13)}", str(ROOT), str(PROJECT),
)  # fmt: skip
# No browser is opened here; the file is what it would show.
SHOWN_BY_BROWSER, WRITTEN = "card view choose", "card get choose card.html"


def environment() -> dict[str, str]:
    """Return a Metaflow of its own: neither this machine's settings nor its runs are touched."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("METAFLOW_")}
    env |= {"METAFLOW_HOME": str(PROJECT / ".metaflow"), "METAFLOW_USER": "demo"}
    env |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    env |= {"PATH": f"{BIN}{os.pathsep}{env['PATH']}"}
    env.pop("VIRTUAL_ENV", None)
    return env


def run(what: str, *command: str) -> str:
    """Run a command in the project, print how long it took, and return what it printed."""
    print(f"{what} …", flush=True)
    before = time.monotonic()
    done = subprocess.run(
        command, cwd=PROJECT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stdout}\ndemo: FAILED; what there is of the project: {PROJECT}")
    print(f"      {time.monotonic() - before:.0f} s", flush=True)
    return done.stdout


def main() -> None:
    shutil.rmtree(PROJECT, ignore_errors=True)
    PROJECT.mkdir(parents=True)
    started = time.monotonic()
    printed = run("copier copy, with the answers of tests/example-answers.yml", *COPY)
    commands = re.findall(r"^  (uv run .*)$", printed, re.MULTILINE)
    copied = time.monotonic()
    for command in commands:
        run(command, *shlex.split(command.replace(SHOWN_BY_BROWSER, WRITTEN)))
    if not CARD.exists():
        sys.exit(f"demo: FAILED: no card after {', '.join(commands) or 'copier copy'}")
    print(f"demo: first card after {time.monotonic() - copied:.0f} s: {CARD}", flush=True)
    print(run("uv run k8s test, as CI does: each pod, each flow", "uv", "run", "k8s", "test"))
    print(f"demo: done in {time.monotonic() - started:.0f} s; the project is {PROJECT}")


if __name__ == "__main__":
    main()
