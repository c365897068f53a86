"""Times two commands in turn, so that a machine whose speed drifts slows both."""

import datetime
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("results.json")


def seconds(command: Sequence[str | Path], cwd: Path, **env: str) -> float:
    """Return the wall time of one run in seconds; its output is shown if it fails."""
    before = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout.decode()[-3000:]}")
    return time.perf_counter() - before


def compare(
    what: str, against: str, ours: Callable[[], float], base: Callable[[], float], rounds: int
) -> None:
    """Print and record both medians, in seconds, and the median of the ratios pair by pair."""
    ours(), base()  # warm up: byte code, file cache
    pairs = [(ours(), base()) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{what}: {a:.2f} s against {b:.2f} s, ratio {ratio:.3f} ({rounds} pairs)", flush=True)
    record(what, against, a, b, ratio)


def record(what: str, against: str, ours: float, base: float, ratio: float) -> None:
    """Write a measurement into results.json, of which `make docs` makes the table in docs/speed.md.

    `ours` and `base` are seconds.
    """
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    cores, today = os.cpu_count(), datetime.date.today().isoformat()
    results[what] = {
        "against": against,
        "seconds": [round(ours, 2), round(base, 2)],
        "ratio": round(ratio, 2),
        "measured": f"{today}, {cores} cores",
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
