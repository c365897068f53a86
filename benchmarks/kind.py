"""Times `k8s kind` against a bare kind cluster and plain Metaflow, with Docker, kind and kubectl.

    make benchmark-kind, or .venv/bin/python benchmarks/kind.py [--rounds 2]

Makes a project from the example answers and builds its image first. Each round is a bare `kind
create cluster`, which ends before pods can run, and how long it takes until it is usable: the wait
with which `kind up` ends; then a cold `k8s kind up` and a warm one. At last come `k8s kind test` of
both example flows, and a flow of three steps on BaseFlow against the same on a plain FlowSpec,
whose steps say all of k8s.toml themselves.
"""

import argparse
import shlex
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from check import make_project
from pairs import compare, seconds

FLOW = """
from metaflow import FlowSpec, kubernetes, step
from churn_model import BaseFlow


class ThreeFlow({base}):
{own}    @step
    def start(self):
        self.next(self.middle)

{own}    @step
    def middle(self):
        self.next(self.end)

{own}    @step
    def end(self):
        pass


if __name__ == "__main__":
    ThreeFlow()
"""
OWN = """    @kubernetes(
        image="ghcr.io/acme/churn:1.2.3", service_account="metaflow", cpu=1, memory=4096, gpu=1,
        shared_memory=8196, persistent_volume_claims={"metaflow-training": "/cache"},
    )
"""
USABLE = (
    "kubectl", "--kubeconfig", "bare",
    "wait", "deployment", "-A", "--all", "--for=condition=Available", "--timeout=3m",
)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=2)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        k8s = project / ".venv/bin/k8s"
        bare = ("--quiet", "--name", "bare", "--kubeconfig", str(project.parent / "bare"))
        subprocess.run([k8s, "image"], cwd=project, check=True)
        times: dict[str, list[float]] = {"bare": [], "usable": [], "cold": [], "warm": []}
        try:
            for _ in range(rounds):
                seconds([k8s, "kind", "down"], project)
                forget_deletions()
                times["bare"].append(seconds(["kind", "create", "cluster", *bare], project))
                times["usable"].append(times["bare"][-1] + seconds(USABLE, project.parent))
                seconds(["kind", "delete", "cluster", *bare], project)
                forget_deletions()
                times["cold"].append(seconds([k8s, "kind", "up"], project))
                times["warm"].append(seconds([k8s, "kind", "up"], project))
            best = {name: statistics.median(found) for name, found in times.items()}
            for name in ("bare", "usable"):
                ratio = f"cold k8s kind up takes {best['cold'] / best[name]:.2f} times as long"
                print(f"kind create cluster, {name}: {best[name]:.1f} s; {ratio}")
            print(f"k8s kind up, cold: {best['cold']:.1f} s")
            print(f"k8s kind up, warm: {best['warm']:.1f} s", flush=True)
            print(f"k8s kind test of both flows: {seconds([k8s, 'kind', 'test'], project):.0f} s")
            against_plain_metaflow(project, k8s, rounds)
        finally:
            subprocess.run([k8s, "kind", "down"], cwd=project, check=True)
            subprocess.run(["kind", "delete", "cluster", *bare], check=True)


def forget_deletions() -> None:
    """Wait until it does not matter that the last round's nodes have been deleted.

    Without a journal, as on some virtual machines, ext4 does not use an inode again for 5 minutes,
    and to make a file it looks through all that it may not use yet (recently_deleted in Linux's
    fs/ext4/ialloc.c): that doubles the time of unpacking an image.
    """
    if not any(Path("/proc/fs/jbd2").glob("*")):
        time.sleep(310)


def against_plain_metaflow(project: Path, k8s: Path, rounds: int) -> None:
    exports = subprocess.check_output([k8s, "kind", "env"], cwd=project, text=True)
    lines = [shlex.split(line) for line in exports.splitlines()]
    env = dict(words[1].split("=", 1) for words in lines if words[0] == "export")
    python = (project / ".venv/bin/python",)
    run = ("--no-pylint", "--quiet", "run", "--with", "kubernetes")
    (project / "ours.py").write_text(FLOW.format(base="BaseFlow", own=""))
    plain = FLOW.format(base="FlowSpec", own=OWN).replace("from churn_model import BaseFlow\n", "")
    (project / "plain.py").write_text(plain)
    compare(
        "run --with kubernetes of three steps",
        lambda: seconds([*python, "ours.py", *run], project, **env),
        lambda: seconds([*python, "plain.py", *run], project, **env),
        rounds,
    )


if __name__ == "__main__":
    main()
