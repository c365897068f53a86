"""What the benchmarks have measured: benchmarks/results.json, which `make benchmark` writes."""

import json
from pathlib import Path

from .markdown import table

RESULTS = Path(__file__).parents[2] / "benchmarks/results.json"


def speed() -> str:
    """Return what is compared with what, the ratio, and both times where they are recorded."""
    rows = []
    for what, found in json.loads(RESULTS.read_text(encoding="utf-8")).items():
        times = [f"{seconds} s" for seconds in found["seconds"] or ()]
        row = [what, found["against"], f"{found['ratio']}", ", ".join(times), found["measured"]]
        rows.append(row)
    return table(["time of", "against that of", "ratio", "times", "measured"], rows)
