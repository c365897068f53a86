"""`k8s --help` beside `python -c "import typer"`: how long the command takes to start."""

import sys
import tempfile
from pathlib import Path

from pairs import compare, seconds

K8S = Path(sys.executable).with_name("k8s")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        compare(
            "`k8s --help`",
            '`python -c "import typer"`',
            lambda: seconds([K8S, "--help"], cwd=where),
            lambda: seconds([sys.executable, "-c", "import typer"], cwd=where),
            rounds=15,
        )


if __name__ == "__main__":
    main()
