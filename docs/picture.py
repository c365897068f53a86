"""Draws docs/k8s.svg, the picture in the README: `make demo picture`."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "demo" / "churn-model"
WIDTH = 112


def main() -> None:
    """Show the check of one flow, then the plan of an edit that gives one step another GPU."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "churn-model")
        env = os.environ | {"COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "METAFLOW_USER": "demo"}

        def run(*command: str, shown: str = "") -> None:
            done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
            if shown:
                console.print(f"[bold green]$[/] {shown}")
                console.print(Text.from_ansi(done.stdout.rstrip()))

        shutil.copytree(DEMO, project, ignore=shutil.ignore_patterns(".venv", ".metaflow"))
        git = ("git", "-c", "user.name=demo", "-c", "user.email=demo@example.com")
        run(*git, "init", "-q")
        run(*git, "add", "-A")
        run(*git, "commit", "-qm", "first")
        k8s = str(DEMO / ".venv/bin/k8s")
        run(k8s, "check", "train", shown="uv run k8s check train")
        flow = project / "flows/train.py"
        flow.write_text(flow.read_text().replace("@k8s(memory=8192)", "@k8s(gpu=2, memory=8192)"))
        run("git", "diff", "-U0", "--color", "flows", shown="git diff")
        run(k8s, "plan", shown="uv run k8s plan")
    console.save_svg(str(ROOT / "docs/k8s.svg"), title="k8s")


if __name__ == "__main__":
    main()
