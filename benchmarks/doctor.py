"""Times `k8s doctor` on simulated clusters, against reading the same lists and nothing more.

    .venv/bin/python benchmarks/doctor.py [--nodes 10 500 5000] [--rounds 3]

Makes a project from the example answers, and serves clusters on this machine that have 4 pods on
each node. It prints how long the doctor takes, how many requests it sends, and what each page of a
list costs beyond the smallest cluster, in seconds of the processor: of the doctor, and against a
program that only reads and decodes the same pages. That ratio says whether the time grows with
pages, or with flows × nodes.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from check import make_project

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from cluster_manifests import healthy, node, pod  # noqa: E402
from simulated_cluster import Cluster  # noqa: E402

PODS_OF_A_NODE = 4
PAGE = 500
LISTS = ("/api/v1/nodes", "/api/v1/pods")  # the long ones


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--nodes", type=int, nargs="+", default=[10, 500, 5000])
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        smallest: tuple[float, float] | None = None
        for number in sorted(chosen.nodes):
            with simulated(number).serve(Path(folder)) as cluster:
                took, busy, requests = time_doctor(project, cluster, chosen.rounds)
                plain, pages = time_reading(cluster, chosen.rounds)
            line = f"{number:5} nodes, {number * PODS_OF_A_NODE:6} pods: {took:5.1f} s"
            line += f", {requests} requests, {pages} of them for pages of nodes and pods"
            if smallest:
                more, least = busy - smallest[0], max(plain - smallest[1], 0.001)
                line += f"; {more / pages:.3f} s a page, {more / least:.1f} times plain reading"
            smallest = smallest or (busy, plain)
            print(line, flush=True)


def simulated(number: int) -> Cluster:
    """Return a cluster whose nodes and pods are about as large as real ones, in bytes."""
    images = [
        {"names": [f"ghcr.io/acme/app-{i}@sha256:{i:064}", f"ghcr.io/acme/app-{i}:1"]}
        for i in range(20)
    ]
    nodes, pods = [], []
    for index in range(number):
        made = node(f"node-{index:05}", labels={f"example.com/{i}": "yes" for i in range(10)})
        made["status"]["images"] = images
        nodes.append(made)
        for place in range(PODS_OF_A_NODE):
            name = f"pod-{index:05}-{place}"
            running = pod(name, "others", on=made["metadata"]["name"], cpu="1", memory="2Gi")
            running["metadata"]["annotations"] = {f"example.com/{i}": "x" * 60 for i in range(10)}
            running["spec"]["containers"][0]["env"] = [
                {"name": f"VARIABLE_{i}", "value": "x" * 30} for i in range(30)
            ]
            pods.append(running)
    return Cluster(*healthy(), *nodes, *pods)


def time_doctor(project: Path, cluster: Cluster, rounds: int) -> tuple[float, float, int]:
    """Return the doctor's median time, that of the processor, and how many requests it sends."""
    command = [project / ".venv/bin/k8s", "doctor", "--format=json"]
    env = os.environ | cluster.variables | {"METAFLOW_HOME": str(project.parent)}
    times = []
    for _ in range(rounds):
        cluster.requests.clear()
        start, busy = time.perf_counter(), busy_seconds()
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
        times.append((time.perf_counter() - start, busy_seconds() - busy))
        if not json.loads(done.stdout or "{}").get("answers"):
            raise SystemExit(f"{command} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    took, busy = (statistics.median(column) for column in zip(*times, strict=True))
    return took, busy, len(cluster.requests)


def busy_seconds() -> float:
    """Return how long the processor worked for the processes that this one has started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def time_reading(cluster: Cluster, rounds: int) -> tuple[float, int]:
    """Return the processor's median time to read the long lists, and how many pages they have.

    In a process of its own, as the doctor is.
    """
    config = json.loads(Path(cluster.variables["KUBECONFIG"]).read_text())
    command = [sys.executable, __file__, "--read", config["clusters"][0]["cluster"]["server"]]
    times, pages = [], "0"
    for _ in range(rounds):
        busy = busy_seconds()
        pages = subprocess.check_output(command, text=True)
        times.append(busy_seconds() - busy)
    return statistics.median(times), int(pages)


def read(server: str) -> None:
    """Read all pages of the long lists, and print how many they are."""
    pages = 0
    for path in LISTS:
        token = ""
        while True:
            query = urllib.parse.urlencode({"limit": PAGE, "continue": token})
            with urllib.request.urlopen(f"{server}{path}?{query}") as answer:
                page: Any = json.load(answer)
            pages += 1
            token = page["metadata"].get("continue", "")
            if not token:
                break
    print(pages)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(sys.argv[2])
    else:
        main()
