"""Times two commands in turn, so that a machine whose speed drifts slows both."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def seconds(command: Sequence[str | Path], cwd: Path, **env: str) -> float:
    """Return the wall time of one run in seconds; its output is shown if it fails."""
    before = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout.decode()[-3000:]}")
    return time.perf_counter() - before


def compare(what: str, ours: Callable[[], float], base: Callable[[], float], rounds: int) -> None:
    """Print both medians, in seconds, and the median of the ratios pair by pair."""
    ours(), base()  # warm up: byte code, file cache
    pairs = [(ours(), base()) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{what}: {a:.2f} s against {b:.2f} s, ratio {ratio:.3f} ({rounds} pairs)", flush=True)
