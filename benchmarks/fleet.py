"""Updates a fleet: makes projects of many answers, edits them as teams do, releases, updates all.

    .venv/bin/python benchmarks/fleet.py [--projects 50] [--workers 2]

Prints the time that an update takes, and how many projects have conflicts, lost edits or no newer
version; ends with 1 if any has.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import teams  # noqa: E402

NEXT = "v99.0.0"
VARIED = {
    "ci": ["github", "gitlab", "none"],
    "gpu": [0, 1, 8],
    "image_source": ["build", "existing"],
    "persistent_volume_claims": ["", "data:/data", "data:/data, models:/models"],
    "advanced": [False, True],
    "python_version": ["3.13", "3.12"],
}


def answers(number: int) -> dict[str, Any]:
    """Return the answers of one project, other than its neighbours'."""
    mixes = list(itertools.product(*VARIED.values()))
    chosen = dict(zip(VARIED, mixes[number * 37 % len(mixes)], strict=True))
    if chosen["advanced"]:
        chosen |= {"secrets": "db", "node_selector": "pool=gpu", "tolerations": "gpu:NoSchedule"}
    return {**chosen, "project_name": f"team-{number}", "memory": 4096 + number}


def make(source: Path, project: Path, given: dict[str, Any]) -> float:
    """Make and edit one project; return the seconds that making it took."""
    start = time.perf_counter()
    teams.make(source, project, **given)
    seconds = time.perf_counter() - start
    teams.edit(project, given["ci"])
    return seconds


def update(project: Path, ci: str) -> dict[str, Any]:
    """Update one project; return the seconds that it took, and what is wrong afterwards."""
    start = time.perf_counter()
    teams.update(project)
    seconds = time.perf_counter() - start
    (base,) = project.glob("src/*/base.py")
    version = teams.answers_of(project)["_commit"]
    is_newer = version == NEXT and base.read_text().startswith('"""Newer. ')
    found = {"conflicts": teams.conflicts(project), "lost edits": list(teams.lost(project, ci))}
    return {"seconds": seconds, **found, "not updated": [] if is_newer else [project.name]}


def run(source: Path, folder: Path, projects: int, workers: int) -> tuple[list[str], bool]:
    """Return what happened to a fleet, as lines, and whether all went well; release in `source`."""
    given = [answers(number) for number in range(projects)]
    paths = [folder / answer["project_name"] for answer in given]
    kinds = [answer["ci"] for answer in given]
    start = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        copies = list(pool.map(make, [source] * projects, paths, given))
        teams.release(source, NEXT, teams.RELEASE)
        updates = list(pool.map(update, paths, kinds))
    seconds = [result["seconds"] for result in updates]
    lines = [
        f"{projects} projects, {workers} workers: {time.perf_counter() - start:.0f} s",
        f"a copy: {statistics.median(copies):.2f} s, at most {max(copies):.2f} s",
        f"an update: {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s",
    ]
    good = True
    for what in ("conflicts", "lost edits", "not updated"):
        wrong = [(path.name, result[what]) for path, result in zip(paths, updates, strict=True)]
        wrong = [(name, items) for name, items in wrong if items]
        good = good and not wrong
        lines.append(f"{what}: {sum(len(items) for _, items in wrong)}")
        lines += [f"  {name}: {', '.join(items)}" for name, items in wrong]
    return lines, good


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--projects", type=int, default=50)
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["COPIER_SETTINGS_PATH"] = str(folder / "settings.yml")
        (folder / "settings.yml").write_text("{}\n")
        teams.git("clone", "-q", str(ROOT), "mf-template", cwd=folder)
        teams.git("tag", "v98.0.0", cwd=folder / "mf-template")
        lines, good = run(folder / "mf-template", folder, chosen.projects, chosen.workers)
    print("\n".join(lines))
    sys.exit(not good)


if __name__ == "__main__":
    main()
